//! References across real pods on a real NATS server: counted right whatever dies,
//! ended by their terms, kept in L1 within bounds.

use crate::calls::{found, get, get_after, set};
use crate::fleet::Fleet;
use crate::sdk::client;
use std::time::Duration;
use unstale::{Cache, Error, Pinning, Reference, Released, RetainOptions, Tier};
use unstale_tests::{PATIENCE, Sidecar, eventually};

pub(crate) const SHORT: Duration = Duration::from_secs(2);
pub(crate) const LONG: Duration = Duration::from_secs(600);

pub(crate) fn of(term: Duration) -> RetainOptions {
    RetainOptions::default().term(term)
}

/// Retains; right after a start or an outage it may take a moment.
pub(crate) async fn retain(
    cache: &Cache,
    key: &str,
    owner: &str,
    options: RetainOptions,
) -> Reference {
    let ask = || async {
        let told = cache.retain_as(key, owner, options.clone()).await;
        told.map_err(|error| error.to_string())
    };
    eventually("a reference", PATIENCE, ask).await
}

pub(crate) async fn count(cache: &Cache, key: &str) -> u32 {
    let told = cache.explain(key).await.expect("Explain answers");
    told.references.map_or(0, |references| references.count)
}

/// Waits until the pod counts so many.
pub(crate) async fn counts(cache: &Cache, key: &str, expected: u32) {
    let ask = || async {
        let seen = count(cache, key).await;
        (seen == expected).then_some(()).ok_or(format!("{seen}"))
    };
    eventually("the count", PATIENCE, ask).await;
}

pub(crate) async fn release(cache: &Cache, key: &str, owner: &str) -> Option<u32> {
    match cache.release(key, owner).await.expect("Release answers") {
        Released::Done { references, .. } => Some(references),
        Released::NotRetained => None,
    }
}

/// How often the entry was dropped, as the pod remembers.
async fn drops(cache: &Cache, key: &str) -> usize {
    let told = cache.explain(key).await.expect("Explain answers");
    let reasons = told.changes.iter().map(|change| change.reason.as_str());
    reasons
        .filter(|why| *why == "references: none left")
        .count()
}

#[tokio::test]
async fn owners_are_counted_once_in_the_whole_fleet() {
    let fleet = Fleet::of(3).await;
    let clients = fleet.clients().await;
    let [one, two, three] = &clients[..] else {
        panic!("three pods")
    };
    assert_eq!(retain(one, "k", "a", of(LONG)).await.references, 1);
    assert_eq!(retain(two, "k", "b", of(LONG)).await.references, 2);
    assert_eq!(retain(three, "k", "a", of(LONG)).await.references, 2);
    assert_eq!(retain(three, "other", "a", of(LONG)).await.references, 1);
    let told = two.explain("k").await.expect("Explain answers");
    let owners = told.references.expect("there are some").owners;
    let owners: Vec<_> = owners
        .iter()
        .map(|o| (o.owner.as_str(), o.pod.as_str()))
        .collect();
    assert_eq!(owners, [("a", "pod-2"), ("b", "pod-1")]);
    // Released where it was not retained, right after.
    assert_eq!(release(one, "k", "b").await, Some(1));
    assert_eq!(release(two, "k", "b").await, None);
    assert_eq!(release(three, "k", "never").await, None);
    for pod in &clients {
        counts(pod, "k", 1).await;
    }
    // One that came later knows them all.
    let pod = fleet.late().await;
    let late = client(&pod).await;
    counts(&late, "other", 1).await;
    assert_eq!(release(&late, "k", "a").await, Some(0));
}

