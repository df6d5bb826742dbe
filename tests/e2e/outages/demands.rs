//! What calls answer while the value tier is away and the log is there, and
//! what they answer afterwards.

use super::outage::Works;
use crate::words::{any, gone, grant_degraded, granted, lease, look, put, read};
use std::time::Duration;
use unstale::{
    Ack, Answer, Cache, CasOutcome, Degraded, EntryOptions, Error, Expected, Filled, Grant,
    Invalidate, LeaseOptions, Leased, Lookup, ReadLevel, ReadOptions, Released, RetainOptions,
    SetOptions, SetOutcome, StaleReason, Tier, Voided,
};
use unstale_tests::{PATIENCE, eventually};

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(100);

/// What was there before the outage.
pub(super) struct Before {
    /// Of the keys: each outage of a fleet has its own.
    name: String,
    granted: Grant,
    version: String,
}

impl Before {
    fn key(&self, key: &str) -> String {
        format!("{}:{key}", self.name)
    }
}

fn long() -> EntryOptions {
    EntryOptions::default().ttl(LONG)
}

/// Whether the tier was not available.
fn remote_is_away<T>(answer: &Answer<T>) -> bool {
    answer.degraded.contains(&Degraded::RemoteUnavailable)
}

/// A read says that the tier was not available if it was not.
fn is_degraded<T: std::fmt::Debug>(answer: &Answer<T>, works: Works) {
    if let Some(reads) = works.reads {
        assert_eq!(remote_is_away(answer), !reads, "{answer:?}");
    }
}

/// Stores what the calls of the outage will need. Two pods.
pub(super) async fn before(pods: &[Cache], name: &str) -> Before {
    let key = |key: &str| format!("{name}:{key}");
    let mut position = String::new();
    let kept = ["held", "gone:log", "gone:fleet", "swapped"].map(key);
    for key in &kept {
        position = put(&pods[0], key, "old", long()).await;
    }
    for key in &kept {
        let found = read(&pods[1].after(&position), key).await;
        assert_eq!(found.as_deref(), Some("old"), "{key}");
    }
    put(&pods[0], &key("far"), "old", long()).await;
    let stale = EntryOptions::default().ttl(SHORT).stale_for(LONG);
    put(&pods[0], &key("stale"), "old", stale).await;
    let ask = || async { read(&pods[0], &key("stale")).await.map_or(Ok(()), Err) };
    eventually("the end of the ttl", PATIENCE, ask).await;
    let retain = || async {
        let term = RetainOptions::default().term(LONG);
        let kept = pods[1].retain_as(key("held"), "early", term).await;
        kept.map(drop).map_err(|error| error.to_string())
    };
    eventually("a reference", PATIENCE, retain).await;
    let leased = pods[0].lease(key("leased")).await.expect("Lease answers");
    assert!(leased.degraded.is_empty(), "{leased:?}");
    let Lookup::Hit(entry) = look(&pods[0], &key("swapped")).await else {
        panic!("it was read")
    };
    Before {
        name: name.to_owned(),
        granted: granted(leased.result),
        version: entry.version,
    }
}

/// Everything a caller may ask for during the outage.
pub(super) async fn during(works: Works, pods: &[Cache], before: &Before) {
    reads(works, pods, before).await;
    writes(works, pods, before).await;
    invalidations(pods, before).await;
    swaps(works, pods, before).await;
    if works.puts == Some(false) {
        leases(pods, before).await;
    }
    if works.reads == Some(false) {
        dependents(&pods[1], before).await;
    }
    references(&pods[1], before).await;
    fills(works, pods, before).await;
}

async fn reads(works: Works, pods: &[Cache], before: &Before) {
    for pod in pods {
        let answer = pod.get(before.key("held")).await.expect("Get answers");
        assert!(matches!(&answer.result, Lookup::Hit(_)), "{answer:?}");
        assert!(answer.degraded.is_empty(), "from L1: {answer:?}");
    }
    let answer = pods[1].get(before.key("far")).await.expect("Get answers");
    match works.reads {
        Some(true) => assert!(matches!(&answer.result, Lookup::Hit(_)), "{answer:?}"),
        Some(false) => assert!(matches!(&answer.result, Lookup::Miss), "{answer:?}"),
        None => {}
    }
    is_degraded(&answer, works);
    let many = pods[1]
        .get_many(["far:1", "held", "far:2"].map(|key| before.key(key)))
        .await;
    let many = many.expect("BatchGet answers");
    assert!(matches!(&many.result[1], Lookup::Hit(_)), "{many:?}");
    is_degraded(&many, works);
    let stale = ReadOptions::default().level(ReadLevel::StaleOk);
    let answer = pods[0]
        .get_with(before.key("stale"), stale)
        .await
        .expect("Get answers");
    let Lookup::Hit(entry) = &answer.result else {
        panic!("{answer:?}")
    };
    assert_eq!(entry.stale_reason, Some(StaleReason::Expired));
    is_degraded(&answer, works);
}

