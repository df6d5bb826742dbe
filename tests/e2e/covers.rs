//! Invalidation by tag, prefix and namespace: right for entries that only the
//! remote tier has, for pods that come later, and for fills in flight.

use crate::fleet::Fleet;
use crate::sdk::client;
use crate::words::{gone, grant, put, read};
use unstale::{Cache, EntryOptions, Filled, Invalidate, Voided};

/// Three entries that the cover covers, and one that it must spare.
struct Case {
    what: fn() -> Invalidate,
    covered: [&'static str; 2],
    spared: &'static str,
}

const CASES: [Case; 4] = [
    Case {
        what: || Invalidate::default().tag("red"),
        covered: ["apple", "fruit:cherry"],
        spared: "fruit:lime",
    },
    Case {
        what: || Invalidate::default().prefix("fruit:"),
        covered: ["fruit:cherry", "fruit:lime"],
        spared: "apple",
    },
    // Ends at no delimiter: the small exact table.
    Case {
        what: || Invalidate::default().prefix("fruit:l"),
        covered: ["fruit:lime", "fruit:lemon"],
        spared: "fruit:cherry",
    },
    Case {
        what: || Invalidate::default().all(),
        covered: ["apple", "fruit:lime"],
        spared: "",
    },
];

const RED: [&str; 2] = ["apple", "fruit:cherry"];
const OTHERS: [&str; 2] = ["fruit:lime", "fruit:lemon"];

fn tagged(key: &str) -> EntryOptions {
    match RED.contains(&key) {
        true => EntryOptions::default().tag("round").tag("red"),
        false => EntryOptions::default().tag("round"),
    }
}

/// Stores all through one pod: every other pod's L1 is empty.
async fn stock(cache: &Cache) -> String {
    let mut position = String::new();
    for key in RED.into_iter().chain(OTHERS) {
        position = put(cache, key, "old", tagged(key)).await;
    }
    position
}

async fn holds(cache: &Cache, case: &Case, name: &str) {
    for key in case.covered {
        assert_eq!(read(cache, key).await, None, "{name}: {key}");
    }
    if !case.spared.is_empty() {
        let seen = read(cache, case.spared).await;
        assert_eq!(seen.as_deref(), Some("old"), "{name}: {}", case.spared);
    }
}

#[tokio::test]
async fn a_cover_reaches_what_only_the_remote_tier_has_and_spares_the_rest() {
    let fleet = Fleet::of(3).await;
    let pods = fleet.clients().await;
    for case in &CASES {
        let position = stock(&pods[0]).await;
        // One of them reads all, so that its L1 is full; the last has nothing.
        for key in case.covered {
            let seen = read(&pods[1].after(&position), key).await;
            assert_eq!(seen.as_deref(), Some("old"), "{key}");
        }
        let position = gone(&pods[0], (case.what)()).await;
        for (i, pod) in pods.iter().enumerate() {
            holds(&pod.after(&position), case, &format!("pod {i}")).await;
        }
    }
}

#[tokio::test]
async fn a_pod_that_comes_later_never_returns_what_was_covered_before_it_came() {
    let fleet = Fleet::of(1).await;
    let pod = client(&fleet.pods[0]).await;
    // The remote tier keeps each entry: only the log tells that it is covered.
    for case in &CASES {
        let position = stock(&pod).await;
        gone(&pod, (case.what)()).await;
        let late = fleet.late().await;
        let cache = client(&late).await;
        for key in case.covered {
            assert_eq!(read(&cache, key).await, None, "at once: {key}");
        }
        holds(&cache.after(&position), case, "a late pod").await;
    }
}

#[tokio::test]
async fn a_fill_in_flight_is_voided_by_each_kind_of_cover() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    for (i, case) in CASES.iter().enumerate() {
        let key = case.covered[0];
        let lease = grant(&pods[0], key).await;
        let position = gone(&pods[1], (case.what)()).await;
        // The pod that fills has processed the cover.
        assert_eq!(read(&pods[0].after(&position), key).await, None);
        let filled = pods[0].fill(&lease.token, "old", tagged(key)).await;
        let filled = filled.expect("Fill answers").result;
        let voided = Filled::Voided(Voided::Invalidated);
        assert_eq!(filled, voided, "case {i}");
        for pod in &pods {
            assert_eq!(read(pod, key).await, None, "case {i}");
        }
    }
}

#[tokio::test]
async fn a_fill_that_the_cover_spares_is_stored() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    for case in CASES.iter().filter(|case| !case.spared.is_empty()) {
        let lease = grant(&pods[0], case.spared).await;
        let position = gone(&pods[1], (case.what)()).await;
        let after = pods[0].after(&position);
        assert_eq!(read(&after, case.spared).await, None);
        let filled = after.fill(&lease.token, "v", tagged(case.spared)).await;
        let filled = filled.expect("Fill answers").result;
        assert!(matches!(filled, Filled::Stored { .. }), "{filled:?}");
        gone(&pods[0], Invalidate::default().key(case.spared)).await;
    }
}

#[tokio::test]
async fn a_cover_of_one_namespace_leaves_the_same_names_of_another_alone() {
    let fleet = Fleet::of(1).await;
    let one = client(&fleet.pods[0]).await;
    let endpoint = format!("http://127.0.0.1:{}", fleet.pods[0].port());
    let other = Cache::builder()
        .strict()
        .endpoint(endpoint)
        .namespace("other");
    let other = other.connect().await.expect("it is there");
    stock(&other).await;
    for case in &CASES {
        stock(&one).await;
        gone(&one, (case.what)()).await;
        holds(&one, case, "this namespace").await;
        for key in RED.into_iter().chain(OTHERS) {
            assert_eq!(read(&other, key).await.as_deref(), Some("old"), "{key}");
        }
    }
}
