//! Faults of the log itself.

use crate::checker::Loss;
use crate::fleet::Fleet;
use crate::timeline::Scope;
use unstale_engine::coherence::record::{Body, Record, RecordId, SessionId};
use unstale_engine::log::{Append, Subject};
use unstale_engine::position::Epoch;

pub(super) async fn truncate(fleet: &Fleet, length: u64) {
    let now = fleet.shared.handle.now();
    fleet.shared.with(|w| {
        let keep = w.rng.range(0, 6);
        w.log.truncate(keep);
        w.origin.amnesia = Some(now);
    });
    fleet.shared.handle.sleep(length).await;
}

/// The log loses up to `most` records; every connection breaks with it.
pub(super) async fn lose_tail(fleet: &Fleet, most: u64, length: u64) {
    let shared = &fleet.shared;
    let at = shared.handle.now();
    let last = shared.with(|w| match most {
        u64::MAX => 0,
        _ => w.log.last().saturating_sub(w.rng.range(1, most)),
    });
    let witnesses = (0..fleet.size())
        .filter(|number| knows_lost(fleet, *number, last))
        .map(|number| (number, shared.link(number, |link| link.start)))
        .collect();
    shared.with(|w| {
        let knew = w.log.given > last;
        w.log.lose_tail(last);
        w.origin.amnesia = Some(at);
        let loss = Loss {
            at,
            last,
            witnesses,
        };
        w.judged.lost_tail(loss, knew);
    });
    shared.note(Scope::All, || {
        format!("the log lost everything above {last}")
    });
    for number in 0..fleet.size() {
        if !shared.link(number, |link| link.down) {
            fleet.pod(number).reconnect();
        }
    }
    shared.handle.sleep(length).await;
}

/// Whether a pod has processed a lasting record above `last`: it has to notice
/// that this is lost.
fn knows_lost(fleet: &Fleet, number: usize, last: u64) -> bool {
    let Some(engine) = fleet.engine(number) else {
        return false;
    };
    let position = engine.status().position;
    let now = fleet.shared.handle.now();
    fleet.shared.with(|w| {
        w.log.epoch() == Some(position.epoch)
            && !w.links[number].down
            && !w.judged.suspect(now)
            && w.log.has_lasting(last + 1, position.sequence)
    })
}

pub(super) async fn new_epoch(fleet: &Fleet, length: u64) {
    let shared = &fleet.shared;
    let now = shared.handle.now();
    let outcome = shared.with(|w| {
        let record = Record {
            id: RecordId(u128::from(w.rng.next())),
            origin: SessionId::default(),
            reason: None,
            trace_id: None,
            body: Body::NewEpoch(Epoch(w.rng.next())),
        };
        let append = Append {
            id: record.id,
            subject: Subject::Epochs,
            payload: record.encode().into(),
            expect_last: None,
        };
        w.commit(&append, now)
    });
    shared.note(Scope::All, || {
        format!("a new epoch is declared: {outcome:?}")
    });
    shared.handle.sleep(length).await;
}