/// A Set is kept in L1 and says that nobody else has it.
async fn writes(works: Works, pods: &[Cache], before: &Before) {
    for key in ["new", "held"].map(|key| before.key(key)) {
        let set = pods[0].set(&key, "new").await.expect("Set answers");
        assert!(matches!(set.result, SetOutcome::Stored { .. }), "{set:?}");
        assert_eq!(read(&pods[0], &key).await.as_deref(), Some("new"));
        if !remote_is_away(&set) {
            assert_eq!(works.puts, None, "{set:?}");
            continue;
        }
        let answer = pods[1].after(&set.position).get(&key).await;
        let answer = answer.expect("Get answers");
        assert!(matches!(&answer.result, Lookup::Miss), "{answer:?}");
        is_degraded(&answer, works);
    }
}

/// The log carries invalidations, so that they hold.
async fn invalidations(pods: &[Cache], before: &Before) {
    let what = Invalidate::default().key(before.key("gone:log"));
    let position = gone(&pods[1], what).await;
    let what = Invalidate::default().key(before.key("gone:fleet"));
    let done = pods[1].invalidate(what.ack(Ack::Fleet)).await.expect("OK");
    assert_eq!(done.acked.len(), pods.len(), "{:?}", done.lapsed);
    nothing_is_back(pods, before, &position).await;
}

async fn nothing_is_back(pods: &[Cache], before: &Before, position: &str) {
    for pod in pods {
        assert_eq!(any(pod, &before.key("gone:fleet")).await, None);
        assert_eq!(
            any(&pod.after(position), &before.key("gone:log")).await,
            None
        );
    }
}

async fn swap(pod: &Cache, key: &str, expected: Expected) -> Result<Answer<CasOutcome>, Error> {
    swap_to(pod, key, expected, long()).await
}

async fn swap_to(
    pod: &Cache,
    key: &str,
    expected: Expected,
    entry: EntryOptions,
) -> Result<Answer<CasOutcome>, Error> {
    pod.compare_and_set(key, expected, "swapped", entry, Ack::Log)
        .await
}

/// A swap whose comparison nobody can make is refused, and is not done.
async fn swaps(works: Works, pods: &[Cache], before: &Before) {
    if works.reads == Some(false) {
        for expected in [Expected::Absent, Expected::Version(before.version.clone())] {
            let refused = swap(&pods[1], &before.key("far"), expected)
                .await
                .expect_err("closed");
            let away = |reason: &str| reason == "REMOTE_UNAVAILABLE";
            let Error::Unavailable {
                reason,
                retry_after: Some(_),
                ..
            } = &refused
            else {
                panic!("{refused:?}")
            };
            assert!(away(reason), "{refused:?}");
        }
        let absent = SetOptions::from(long()).if_absent();
        let refused = pods[1].set_with(before.key("far"), "new", absent).await;
        assert!(
            matches!(&refused, Err(Error::Unavailable { .. })),
            "{refused:?}"
        );
    }
    let key = before.key("swapped");
    let expected = || Expected::Version(before.version.clone());
    let (one, other) = tokio::join!(
        swap(&pods[0], &key, expected()),
        swap(&pods[1], &key, expected()),
    );
    let won = |swap: &Result<Answer<CasOutcome>, _>| {
        let swap = swap.as_ref().map(|answer| &answer.result);
        matches!(swap, Ok(CasOutcome::Stored { .. }))
    };
    assert!(!(won(&one) && won(&other)), "{one:?} {other:?}");
}

