//! While a pod cannot know what is current it calls nothing fresh: it says
//! missing, or gives what it has, flagged, where that is asked for. What is
//! below a hard floor it gives to nobody.

use crate::fleet::Fleet;
use crate::sdk::client;
use crate::words::{any, gone, put, read, text};
use std::time::Duration;
use unstale::{
    Ack, Cache, Degraded, EntryOptions, Freshness, Invalidate, LeaseOptions, Leased, Lookup,
    ReadLevel, ReadOptions, SessionState, StaleReason,
};
use unstale_tests::{PATIENCE, Sidecar, eventually};

const LONG: Duration = Duration::from_secs(600);
/// Two namespaces that differ in what a plain read gets.
const POLICIES: &str = "[namespace.catalog]\non_session_loss = \"serve_stale\"\n";

async fn catalog(pod: &Sidecar) -> Cache {
    let endpoint = format!("http://127.0.0.1:{}", pod.port());
    let builder = Cache::builder()
        .strict()
        .endpoint(endpoint)
        .namespace("catalog");
    builder.connect().await.expect("it is there")
}

async fn is_lapsed(cache: &Cache) {
    let ask = || async {
        let state = cache.status().await.map_err(|e| e.to_string())?;
        let state = state.session_state;
        (state == SessionState::Lapsed)
            .then_some(())
            .ok_or(format!("{state:?}"))
    };
    eventually("the end of the session", PATIENCE, ask).await;
}

fn lost() -> Option<(String, Option<StaleReason>)> {
    Some(("old".to_owned(), Some(StaleReason::SessionNotFresh)))
}

async fn level(cache: &Cache, level: ReadLevel) -> (Lookup, Vec<Degraded>) {
    let read = cache.get_with("k", ReadOptions::default().level(level));
    let read = read.await.expect("Get answers");
    (read.result, read.degraded)
}

#[tokio::test]
async fn without_a_session_each_namespace_answers_as_its_policy_says() {
    let mut fleet = Fleet::configured(1, POLICIES).await;
    let bypass = client(&fleet.pods[0]).await;
    let serve = catalog(&fleet.pods[0]).await;
    for cache in [&bypass, &serve] {
        put(cache, "k", "old", EntryOptions::default().ttl(LONG)).await;
        assert!(read(cache, "k").await.is_some());
    }
    fleet.nats.stop();
    is_lapsed(&bypass).await;
    let (found, degraded) = level(&bypass, ReadLevel::Bounded).await;
    assert_eq!(found, Lookup::Miss);
    assert!(
        degraded.contains(&Degraded::SessionNotFresh),
        "{degraded:?}"
    );
    assert_eq!(any(&bypass, "k").await, lost());
    let (found, degraded) = level(&serve, ReadLevel::Bounded).await;
    let Lookup::Hit(entry) = found else {
        panic!("{found:?}");
    };
    assert_eq!((text(&entry), entry.freshness), ("old", Freshness::Stale));
    assert_eq!(entry.stale_reason, Some(StaleReason::SessionNotFresh));
    assert!(
        degraded.contains(&Degraded::SessionNotFresh),
        "{degraded:?}"
    );
    for cache in [&bypass, &serve] {
        let (found, degraded) = level(cache, ReadLevel::Strong).await;
        assert_eq!(found, Lookup::Miss, "STRONG has no stale answer");
        assert!(
            degraded.contains(&Degraded::SessionNotFresh),
            "{degraded:?}"
        );
    }
    fleet.nats.restart();
    fleet.is_whole().await;
    for cache in [&bypass, &serve] {
        let (found, degraded) = level(cache, ReadLevel::Bounded).await;
        if let Lookup::Hit(entry) = &found {
            assert_eq!(entry.freshness, Freshness::Fresh, "{entry:?}");
        }
        assert_eq!(degraded, []);
    }
}

#[tokio::test]
async fn without_a_session_nothing_below_a_hard_floor_is_served() {
    let mut fleet = Fleet::configured(1, POLICIES).await;
    let cache = catalog(&fleet.pods[0]).await;
    let keeps = || EntryOptions::default().ttl(LONG).stale_for(LONG);
    for key in ["before", "soft", "during"] {
        put(&cache, key, "old", keeps().tag(key)).await;
    }
    gone(&cache, Invalidate::default().tag("before")).await;
    gone(&cache, Invalidate::default().tag("soft").soft()).await;
    fleet.nats.stop();
    is_lapsed(&cache).await;
    assert_eq!(any(&cache, "during").await, lost());
    let (_, reason) = any(&cache, "soft").await.expect("it is stale, not gone");
    assert_eq!(reason, Some(StaleReason::SoftInvalidated));
    assert_eq!(any(&cache, "before").await, None);
    // LOCAL needs no log to bind this pod.
    let what = Invalidate::default().tag("during").ack(Ack::Local);
    cache.invalidate(what).await.expect("OK");
    assert_eq!(any(&cache, "during").await, None);
    fleet.nats.restart();
    fleet.is_whole().await;
    for key in ["before", "during"] {
        assert_eq!(any(&cache, key).await, None, "{key}");
    }
}

#[tokio::test]
async fn a_lease_without_a_session_is_this_pods_own_and_carries_what_is_stale() {
    let mut fleet = Fleet::of(1).await;
    let cache = client(&fleet.pods[0]).await;
    put(&cache, "k", "old", EntryOptions::default().ttl(LONG)).await;
    fleet.nats.stop();
    is_lapsed(&cache).await;
    let leased = cache.lease_with("k", LeaseOptions::default()).await;
    let leased = leased.expect("Lease answers");
    assert!(!leased.degraded.is_empty(), "{leased:?}");
    let Leased::Granted(grant) = leased.result else {
        panic!("{leased:?}");
    };
    let stale = grant.stale.expect("what was there");
    assert_eq!(stale.stale_reason, Some(StaleReason::SessionNotFresh));
    let second = cache.lease("k").await.expect("Lease answers").result;
    assert!(
        matches!(second, Leased::Busy { stale: Some(_), .. }),
        "{second:?}"
    );
}