#[tokio::test]
async fn a_dead_owners_term_ends_its_reference_and_drops_the_entry_once() {
    let fleet = Fleet::of(2).await;
    let clients = fleet.clients().await;
    let (one, two) = (&clients[0], &clients[1]);
    set(&fleet.pods[0], "k", "v").await;
    retain(one, "k", "dead", of(SHORT).drop_at_zero()).await;
    counts(two, "k", 1).await;
    assert!(get(&fleet.pods[1], "k").await.is_some());
    for pod in &clients {
        counts(pod, "k", 0).await;
    }
    for pod in &fleet.pods {
        let ask = || async {
            let seen = get(pod, "k").await;
            seen.is_none().then_some(()).ok_or(format!("{seen:?}"))
        };
        eventually("the drop", PATIENCE, ask).await;
    }
    // It was one drop: what is written after it stays, while another term ends, which
    // is longer than it takes to drop again.
    set(&fleet.pods[0], "k", "w").await;
    retain(one, "later", "dead", of(Duration::from_secs(6))).await;
    for pod in &clients {
        counts(pod, "later", 0).await;
    }
    assert_eq!(get(&fleet.pods[1], "k").await.as_deref(), Some("w"));
    assert_eq!((drops(one, "k").await, drops(two, "k").await), (1, 1));
    assert_eq!(release(one, "k", "dead").await, None);
}

#[tokio::test]
async fn the_last_release_drops_the_entry_on_every_pod() {
    let fleet = Fleet::of(2).await;
    let clients = fleet.clients().await;
    let (one, two) = (&clients[0], &clients[1]);
    let position = set(&fleet.pods[0], "k", "v").await;
    retain(one, "k", "a", of(LONG).drop_at_zero()).await;
    retain(two, "k", "b", of(LONG).drop_at_zero()).await;
    let read = get_after(&fleet.pods[1], ("", "k"), &position).await;
    assert!(found(&read.expect("Get answers")).is_some());
    assert_eq!(release(one, "k", "a").await, Some(1));
    let last = two.release("k", "b").await.expect("Release answers");
    let Released::Done {
        references: 0,
        dropped: Some(at),
    } = last
    else {
        panic!("{last:?}")
    };
    for pod in &fleet.pods {
        let read = get_after(pod, ("", "k"), &at).await;
        assert_eq!(found(&read.expect("Get answers")), None);
    }
}

#[tokio::test]
async fn a_killed_pods_owners_are_counted_until_their_term_and_dropped_by_another() {
    let mut fleet = Fleet::of(2).await;
    let clients = fleet.clients().await;
    let (one, two) = (&clients[0], &clients[1]);
    set(&fleet.pods[0], "k", "v").await;
    retain(two, "k", "lives", of(LONG)).await;
    retain(one, "k", "dies", of(Duration::from_secs(4)).drop_at_zero()).await;
    fleet.pods[0].kill();
    assert_eq!(count(two, "k").await, 2);
    counts(two, "k", 1).await;
    // The last one to go had not asked for it.
    assert_eq!(release(two, "k", "lives").await, Some(0));
    assert_eq!(get(&fleet.pods[1], "k").await.as_deref(), Some("v"));
}

