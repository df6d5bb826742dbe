//! Soft and hard invalidation: what is stale is flagged with its reason and
//! only given to who asks for it; what is gone is never given.

use crate::fleet::Fleet;
use crate::sdk::client;
use crate::words::{any, gone, grant, lease, put, read, text};
use std::time::Duration;
use unstale::{
    Cache, EntryOptions, Filled, Freshness, Invalidate, LeaseOptions, Leased, StaleReason,
};
use unstale_tests::{PATIENCE, eventually};

const LONG: Duration = Duration::from_secs(600);

fn keeps() -> EntryOptions {
    EntryOptions::default().ttl(LONG).stale_for(LONG).tag("t")
}

fn soft() -> Option<(String, Option<StaleReason>)> {
    Some(("old".to_owned(), Some(StaleReason::SoftInvalidated)))
}

/// Every way to make `a:b` stale or gone.
const COVERS: [fn() -> Invalidate; 5] = [
    || Invalidate::default().key("a:b"),
    || Invalidate::default().tag("t"),
    || Invalidate::default().prefix("a:"),
    || Invalidate::default().prefix("a:b"),
    || Invalidate::default().all(),
];

#[tokio::test]
async fn what_is_invalidated_softly_is_stale_on_every_pod_and_hard_ends_it() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    for (i, cover) in COVERS.into_iter().enumerate() {
        let position = put(&pods[0], "a:b", "old", keeps()).await;
        // In this pod's L1; the other has it in the remote tier only.
        assert!(read(&pods[0].after(&position), "a:b").await.is_some());
        let position = gone(&pods[1], cover().soft()).await;
        for pod in &pods {
            let pod = pod.after(&position);
            assert_eq!(read(&pod, "a:b").await, None, "cover {i}");
            assert_eq!(any(&pod, "a:b").await, soft(), "cover {i}");
        }
        let position = gone(&pods[1], cover()).await;
        for pod in &pods {
            assert_eq!(any(&pod.after(&position), "a:b").await, None, "cover {i}");
        }
    }
}

#[tokio::test]
async fn a_soft_invalidation_after_a_hard_one_brings_nothing_back() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    for hard in COVERS {
        for soft in COVERS {
            put(&pods[0], "a:b", "old", keeps()).await;
            gone(&pods[0], hard()).await;
            let position = gone(&pods[1], soft().soft()).await;
            for pod in &pods {
                assert_eq!(any(&pod.after(&position), "a:b").await, None);
            }
        }
    }
}

#[tokio::test]
async fn a_pod_that_comes_later_knows_what_is_stale_and_what_is_gone() {
    let fleet = Fleet::of(1).await;
    let pod = client(&fleet.pods[0]).await;
    put(&pod, "stale", "old", keeps()).await;
    put(&pod, "gone", "old", keeps()).await;
    gone(&pod, Invalidate::default().tag("t").soft()).await;
    gone(&pod, Invalidate::default().key("gone")).await;
    let late = fleet.late().await;
    let late = client(&late).await;
    assert_eq!(read(&late, "stale").await, None);
    assert_eq!(any(&late, "stale").await, soft());
    assert_eq!(any(&late, "gone").await, None);
}

async fn expires(cache: &Cache, key: &str) {
    let ask = || async { read(cache, key).await.map_or(Ok(()), Err) };
    eventually("the end of the ttl", PATIENCE, ask).await;
}

#[tokio::test]
async fn what_has_expired_is_stale_for_as_long_as_its_writer_said() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let short = EntryOptions::default().ttl(Duration::from_millis(200));
    put(&pods[0], "kept", "old", short.clone().stale_for(LONG)).await;
    put(&pods[0], "ended", "old", short.clone()).await;
    let both = short.stale_for(LONG).valid_for(Duration::from_millis(400));
    put(&pods[0], "valid", "old", both).await;
    for pod in &pods {
        for key in ["kept", "ended", "valid"] {
            expires(pod, key).await;
        }
        let expired = Some(("old".to_owned(), Some(StaleReason::Expired)));
        assert_eq!(any(pod, "kept").await, expired);
        assert_eq!(any(pod, "ended").await, None);
        let ask = || async {
            any(pod, "valid")
                .await
                .map_or(Ok(()), |e| Err(format!("{e:?}")))
        };
        eventually("the end of valid_for", PATIENCE, ask).await;
    }
}

#[tokio::test]
async fn while_one_refreshes_every_pod_gives_the_stale_value_beside_busy() {
    let fleet = Fleet::of(3).await;
    let pods = fleet.clients().await;
    put(&pods[0], "k", "old", keeps()).await;
    let position = gone(&pods[0], Invalidate::default().key("k").soft()).await;
    let loader = grant(&pods[0], "k").await;
    let stale = loader.stale.as_ref().expect("what was there");
    assert_eq!((text(stale), stale.freshness), ("old", Freshness::Stale));
    for pod in &pods {
        let patient = LeaseOptions::default().wait(Duration::from_secs(20));
        match lease(&pod.after(&position), "k", patient).await {
            Leased::Busy {
                stale: Some(stale), ..
            } => {
                assert_eq!(text(&stale), "old");
                assert_eq!(stale.stale_reason, Some(StaleReason::SoftInvalidated));
            }
            other => panic!("{other:?}"),
        }
    }
    let filled = pods[0].fill(&loader.token, "new", keeps()).await;
    let filled = filled.expect("Fill answers");
    assert!(matches!(filled.result, Filled::Stored { .. }), "{filled:?}");
    for pod in &pods {
        let pod = pod.after(&filled.position);
        assert_eq!(read(&pod, "k").await.as_deref(), Some("new"));
        assert_eq!(any(&pod, "k").await, Some(("new".to_owned(), None)));
    }
}

#[tokio::test]
async fn a_hard_invalidation_takes_the_stale_value_from_a_refresh_under_way() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    put(&pods[0], "k", "old", keeps()).await;
    gone(&pods[0], Invalidate::default().key("k").soft()).await;
    let loader = grant(&pods[0], "k").await;
    assert!(loader.stale.is_some());
    let position = gone(&pods[1], Invalidate::default().tag("t")).await;
    for pod in &pods {
        let pod = pod.after(&position);
        assert_eq!(any(&pod, "k").await, None);
        match lease(&pod, "k", LeaseOptions::default()).await {
            Leased::Busy { stale, .. } => assert_eq!(stale, None),
            other => panic!("{other:?}"),
        }
    }
}