/// A lease is exclusive in its pod, and says so.
async fn leases(pods: &[Cache], before: &Before) {
    let key = before.key("local");
    for pod in pods {
        let granted = grant_degraded(pod, &key).await;
        let again = lease(pod, &key, LeaseOptions::default()).await;
        assert!(matches!(again, Leased::Busy { .. }), "{again:?}");
        let filled = pod.fill(&granted.token, "loaded", long()).await;
        let filled = filled.expect("Fill answers");
        assert!(matches!(filled.result, Filled::Stored { .. }), "{filled:?}");
        assert!(remote_is_away(&filled), "{filled:?}");
        assert_eq!(read(pod, &key).await.as_deref(), Some("loaded"));
    }
}

/// What depends on what this pod cannot look up is stored nowhere.
async fn dependents(pod: &Cache, before: &Before) {
    let (key, on) = (before.key("made"), || long().depends_on(before.key("far")));
    match pod.set_with(&key, "new", SetOptions::from(on())).await {
        Err(Error::Unavailable { reason, .. }) => assert_eq!(reason, "REMOTE_UNAVAILABLE"),
        other => panic!("{other:?}"),
    }
    match swap_to(pod, &key, Expected::Absent, on()).await {
        Err(Error::Unavailable { reason, .. }) => assert_eq!(reason, "REMOTE_UNAVAILABLE"),
        other => panic!("{other:?}"),
    }
    let granted = grant_degraded(pod, &key).await;
    let filled = pod.fill(&granted.token, "loaded", on()).await;
    let filled = filled.expect("Fill answers").result;
    assert!(
        matches!(filled, Filled::Voided(Voided::DependencyChanged)),
        "{filled:?}"
    );
    assert_eq!(any(pod, &key).await, None);
}

/// They are beside the log, and so as ever.
async fn references(pod: &Cache, before: &Before) {
    let key = before.key("held");
    let kept = pod.retain_as(&key, "late", RetainOptions::default()).await;
    assert_eq!(kept.expect("Retain answers").references, 2);
    let left = pod.release(&key, "late").await.expect("Release answers");
    assert!(
        matches!(left, Released::Done { references: 1, .. }),
        "{left:?}"
    );
}

/// What was granted before the outage is not filled, and may be later.
async fn fills(works: Works, pods: &[Cache], before: &Before) {
    let filled = pods[0].fill(&before.granted.token, "loaded", long()).await;
    match filled {
        Err(Error::Unavailable { reason, .. }) => assert_eq!(reason, "REMOTE_UNAVAILABLE"),
        Err(Error::OutcomeUnknown { reason, .. }) => assert_eq!(reason, "REMOTE_UNKNOWN"),
        // Some puts work, or the tier lost the marker.
        Ok(filled) => assert_ne!(
            (works.reads, works.puts),
            (Some(false), Some(false)),
            "{filled:?}"
        ),
        Err(other) => panic!("{other:?}"),
    }
}

/// When it is over: values are shared again, and nothing old is back.
pub(super) async fn after(pods: &[Cache], before: &Before) {
    let answer = pods[1]
        .get(before.key("gone:log"))
        .await
        .expect("Get answers");
    nothing_is_back(pods, before, &answer.position).await;
    for pod in pods {
        let level = ReadOptions::default().level(ReadLevel::Strong);
        for key in ["swapped", "held"] {
            let answer = pod.get_with(before.key(key), level.clone()).await;
            let answer = answer.expect("Get answers");
            if let Lookup::Hit(entry) = &answer.result {
                assert_ne!(entry.value.as_bytes(), b"old", "{key}: {answer:?}");
            }
        }
    }
    let set = pods[0]
        .set(before.key("again"), "shared")
        .await
        .expect("Set answers");
    assert!(set.degraded.is_empty(), "{set:?}");
    let answer = pods[1].after(&set.position).get(before.key("again")).await;
    let answer = answer.expect("Get answers");
    match &answer.result {
        Lookup::Hit(entry) => assert_eq!(entry.tier, Tier::Remote, "{answer:?}"),
        _ => panic!("{answer:?}"),
    }
    // The holder may repeat a fill that nobody confirmed.
    match pods[0].fill(&before.granted.token, "loaded", long()).await {
        Ok(filled) => {
            let done = matches!(
                filled.result,
                Filled::Stored { .. } | Filled::Voided(Voided::Expired)
            );
            assert!(done, "{filled:?}");
        }
        Err(Error::UnknownLease(_)) => {}
        Err(other) => panic!("{other:?}"),
    }
}
