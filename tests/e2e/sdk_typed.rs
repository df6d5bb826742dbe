//! Values of a type through the Rust client: codecs, and what other programs
//! wrote.

use crate::sdk::client;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::sync::Notify;
use unstale::{
    Cache, Codec, CodecError, Degraded, EntryOptions, Error, Expected, LoadError, LoadOptions,
    Loaded, Lookup, NotFilled, SetOptions, SetOutcome, TypedLoad, Value, Voided,
};
use unstale_tests::Sidecar;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
}

fn user(name: &str) -> User {
    let name = name.to_owned();
    User { name }
}

/// What another program stored, under its content type.
async fn written(cache: &Cache, value: impl Into<unstale::Content>, content_type: &str) {
    let entry = EntryOptions::default().content_type(content_type);
    let set = cache.set_with("k", value, SetOptions::from(entry)).await;
    let set = set.expect("Set answers").result;
    assert!(matches!(set, SetOutcome::Stored { .. }), "{set:?}");
}

#[tokio::test]
async fn what_one_codec_wrote_is_read_by_its_content_type() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    let (json, pack) = (Codec::Json, Codec::MessagePack);
    for (writer, reader) in [(json, pack), (pack, json), (json, json)] {
        let ada = user("Ada");
        let set = cache.typed::<User>(writer).set("k", &ada).await;
        set.expect("Set answers");
        let read = cache.typed::<User>(reader).get("k").await;
        let Lookup::Hit(hit) = read.expect("Get answers").result else {
            panic!("{writer:?} {reader:?}");
        };
        assert_eq!(hit.value, ada);
        assert_eq!(hit.entry.content_type, writer.content_type());
    }
    let Lookup::Hit(entry) = cache.get("k").await.expect("Get answers").result else {
        panic!("a hit");
    };
    // Whoever looks with another tool can read it.
    assert_eq!(entry.value, Value::Text(r#"{"name":"Ada"}"#.to_owned()));
}

#[tokio::test]
async fn what_cannot_be_decoded_is_a_flagged_miss() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    let users = cache.typed::<User>(Codec::Json);
    for (value, content_type) in [
        (&b"\x80\x04K\x07."[..], "application/x-python-pickle"),
        (b"{\"name\":", "application/json"),
        (b"{\"id\":7}", "application/json"),
        (b"", ""),
    ] {
        written(&cache, value, content_type).await;
        let read = users.get("k").await.expect("Get answers");
        assert_eq!(read.result, Lookup::Miss, "{content_type}");
        assert_eq!(read.degraded, [Degraded::Undecodable]);
        let reads = users.get_many(["k", "k2"]).await.expect("BatchGet answers");
        assert_eq!(reads.result, [Lookup::Miss, Lookup::Miss]);
        assert_eq!(reads.degraded, [Degraded::Undecodable]);
    }
}

#[tokio::test]
async fn what_cannot_be_decoded_is_loaded_once_and_replaced() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    written(&cache, "7", "application/x-other").await;
    let users = cache.typed::<User>(Codec::Json);
    let loads = AtomicUsize::new(0);
    let load = || async {
        loads.fetch_add(1, SeqCst);
        Ok::<_, Infallible>(user("Ada"))
    };
    let loaded = users.get_or_load("k", LoadOptions::default(), load).await;
    let loaded = loaded.expect("a value");
    assert_eq!(loaded.result.value, Some(user("Ada")));
    let from = loaded.result.from;
    assert!(matches!(from, Loaded::Filled { .. }), "{from:?}");
    assert_eq!(loaded.degraded, [Degraded::Undecodable]);
    let again = users.get_or_load("k", LoadOptions::default(), load).await;
    let again = again.expect("a value").result;
    assert_eq!(again.value, Some(user("Ada")));
    assert!(matches!(again.from, Loaded::Hit(_)), "{:?}", again.from);
    assert_eq!(loads.load(SeqCst), 1);
}

#[tokio::test]
async fn a_replacement_that_was_invalidated_during_its_load_is_not_stored() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    written(&cache, "7", "application/x-other").await;
    let users = cache.typed::<User>(Codec::Json);
    let load = || async {
        let gone = cache.delete("k").await;
        gone.map(|_| user("old"))
    };
    let loaded = users.get_or_load("k", LoadOptions::default(), load).await;
    let loaded = loaded.expect("a value").result;
    assert_eq!(loaded.value, Some(user("old")));
    let Loaded::NotFilled { why, .. } = loaded.from else {
        panic!("{:?}", loaded.from);
    };
    let invalidated = matches!(why, NotFilled::Voided(Voided::Invalidated));
    assert!(invalidated, "{why:?}");
    let read = users.get("k").await.expect("Get answers").result;
    assert_eq!(read, Lookup::Miss);
}

#[tokio::test]
async fn a_value_that_cannot_be_encoded_is_an_error_and_frees_the_key() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    let by_pair = BTreeMap::from([((1, 2), 3)]);
    let pairs = cache.typed::<BTreeMap<(u8, u8), u8>>(Codec::Json);
    let set = pairs.set("k", &by_pair).await;
    let Err(Error::Codec(CodecError::Encode(_))) = set else {
        panic!("{set:?}");
    };
    let load = || async { Ok::<_, Infallible>(by_pair) };
    let loaded = pairs.get_or_load("k", LoadOptions::default(), load).await;
    let Err(LoadError::Cache(Error::Codec(CodecError::Encode(_)))) = loaded else {
        panic!("{loaded:?}");
    };
    let load = || async { Ok::<_, Infallible>("next") };
    let next = cache.get_or_load("k", LoadOptions::default(), load).await;
    let next = next.expect("a value").result;
    assert!(matches!(next, Loaded::Filled { .. }), "{next:?}");
}

