//! Directed schedules only: a loader that outlives the pod it has its lease
//! from, and brings the value to whatever was started in its place.

use super::{entry, key};
use crate::fleet::Fleet;
use crate::lives::Terms;
use crate::origin;
use crate::table::Operation;
use crate::timeline::Scope;
use crate::world::KEYS;
use std::sync::Arc;
use std::time::Duration;
use unstale_engine::Engine;
use unstale_engine::request::{Fill, FillOutcome, Lease, LeaseOutcome, LeaseToken};

/// How often a fill is tried.
const TRIES: usize = 40;

pub(crate) async fn run(fleet: Fleet) {
    let shared = fleet.shared.clone();
    loop {
        shared.delay(10_000, 300_000).await;
        if shared.with(|w| w.quiet) {
            return;
        }
        let (number, pod) = (shared.draw(KEYS), shared.draw(fleet.size()));
        let Some(token) = lease(&fleet, pod, number).await else {
            continue;
        };
        let value = origin::read(&shared, number).await;
        for _ in 0..TRIES {
            if shared.with(|w| w.quiet) || fill(&fleet, pod, (number, value), token).await {
                break;
            }
            shared.delay(5_000, 60_000).await;
        }
    }
}

async fn lease(fleet: &Fleet, pod: usize, number: usize) -> Option<LeaseToken> {
    fleet.shared.began(Operation::Lease);
    let call = move |engine: Arc<Engine>| async move {
        let lease = Lease {
            key: key(number),
            term: Duration::from_secs(1),
            wait: Duration::ZERO,
            min_position: None,
            may_refresh: true,
            deadline: engine.now().plus(Duration::from_millis(300)),
        };
        engine.lease(lease).await
    };
    match fleet.call(pod, call).await?.ok()?.result {
        LeaseOutcome::Granted(token, ..) => Some(token),
        LeaseOutcome::Hit(_) | LeaseOutcome::Busy(..) => None,
    }
}

/// True: there is nothing more to try.
async fn fill(fleet: &Fleet, pod: usize, (number, value): (usize, u64), token: LeaseToken) -> bool {
    let shared = &fleet.shared;
    shared.began(Operation::Fill);
    let (now, version) = (shared.handle.now(), format!("f{:032x}", token.0));
    shared.with(|w| {
        if w.lives.content(&version).is_none() {
            w.lives.stored(version, (number, value), Terms::LONG, now);
        }
    });
    let call = move |engine: Arc<Engine>| async move {
        let fill = Fill {
            token,
            entry: entry(number, value, Terms::LONG),
            deadline: engine.now().plus(Duration::from_millis(300)),
        };
        engine.fill(fill).await
    };
    let outcome = fleet.call(pod, call).await;
    let outcome = outcome.map(|answer| answer.map(|answer| answer.result));
    shared.note(Scope::Key(number), || {
        format!("a stray filled {value} on pod {pod}: {outcome:?}")
    });
    matches!(
        outcome,
        Some(Ok(FillOutcome::Stored(_) | FillOutcome::Voided(_)))
    )
}
