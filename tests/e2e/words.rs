//! The Rust client's calls as the tests say them: texts in, texts out.

use unstale::{
    Cache, Degraded, Entry, EntryOptions, Freshness, Grant, Invalidate, LeaseOptions, Leased,
    Lookup, ReadLevel, ReadOptions, SetOptions, SetOutcome, StaleReason,
};

/// The text of an entry.
pub(crate) fn text(entry: &Entry) -> &str {
    std::str::from_utf8(entry.value.as_bytes()).expect("a text")
}

/// Set that must store; the position after it.
pub(crate) async fn put(cache: &Cache, key: &str, text: &str, entry: EntryOptions) -> String {
    let set = cache.set_with(key, text, SetOptions::from(entry)).await;
    let set = set.expect("Set answers");
    assert!(matches!(set.result, SetOutcome::Stored { .. }), "{set:?}");
    set.position
}

/// Invalidates; the position of that.
pub(crate) async fn gone(cache: &Cache, what: Invalidate) -> String {
    let done = cache.invalidate(what).await.expect("OK");
    done.position.expect("a position")
}

/// What a read finds.
pub(crate) async fn look(cache: &Cache, key: &str) -> Lookup {
    cache.get(key).await.expect("Get answers").result
}

/// The text that a plain read finds, which must be fresh then.
pub(crate) async fn read(cache: &Cache, key: &str) -> Option<String> {
    match look(cache, key).await {
        Lookup::Hit(entry) => {
            assert_eq!(entry.freshness, Freshness::Fresh, "{entry:?}");
            Some(text(&entry).to_owned())
        }
        Lookup::Miss => None,
        other => panic!("neither found nor missing: {other:?}"),
    }
}

/// What a read that takes stale entries finds: the text, and why it is stale.
pub(crate) async fn any(cache: &Cache, key: &str) -> Option<(String, Option<StaleReason>)> {
    let options = ReadOptions::default().level(ReadLevel::StaleOk);
    let answer = cache.get_with(key, options).await;
    match answer.expect("Get answers").result {
        Lookup::Hit(entry) => {
            let stale = entry.freshness == Freshness::Stale;
            assert_eq!(stale, entry.stale_reason.is_some(), "{entry:?}");
            Some((text(&entry).to_owned(), entry.stale_reason))
        }
        Lookup::Miss => None,
        other => panic!("neither found nor missing: {other:?}"),
    }
}

/// Lease without waiting.
pub(crate) async fn lease(cache: &Cache, key: &str, options: LeaseOptions) -> Leased {
    let leased = cache.lease_with(key, options).await;
    leased.expect("Lease answers").result
}

/// Lease that must be granted at once.
pub(crate) async fn grant(cache: &Cache, key: &str) -> Grant {
    granted(lease(cache, key, LeaseOptions::default()).await)
}

/// The same while the tier is away: the answer says that the grant is exclusive
/// in its pod only.
pub(crate) async fn grant_degraded(cache: &Cache, key: &str) -> Grant {
    let leased = cache.lease_with(key, LeaseOptions::default()).await;
    let leased = leased.expect("Lease answers");
    assert_eq!(leased.degraded, [Degraded::RemoteUnavailable], "{leased:?}");
    granted(leased.result)
}

/// The grant of a lease that was granted.
pub(crate) fn granted(leased: Leased) -> Grant {
    match leased {
        Leased::Granted(grant) => grant,
        other => panic!("not granted: {other:?}"),
    }
}
