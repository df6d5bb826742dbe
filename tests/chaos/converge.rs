//! I-16: after the last fault every pod is whole again, returns the newest
//! version of every key, and hits.
//!
//! The rule gives D + 5 s from the end of the last fault. A log without a
//! leader is a fault too, and it lasts longer than what caused it; so is a server
//! that does not see the leader, as it may answer in its place. Both times are
//! reported, and the rule counts from when the log can be read anew.

use crate::checker::{KEYS, Reached, name};
use crate::clients::{change, read_all};
use crate::fleet::Fleet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use unstale_proto::v1::{All, InvalidateRequest, ReadLevel};
use unstale_tests::eventually;

/// The rule's margin over D.
const MARGIN: Duration = Duration::from_secs(5);
/// How long a healed cluster may take to have a log.
const LEADER: Duration = Duration::from_secs(40);
/// Between two questions.
const REST: Duration = Duration::from_millis(50);

/// How long it took after the last fault.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Converged {
    /// Until the log could be read anew.
    pub(crate) log: Duration,
    /// From then until every pod hit with the newest version of every key.
    pub(crate) fleet: Duration,
}

/// Waits for it; what is missing when it takes too long is a violation.
pub(crate) async fn converge(fleet: &Fleet) -> Converged {
    let healed = Instant::now();
    log_is_back(fleet, healed).await;
    // A limit that was set without an answer may come later than its end.
    let free = || fleet.cluster.limit(-1);
    eventually("a log without a limit", LEADER, free).await;
    let log = healed.elapsed();
    // Whoever changes the origin finishes what it has begun, no more.
    let _still = fleet.changing.write().await;
    let whole = whole(fleet, healed + log).await;
    fleet.checker.judge_registers();
    Converged { log, fleet: whole }
}

/// Waits until the servers have a log again. Electing leaders is theirs; making a
/// log that is gone is the pods', who have as long for it as for everything.
async fn log_is_back(fleet: &Fleet, healed: Instant) {
    let mut gone = None;
    while let Err(why) = fleet.cluster.log_is_back().await {
        let lacks = fleet.cluster.lacks_log().await;
        gone = lacks.then(|| gone.unwrap_or_else(Instant::now));
        let unmade = gone.is_some_and(|since| since.elapsed() > limit(fleet));
        if unmade || healed.elapsed() > LEADER {
            let took = healed.elapsed();
            let what = format!("the log is away {took:?} after the last fault: {why}");
            fleet.checker.broke("no log", None, what);
            return;
        }
        tokio::time::sleep(REST).await;
    }
}

/// How long the fleet may take.
fn limit(fleet: &Fleet) -> Duration {
    fleet.checker.bound() + MARGIN
}

/// How long after `since` everything was as it should be.
async fn whole(fleet: &Fleet, since: Instant) -> Duration {
    let limit = limit(fleet);
    let (mut told, mut last) = (false, String::new());
    loop {
        let missing = missing(fleet, &mut told).await;
        let took = since.elapsed();
        if took > limit {
            let missing = missing.as_deref().unwrap_or("whole, but late");
            let why = explained(fleet).await;
            let what =
                format!("{took:?} after the log came back: {missing}; before: {last}; {why}");
            fleet.checker.broke("I-16 not converged", None, what);
            return took;
        }
        let Some(missing) = missing else {
            return took;
        };
        if missing != last {
            fleet.history.tell(None, format!("converging: {missing}"));
            last = missing;
        }
        tokio::time::sleep(REST).await;
    }
}

/// What is not as it should be, if anything. Changes all of the origin once.
async fn missing(fleet: &Fleet, told: &mut bool) -> Option<String> {
    if let Some(not) = not_whole(fleet).await {
        return Some(not);
    }
    if !*told {
        if let Err(why) = change_all(fleet).await {
            return Some(format!("pod 0 does not invalidate: {why}"));
        }
        *told = true;
    }
    for pod in 0..fleet.pods.len() {
        let old = old_values(fleet, pod).await;
        if old.is_some() {
            return old;
        }
    }
    let suspect = "the log lost records and nobody declared a new epoch";
    fleet.checker.suspect().then(|| suspect.to_owned())
}

/// The pods that are not whole.
async fn not_whole(fleet: &Fleet) -> Option<String> {
    let states = fleet.pods.iter().map(|pod| pod.whole());
    let states = futures::future::join_all(states).await;
    let not = |(pod, state): (usize, &Result<_, String>)| {
        let why = state.as_ref().err()?;
        Some(format!("pod {pod}: {why}"))
    };
    let not: Vec<_> = states.iter().enumerate().filter_map(not).collect();
    (!not.is_empty()).then(|| not.join("; "))
}

async fn change_all(fleet: &Fleet) -> Result<(), String> {
    let keys: Vec<_> = (0..KEYS).collect();
    let request = InvalidateRequest {
        all: Some(All {}),
        reason: "everything changed".to_owned(),
        ..InvalidateRequest::default()
    };
    change(fleet, 0, &keys, Reached::Fleet, request).await
}

/// A key of which a pod does not return the newest version.
async fn old_values(fleet: &Fleet, pod: usize) -> Option<String> {
    let Some(values) = read_all(fleet, pod, ReadLevel::Bounded).await else {
        return Some(format!("pod {pod} does not answer"));
    };
    let key = old_key(fleet, &values)?;
    let (seen, newest) = (values[key], fleet.checker.origin(key));
    Some(format!(
        "pod {pod} has {seen:?} of key {key}, newest {newest}"
    ))
}

fn old_key(fleet: &Fleet, values: &[Option<u64>]) -> Option<usize> {
    (0..KEYS).find(|key| values[*key] != Some(fleet.checker.origin(*key)))
}

/// What the pods say about the keys that they do not return: each about one.
async fn explained(fleet: &Fleet) -> String {
    let mut text = String::new();
    for (number, pod) in fleet.pods.iter().enumerate() {
        let values = read_all(fleet, number, ReadLevel::Bounded).await;
        if let Some(key) = values.and_then(|values| old_key(fleet, &values)) {
            let why = pod.explain(&name(key)).await;
            let _ = write!(text, "pod {number} of key {key}: {why:?}; ");
        }
    }
    text
}
