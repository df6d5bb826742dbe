//! How large a call is before its answer has come: every `await` that a caller wraps
//! around it moves it once more, and a task that makes it is as large. Handed on by
//! value from step to step, a get took 34,792 bytes.

use crate::{Ack, Cache, Codec, Invalidate, LoadOptions, SetItem};
use std::io::Error;
use std::mem::size_of_val;
use unstale_proto::v1::GetRequest;

#[tokio::test]
async fn calls_are_small() {
    let cache = Cache::builder().no_sidecar().connect().await.unwrap();
    let asked = cache.asked(GetRequest::default());
    let load = || async { Ok::<_, Error>("v") };
    let typed = cache.typed::<String>(Codec::Json);
    let sizes = [
        ("lane", size_of_val(&cache.lanes.call(asked))),
        ("get", size_of_val(&cache.get("k"))),
        ("typed get", size_of_val(&typed.get("k"))),
        ("get_many", size_of_val(&cache.get_many(["k"]))),
        ("set", size_of_val(&cache.set("k", "v"))),
        (
            "set_many",
            size_of_val(&cache.set_many([SetItem::new("k", "v")], Ack::Log)),
        ),
        ("delete", size_of_val(&cache.delete("k"))),
        (
            "invalidate",
            size_of_val(&cache.invalidate(Invalidate::default())),
        ),
        ("lease", size_of_val(&cache.lease("k"))),
        (
            "get_or_load",
            size_of_val(&cache.get_or_load("k", LoadOptions::default(), load)),
        ),
    ];
    for (call, size) in sizes {
        // Not far above what the largest of them takes: one more step by value
        // doubles a call.
        let bound = match call {
            "get_or_load" => 6 << 10,
            "set" => 4 << 10,
            _ => 5 << 9,
        };
        assert!(size <= bound, "{call}: {size} bytes");
    }
}