#[tokio::test]
async fn nothing_and_what_only_the_loader_knows_are_stored_too() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    let users = cache.typed::<User>(Codec::MessagePack);
    let none = || async { Ok::<_, Infallible>(None::<User>) };
    for _ in 0..2 {
        let loaded = users.get_or_load("k", LoadOptions::default(), none).await;
        assert_eq!(loaded.expect("an answer").result.value, None);
    }
    let read = users.get("k").await.expect("Get answers").result;
    assert!(matches!(read, Lookup::Negative(_)), "{read:?}");
    cache.delete("k").await.expect("OK");
    let entry = EntryOptions::default().source_version(7).tag("users");
    let with = || async { Ok::<_, Infallible>(TypedLoad::With(Some(user("Ada")), entry)) };
    let loaded = users.get_or_load("k", LoadOptions::default(), with).await;
    assert_eq!(loaded.expect("a value").result.value, Some(user("Ada")));
    let Lookup::Hit(hit) = users.get("k").await.expect("Get answers").result else {
        panic!("a hit");
    };
    assert_eq!(hit.entry.source_version, Some(7));
    assert_eq!(hit.entry.tags, ["users"]);
    // What is decoded can be replaced by what it was.
    let expected = Expected::Version(hit.entry.version);
    let swap = cache.compare_and_set(
        "k",
        expected,
        Codec::Json.encode(&user("Bob")).expect("JSON"),
        EntryOptions::default().content_type(Codec::Json.content_type()),
        unstale::Ack::Log,
    );
    swap.await.expect("CompareAndSet answers");
    let Lookup::Hit(hit) = users.get("k").await.expect("Get answers").result else {
        panic!("a hit");
    };
    assert_eq!(hit.value, user("Bob"));
}

/// A client that goes on, and how often it did.
async fn open(pod: &Sidecar) -> (Cache, Arc<(AtomicUsize, Notify)>) {
    let told = Arc::new((AtomicUsize::new(0), Notify::new()));
    let count = told.clone();
    let endpoint = format!("http://127.0.0.1:{}", pod.port());
    let builder = Cache::builder().endpoint(endpoint).on_outage(move |_| {
        count.0.fetch_add(1, SeqCst);
        count.1.notify_one();
    });
    (builder.connect().await.expect("it is there"), told)
}

#[tokio::test]
async fn a_value_that_cannot_be_encoded_is_given_all_the_same() {
    let pod = Sidecar::builder().fresh().await;
    let (cache, told) = open(&pod).await;
    let pairs = cache.typed::<BTreeMap<(u8, u8), u8>>(Codec::Json);
    let by_pair = BTreeMap::from([((1, 2), 3)]);
    for round in 1..=3 {
        let load = || async { Ok::<_, Infallible>(by_pair.clone()) };
        let loaded = pairs.get_or_load("k", LoadOptions::default(), load).await;
        let loaded = loaded.expect("a value").result;
        assert_eq!(loaded.value, Some(by_pair.clone()));
        assert!(matches!(loaded.from, Loaded::NotEncoded(_)), "{loaded:?}");
        assert_eq!(told.0.load(SeqCst), round);
        // Another caller holds the lease from now on.
        cache.lease("k").await.expect("Lease answers");
    }
}

#[tokio::test]
async fn callers_who_cannot_decode_a_hit_share_one_load() {
    let pod = Sidecar::builder().fresh().await;
    let (cache, told) = open(&pod).await;
    written(&cache, "7", "application/x-other").await;
    let users = cache.typed::<User>(Codec::Json);
    let (loads, told) = (AtomicUsize::new(0), &told);
    let load = || async {
        loads.fetch_add(1, SeqCst);
        // Both were told: who is told joins at once.
        while told.0.load(SeqCst) < 2 {
            told.1.notified().await;
        }
        Ok::<_, Infallible>(user("Ada"))
    };
    let call = || users.get_or_load("k", LoadOptions::default(), load);
    let (one, two) = tokio::join!(call(), call());
    for loaded in [one, two] {
        let loaded = loaded.expect("a value");
        assert_eq!(loaded.result.value, Some(user("Ada")));
        assert_eq!(loaded.degraded, [Degraded::Undecodable]);
    }
    assert_eq!(loads.load(SeqCst), 1);
}

#[tokio::test]
async fn a_loader_says_how_nothing_is_stored_too() {
    let pod = Sidecar::builder().fresh().await;
    let users = client(&pod).await.typed::<User>(Codec::Json);
    let load = || async {
        let entry = EntryOptions::default().source_version(7).tag("users");
        Ok::<_, Infallible>(TypedLoad::With(None, entry))
    };
    let loaded = users.get_or_load("k", LoadOptions::default(), load).await;
    let loaded = loaded.expect("an answer").result;
    assert_eq!(loaded.value, None);
    assert!(
        matches!(loaded.from, Loaded::Filled { .. }),
        "{:?}",
        loaded.from
    );
    let found = users.get("k").await.expect("Get answers").result;
    let Lookup::Negative(negative) = found else {
        panic!("{found:?}");
    };
    assert_eq!(negative.tags, ["users"]);
}