#[tokio::test]
async fn counts_are_right_after_a_restart_of_nats() {
    let mut fleet = Fleet::of(2).await;
    let clients = fleet.clients().await;
    let (one, two) = (&clients[0], &clients[1]);
    set(&fleet.pods[0], "k", "v").await;
    let kept = retain(one, "k", "a", of(LONG)).await;
    assert_eq!(kept.here, Pinning::Pinned);
    retain(two, "k", "b", of(LONG)).await;
    retain(two, "k", "dies", of(SHORT)).await;
    fleet.nats.stop();
    let away = || async {
        match one.retain_as("k", "c", of(LONG)).await {
            Err(Error::Unavailable {
                reason,
                retry_after: Some(_),
                ..
            }) if reason == "REFERENCES_UNAVAILABLE" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    eventually("that it is away", PATIENCE, away).await;
    let status = fleet.pods[0].status().await;
    assert!(!status.references_error.is_empty());
    assert_eq!(status.pinned_entries, 1, "for its term");
    // This one's term passes, by the pods' own clocks.
    counts(one, "k", 2).await;
    fleet.nats.restart();
    assert_eq!(retain(one, "k", "c", of(LONG)).await.references, 3);
    counts(two, "k", 3).await;
    assert_eq!(release(two, "k", "a").await, Some(2));
    assert_eq!(release(two, "k", "dies").await, None);
    // Again, with all pods new.
    for pod in &mut fleet.pods {
        pod.kill();
    }
    fleet.nats.restart();
    let pod = fleet.late().await;
    counts(&client(&pod).await, "k", 2).await;
}

/// Where the pod has the key.
async fn tier(cache: &Cache, key: &str) -> Option<Tier> {
    let found = cache.get(key).await.expect("Get answers").result;
    match found {
        unstale::Lookup::Hit(entry) => Some(entry.tier),
        _ => None,
    }
}

#[tokio::test]
async fn what_is_referred_to_stays_in_a_tiny_l1_within_its_share() {
    let fleet = Fleet::configured(1, "l1_bytes = \"1MiB\"\nl1_pinned_share = \"10%\"\n").await;
    let cache = client(&fleet.pods[0]).await;
    let big = "v".repeat(40_000);
    for key in ["a", "b", "c", "free"] {
        cache.set(key, big.as_str()).await.expect("Set answers");
    }
    let mut here = Vec::new();
    for key in ["a", "b", "c"] {
        here.push(retain(&cache, key, "o", of(LONG)).await.here);
    }
    assert_eq!(here, [Pinning::Pinned, Pinning::Pinned, Pinning::NoRoom]);
    for n in 0..300 {
        let key = format!("flood {n}");
        let text = "v".repeat(10_000);
        cache.set(key.as_str(), text).await.expect("Set answers");
        // Wanted more than what nobody has read.
        for _ in 0..4 {
            cache.get(key.as_str()).await.expect("Get answers");
        }
    }
    let status = cache.status().await.expect("Status answers");
    assert_eq!((status.pinned_entries, status.references), (2, 3));
    assert!(status.pinned_bytes <= status.pinned_max_bytes);
    assert!(status.l1_bytes <= status.l1_max_bytes + status.pinned_max_bytes);
    assert_eq!(tier(&cache, "a").await, Some(Tier::L1));
    assert_eq!(tier(&cache, "b").await, Some(Tier::L1));
    assert_eq!(tier(&cache, "free").await, Some(Tier::Remote));
    release(&cache, "a", "o").await;
    release(&cache, "b", "o").await;
    assert_eq!(fleet.pods[0].metric("unstale_pinned_bytes").await, 0);
}

#[tokio::test]
async fn a_guard_renews_its_reference_and_releases_it_when_it_is_dropped() {
    let fleet = Fleet::of(1).await;
    let cache = client(&fleet.pods[0]).await;
    retain(&cache, "warm", "up", of(LONG)).await;
    let options = of(Duration::from_secs(1));
    let (guard, other) = (
        cache
            .retain_with("k", options.clone())
            .await
            .expect("it is held"),
        cache.retain_with("k", options).await.expect("it is held"),
    );
    assert_ne!(guard.owner(), other.owner());
    assert_eq!(other.newest().map(|told| told.references), Some(2));
    // Nobody renews this one, of a longer term: theirs would be over.
    retain(&cache, "passes", "x", of(Duration::from_secs(3))).await;
    counts(&cache, "passes", 0).await;
    assert_eq!(count(&cache, "k").await, 2);
    let released = other.release().await.expect("Release answers");
    assert!(matches!(released, Released::Done { references: 1, .. }));
    drop(guard);
    counts(&cache, "k", 0).await;
}

#[tokio::test]
async fn without_a_sidecar_a_guard_tries_on() {
    let mut pod = Sidecar::builder().fresh().await;
    let endpoint = format!("http://127.0.0.1:{}", pod.port());
    let connected = Cache::builder().endpoint(endpoint.as_str()).connect().await;
    let open = connected.expect("it is there");
    pod.kill();
    let guard = open.retain_with("k", of(Duration::from_secs(1))).await;
    let guard = guard.expect("the block runs");
    assert_eq!(guard.newest(), None);
    assert!(guard.release().await.is_err(), "that is told");
    let strict = Cache::builder().strict().endpoint(endpoint.as_str()).lazy();
    let strict = strict.expect("an endpoint");
    assert!(strict.retain("k").await.is_err());
}
