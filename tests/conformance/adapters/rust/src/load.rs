//! Loading, and the loaders that the runner describes.

use crate::gates::Gates;
use crate::say::{self, joined};
use crate::{Answered, args};
use serde_json::{Value as Json, json};
use unstale::{AbandonOptions, Cache, Codec, Load, LoadOptions, Loaded, TypedLoad};

/// The cached value, or what the described loader returns.
pub(crate) async fn get_or_load(cache: &Cache, gates: &Gates, args: &Json) -> Answered {
    let key = args::text(args, "key");
    let loader = &args["loader"];
    if args["as"] == "json" {
        let typed = cache.typed::<Unsure>(Codec::Json);
        let load = || async { typed_load(gates, loader).await };
        let loaded = typed.get_or_load(key, options(args), load).await;
        return loaded.map_err(say::load_error).map(|loaded| {
            say::answer(loaded, |loaded| match loaded.value {
                Some(value) => json!({"kind": "loaded", "json": value.0}),
                None => json!({"kind": "not_found"}),
            })
        });
    }
    let load = || async { raw_load(gates, loader).await };
    let loaded = cache.get_or_load(key, options(args), load).await;
    let loaded = loaded.map_err(say::load_error)?;
    Ok(say::answer(loaded, |loaded| said(&loaded)))
}

fn options(args: &Json) -> LoadOptions {
    let mut options = LoadOptions::from(args::entry(
        args,
        args::text(args, "content_type").to_owned(),
    ));
    options.negative_ttl = args::seconds(args, "negative_ttl");
    options.term = args::seconds(args, "term");
    options.hard_timeout = args::seconds(args, "hard_timeout");
    options.wait = args::seconds(args, "wait").unwrap_or(options.wait);
    options.min_position = args::given(args, "min_position");
    options.allow_stale = args["allow_stale"] != false;
    let fail_safe = args::seconds(args, "fail_safe");
    options.fail_safe = fail_safe.map(|time| AbandonOptions::default().serve_stale_for(time));
    options
}

async fn begin(gates: &Gates, loader: &Json) -> Result<(), String> {
    gates
        .begin(args::text(loader, "name"), loader["gate"].as_str())
        .await;
    loader["raises"]
        .as_str()
        .map_or(Ok(()), |message| Err(message.to_owned()))
}

async fn raw_load(gates: &Gates, loader: &Json) -> Result<Load, String> {
    begin(gates, loader).await?;
    if loader["not_found"] == true {
        return Ok(Load::NotFound);
    }
    let (content, _) = args::content(&loader["returns"]).map_err(|e| format!("{e:?}"))?;
    Ok(Load::from(content))
}

async fn typed_load(gates: &Gates, loader: &Json) -> Result<TypedLoad<Unsure>, String> {
    begin(gates, loader).await?;
    if loader["not_found"] == true {
        return Ok(TypedLoad::NotFound);
    }
    let unencodable = loader["unencodable"] == true;
    Ok(TypedLoad::Value(Unsure(
        loader["returns"]["json"].clone(),
        unencodable,
    )))
}

fn said(loaded: &Loaded<String>) -> Json {
    let source = match loaded {
        Loaded::Hit(_) | Loaded::Negative(_) => json!({"from": "cache"}),
        Loaded::Stale { because, .. } => json!({"from": "stale", "because": say::because(because)}),
        Loaded::Filled { .. } | Loaded::NotFilled { .. } | Loaded::NotEncoded(_) => {
            json!({"from": "loader"})
        }
    };
    let value = loaded.value().map(say::value);
    let value = value.map_or(json!({"kind": "not_found"}), |v| {
        joined(json!({"kind": "loaded"}), v)
    });
    joined(value, source)
}

/// JSON, or what cannot be encoded as JSON.
struct Unsure(Json, bool);

impl serde::Serialize for Unsure {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.1 {
            true => Err(serde::ser::Error::custom("it cannot be encoded")),
            false => self.0.serialize(serializer),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Unsure {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Json::deserialize(deserializer).map(|json| Self(json, false))
    }
}
