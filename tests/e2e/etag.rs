//! Etags: what is held is not sent again, replaced only if it is still there,
//! and what is stored already needs no record in the log.

use crate::fleet::Fleet;
use crate::sdk::client;
use crate::watcher::Watcher;
use crate::words::{gone, look, put, read};
use futures::future::join_all;
use std::time::Duration;
use unstale::{
    Ack, Cache, CasOutcome, Entry, EntryOptions, Expected, Invalidate, Lookup, NotModified,
    ReadOptions, SetOptions, SetOutcome,
};
use unstale_tests::Sidecar;

const LONG: Duration = Duration::from_secs(600);

async fn entry(cache: &Cache) -> Entry {
    match look(cache, "k").await {
        Lookup::Hit(entry) => entry,
        other => panic!("no hit: {other:?}"),
    }
}

async fn held(cache: &Cache, etag: &str) -> Lookup {
    let options = ReadOptions::default().if_none_match(etag);
    let read = cache.get_with("k", options).await;
    read.expect("Get answers").result
}

async fn appended(pod: &Sidecar) -> u64 {
    pod.metric("unstale_log_appended_total").await
}

async fn refreshed(pod: &Sidecar) -> u64 {
    pod.metric("unstale_sets_refreshed_total").await
}

#[tokio::test]
async fn equal_content_is_not_modified_on_every_pod_also_after_it_was_stored_anew() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    put(&pods[0], "k", "v", EntryOptions::default()).await;
    let first = entry(&pods[0]).await;
    let same = |seen: Lookup, version: &str| match seen {
        Lookup::NotModified(NotModified {
            etag, version: v, ..
        }) => {
            assert_eq!((&*etag, &*v), (&*first.etag, version));
        }
        other => panic!("{other:?}"),
    };
    gone(&pods[0], Invalidate::default().key("k")).await;
    let position = put(&pods[0], "k", "v", EntryOptions::default()).await;
    let again = entry(&pods[0]).await;
    assert_ne!(again.version, first.version);
    for pod in &pods {
        same(
            held(&pod.after(&position), &first.etag).await,
            &again.version,
        );
    }
    let position = put(&pods[1], "k", "w", EntryOptions::default()).await;
    for pod in &pods {
        let seen = held(&pod.after(&position), &first.etag).await;
        assert!(matches!(seen, Lookup::Hit(_)), "{seen:?}");
    }
    let position = gone(&pods[1], Invalidate::default().key("k")).await;
    for pod in &pods {
        let seen = held(&pod.after(&position), &first.etag).await;
        assert_eq!(seen, Lookup::Miss, "what is gone cannot be unmodified");
    }
}

#[tokio::test]
async fn of_many_who_replace_the_same_content_by_its_etag_one_wins() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    put(&pods[0], "k", "0", EntryOptions::default()).await;
    for round in 1..=10 {
        let etag = entry(&pods[0]).await.etag;
        let swap = |i: usize| {
            let value = format!("{round}-{i}");
            let expected = Expected::Etag(etag.clone());
            let none = EntryOptions::default();
            pods[i % 2].compare_and_set("k", expected, value, none, Ack::Log)
        };
        let swapped = join_all((0..8).map(swap)).await;
        let swapped = swapped
            .into_iter()
            .map(|s| s.expect("CompareAndSet answers"));
        let (won, lost): (Vec<_>, Vec<_>) =
            swapped.partition(|s| matches!(s.result, CasOutcome::Stored { .. }));
        assert_eq!((won.len(), lost.len()), (1, 7), "round {round}");
        // The next round begins where this one ended, on both pods.
        for pod in &pods {
            let seen = read(&pod.after(&won[0].position), "k").await;
            assert!(seen.is_some_and(|v| v.starts_with(&format!("{round}-"))));
        }
    }
}

#[tokio::test]
async fn a_set_of_what_is_stored_already_prolongs_it_and_appends_nothing() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let options = |ttl| EntryOptions::default().ttl(ttl).tag("t").source_version(3);
    let position = put(&pods[0], "k", "v", options(LONG)).await;
    let first = entry(&pods[1].after(&position)).await;
    let (mut watcher, _) = Watcher::after(&fleet.pods[1], &position).await;
    let counts = || async {
        let [a, b] = [&fleet.pods[0], &fleet.pods[1]];
        let appended = appended(a).await + appended(b).await;
        (appended, refreshed(a).await + refreshed(b).await)
    };
    let (before, none) = counts().await;
    assert_eq!(none, 0);
    for pod in &pods {
        put(pod, "k", "v", options(LONG * 2)).await;
        let now = entry(pod).await;
        assert_eq!((&now.version, &now.etag), (&first.version, &first.etag));
        assert!(now.ttl_left > LONG, "{now:?}");
    }
    assert_eq!(counts().await, (before, 2));
    // In log order, the next that anybody hears of is this one.
    gone(&pods[0], Invalidate::default().key("next")).await;
    assert_eq!(watcher.key().await.0, "next");
}

#[tokio::test]
async fn whatever_differs_is_appended_and_so_is_fleet() {
    let fleet = Fleet::of(1).await;
    let cache = client(&fleet.pods[0]).await;
    let plain = EntryOptions::default;
    put(&cache, "k", "v", plain()).await;
    let differing = [
        ("content", "w", plain(), Ack::Log),
        ("a tag", "w", plain().tag("t"), Ack::Log),
        ("no tag", "w", plain(), Ack::Log),
        ("content type", "w", plain().content_type("x/y"), Ack::Log),
        ("no content type", "w", plain(), Ack::Log),
        ("source version", "w", plain().source_version(1), Ack::Log),
        ("a later one", "w", plain().source_version(2), Ack::Log),
        ("FLEET", "w", plain().source_version(2), Ack::Fleet),
    ];
    for (what, value, entry, ack) in differing {
        let before = appended(&fleet.pods[0]).await;
        let options = SetOptions::from(entry).ack(ack);
        let set = cache.set_with("k", value, options).await;
        let set = set.expect("Set answers").result;
        assert!(matches!(set, SetOutcome::Stored { .. }), "{what}: {set:?}");
        assert_eq!(appended(&fleet.pods[0]).await, before + 1, "{what}");
    }
    assert_eq!(refreshed(&fleet.pods[0]).await, 0);
}

#[tokio::test]
async fn what_was_refreshed_is_still_covered_by_what_came_before_the_refresh() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let tagged = || EntryOptions::default().tag("t");
    for round in 0..30 {
        let position = put(&pods[0], "k", "v", tagged()).await;
        assert!(read(&pods[1].after(&position), "k").await.is_some());
        // Side by side: either order is right, a value from before is not.
        let what = Invalidate::default().tag("t");
        let (refresh, position) = tokio::join!(
            pods[1].set_with("k", "v", tagged().into()),
            gone(&pods[0], what)
        );
        let refresh = refresh.expect("Set answers");
        let SetOutcome::Stored { version } = refresh.result else {
            panic!("{refresh:?}");
        };
        let after = pods[0].after(&position);
        let Lookup::Hit(seen) = look(&after, "k").await else {
            continue;
        };
        // It was written, not refreshed: after the invalidation.
        assert_eq!(Some(&seen.version), version.as_ref(), "round {round}");
        let number = |text: &str| -> u64 {
            let (_, number) = text.rsplit_once('-').expect("a position");
            number.parse().expect("a number")
        };
        assert!(number(&seen.version) > number(&position), "round {round}");
    }
}
