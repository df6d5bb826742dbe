//! Directed schedules only: fills the small exact tables of floors with the
//! names of others, as a service beside the fleet would.

use crate::directed::Flood;
use crate::fleet::Fleet;
use unstale_engine::coherence::record::{Body, Invalidation, Record, RecordId, SessionId};
use unstale_engine::limits::{EXACT_PREFIXES, NAMESPACE_FLOORS};
use unstale_engine::log::{Append, Subject};

/// The longest pause between two floods (µs).
const PAUSE: u64 = 1_500_000;

pub(crate) async fn run(fleet: Fleet, names: Flood) {
    let shared = &fleet.shared;
    while shared.handle.now() < shared.with(|w| w.mix.size.over()) {
        shared.delay(1_000, PAUSE).await;
        for what in flood(names) {
            let now = shared.handle.now();
            shared.with(|w| {
                let append = append(RecordId(u128::from(w.rng.next())), what);
                w.commit(&append, now);
            });
        }
    }
}

/// More names than the table holds.
fn flood(names: Flood) -> Vec<Invalidation> {
    match names {
        Flood::Prefixes => vec![Invalidation {
            namespace: super::namespace().as_str().into(),
            prefixes: (0..=EXACT_PREFIXES).map(|n| format!("other-{n}")).collect(),
            ..Invalidation::default()
        }],
        Flood::Namespaces => (0..=NAMESPACE_FLOORS)
            .map(|n| Invalidation {
                namespace: format!("other-{n}"),
                all: true,
                ..Invalidation::default()
            })
            .collect(),
    }
}

fn append(id: RecordId, what: Invalidation) -> Append {
    let record = Record {
        id,
        origin: SessionId::default(),
        reason: None,
        trace_id: None,
        body: Body::Invalidate(what),
    };
    Append {
        id,
        subject: Subject::Records,
        payload: record.encode().into(),
        expect_last: None,
    }
}
