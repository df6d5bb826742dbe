//! The protocol's arguments as the client's options.

use crate::{Refused, say};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value as Json;
use std::time::Duration;
use unstale::{
    Ack, Cache, Codec, Content, Dependency, EntryOptions, Error, Invalidate, LeaseOptions,
    ReadLevel, ReadOptions, Value, WatchOptions,
};

/// A text; empty when it is not given.
pub(crate) fn text<'a>(args: &'a Json, name: &str) -> &'a str {
    args[name].as_str().unwrap_or_default()
}

/// A text that may be left out.
pub(crate) fn given(args: &Json, name: &str) -> Option<String> {
    args[name].as_str().map(str::to_owned)
}

/// A list of texts; empty when it is not given.
pub(crate) fn texts(args: &Json, name: &str) -> Vec<String> {
    let list = args[name].as_array().into_iter().flatten();
    list.filter_map(|each| each.as_str().map(str::to_owned))
        .collect()
}

/// A number of seconds.
pub(crate) fn seconds(args: &Json, name: &str) -> Option<Duration> {
    args[name].as_f64().map(Duration::from_secs_f64)
}

/// A lazy client.
pub(crate) async fn client(args: &Json, lane: Lane) -> Result<Cache, Refused> {
    let builder = Cache::builder()
        .endpoint(text(args, "endpoint"))
        .namespace(text(args, "namespace"));
    let builder = match seconds(args, "timeout") {
        Some(timeout) => builder.timeout(timeout),
        None => builder,
    };
    let builder = match seconds(args, "keep_alive") {
        Some(interval) => builder.keep_alive(interval),
        None => builder,
    };
    let builder = match (args["no_sidecar"] == true, args["strict"] == true) {
        (true, _) => builder.no_sidecar(),
        (false, true) => builder.strict(),
        (false, false) => builder,
    };
    let builder = match lane {
        Lane::Stream => builder,
        Lane::Unary => builder.unary(),
    };
    // The stream is open before the first call, if there can be one.
    match builder.clone().connect().await {
        Ok(cache) => Ok(cache),
        Err(_) => builder.lazy().map_err(|e| say::refused(&e)),
    }
}

/// How the calls reach the sidecar.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Lane {
    /// On a stream, as is usual.
    #[default]
    Stream,
    /// Each by itself.
    Unary,
}

/// The value, and the content type that goes with it.
pub(crate) fn content(args: &Json) -> Result<(Content, String), Refused> {
    let mut content_type = text(args, "content_type").to_owned();
    let content = if let Some(text) = args["text"].as_str() {
        Content::Value(Value::Text(text.to_owned()))
    } else if let Some(data) = args["data"].as_str() {
        let data = BASE64_STANDARD
            .decode(data)
            .expect("the runner sends base64");
        Content::Value(Value::Data(data.into()))
    } else if let Some(json) = args.get("json") {
        Codec::Json.content_type().clone_into(&mut content_type);
        let encoded = Codec::Json.encode(json);
        Content::Value(encoded.map_err(|e| say::refused(&Error::from(e)))?)
    } else {
        Content::NotFound
    };
    Ok((content, content_type))
}

/// How an entry is stored.
pub(crate) fn entry(args: &Json, content_type: String) -> EntryOptions {
    EntryOptions {
        content_type,
        ttl: seconds(args, "ttl"),
        stale_for: seconds(args, "stale_for"),
        valid_for: seconds(args, "valid_for"),
        jitter: seconds(args, "jitter"),
        tags: texts(args, "tags"),
        source_version: args["source_version"].as_u64(),
        depends_on: depends_on(args),
    }
}

fn depends_on(args: &Json) -> Vec<Dependency> {
    let named = args["depends_on"].as_array().into_iter().flatten();
    let each = named.map(|on| Dependency {
        key: text(on, "key").to_owned(),
        version: given(on, "version"),
    });
    each.collect()
}

pub(crate) fn ack(args: &Json) -> Ack {
    match text(args, "ack") {
        "LOCAL" => Ack::Local,
        "FLEET" => Ack::Fleet,
        _ => Ack::Log,
    }
}

/// How current a read is.
pub(crate) fn read(args: &Json) -> ReadOptions {
    let mut options = ReadOptions::default().level(match text(args, "level") {
        "STRONG" => ReadLevel::Strong,
        "STALE_OK" => ReadLevel::StaleOk,
        _ => ReadLevel::Bounded,
    });
    if let Some(most) = seconds(args, "max_staleness") {
        options = options.max_staleness(most);
    }
    if let Some(position) = given(args, "min_position") {
        options = options.min_position(position);
    }
    if let Some(etag) = given(args, "if_none_match") {
        options = options.if_none_match(etag);
    }
    options
}

pub(crate) fn lease(args: &Json) -> LeaseOptions {
    let mut options = LeaseOptions::default().wait(seconds(args, "wait").unwrap_or_default());
    if let Some(term) = seconds(args, "term") {
        options = options.term(term);
    }
    if let Some(position) = given(args, "min_position") {
        options = options.min_position(position);
    }
    options
}

pub(crate) fn invalidate(args: &Json) -> Invalidate {
    let mut what = Invalidate::default()
        .ack(ack(args))
        .reason(text(args, "reason"))
        .traceparent(text(args, "traceparent"));
    what.keys = texts(args, "keys");
    what.tags = texts(args, "tags");
    what.prefixes = texts(args, "prefixes");
    what.all = args["all"] == true;
    what.id = given(args, "id");
    what.min_source_version = args["min_source_version"].as_u64();
    match text(args, "mode") {
        "SOFT" => what.soft(),
        _ => what,
    }
}

pub(crate) fn watch(args: &Json) -> WatchOptions {
    WatchOptions {
        position: given(args, "position"),
        keys: texts(args, "keys"),
        prefixes: texts(args, "prefixes"),
        tags: texts(args, "tags"),
    }
}
