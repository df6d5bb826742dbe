//! Faults of the log itself.

use crate::checker::Loss;
use crate::clients;
use crate::fleet::Fleet;
use crate::timeline::Scope;
use unstale_engine::coherence::record::{Body, Invalidation, Record, RecordId, SessionId};
use unstale_engine::limits::{EXACT_PREFIXES, PREFIXES};
use unstale_engine::log::{Append, Subject};
use unstale_engine::position::Epoch;
use unstale_engine::request::SessionState;

/// In µs.
const DAY: u64 = 24 * 3_600_000_000;

pub(super) async fn truncate(fleet: &Fleet, length: u64) {
    let now = fleet.shared.handle.now();
    fleet.shared.with(|w| {
        let keep = w.rng.range(0, 6);
        if w.log.truncate(keep) {
            w.origin.forgotten(now);
        }
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
        w.origin.forgotten(at);
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

/// A pod's reader stands still until what it would read is gone.
pub(super) async fn purge_unread(fleet: &Fleet, number: usize, length: u64) {
    let shared = &fleet.shared;
    shared.link(number, |link| link.no_reads += 1);
    shared.handle.sleep(length / 2).await;
    let now = shared.handle.now();
    let first = shared.with(|w| {
        let keep = w.rng.range(0, 3);
        if w.log.truncate(keep) {
            w.origin.forgotten(now);
        }
        w.log.first
    });
    shared.note(Scope::All, || format!("what is below {first} is purged"));
    shared.handle.sleep(length / 2).await;
    shared.link(number, |link| link.no_reads -= 1);
}

/// Somebody invalidates prefixes that no key has, more than the exact table
/// holds: the older ones fold into the namespace's floor.
pub(super) async fn overflow_floors(fleet: &Fleet, length: u64) {
    let shared = &fleet.shared;
    for record in 0..=EXACT_PREFIXES / PREFIXES {
        let prefixes = (0..PREFIXES).map(|n| format!("none-{record}-{n}"));
        let what = Invalidation {
            namespace: clients::names::namespace().as_str().into(),
            prefixes: prefixes.collect(),
            ..Invalidation::default()
        };
        append(fleet, Body::Invalidate(what), Subject::Records);
        shared.delay(100, 5_000).await;
    }
    shared.handle.sleep(length).await;
}

/// The clock of the log's server is set; half of the time it is set back.
pub(super) async fn set_clock(fleet: &Fleet, length: u64) {
    let shared = &fleet.shared;
    let most = [2_000_000, 120_000_000, 3_600_000_000, DAY][shared.draw(4)];
    let by = shared.with(|w| w.rng.range(1_000, most)) as i64;
    let by = if shared.chance(50) { by } else { -by };
    let set = |by| {
        let now = shared.handle.now();
        let witnesses = (0..fleet.size())
            .filter(|number| knows_time(fleet, *number))
            .map(|number| (number, shared.link(number, |link| link.start)))
            .collect();
        shared.with(|w| {
            w.log.clock_off += by;
            w.judged.server_clock.was_set(now, by, witnesses);
            // It goes by the age of records.
            if w.log.expire(now) {
                w.origin.forgotten(now);
            }
        });
        shared.note(Scope::All, || format!("the log's clock is set by {by} µs"));
    };
    set(by);
    shared.handle.sleep(length).await;
    if shared.chance(50) {
        set(-by);
    }
}

/// Whether a pod has met the time of the log's epoch.
fn knows_time(fleet: &Fleet, number: usize) -> bool {
    let Some(engine) = fleet.engine(number) else {
        return false;
    };
    let status = engine.status();
    fleet.shared.with(|w| {
        w.log.epoch() == Some(status.position.epoch)
            && !w.links[number].down
            && status.state == SessionState::Fresh
    })
}

pub(super) async fn new_epoch(fleet: &Fleet, length: u64) {
    let epoch = Epoch(fleet.shared.with(|w| w.rng.next()));
    append(fleet, Body::NewEpoch(epoch), Subject::Epochs);
    fleet.shared.handle.sleep(length).await;
}

/// Somebody who is no pod appends.
fn append(fleet: &Fleet, body: Body, subject: Subject) {
    let shared = &fleet.shared;
    let now = shared.handle.now();
    let (what, outcome) = shared.with(|w| {
        let record = Record {
            id: RecordId(u128::from(w.rng.next())),
            origin: SessionId::default(),
            reason: None,
            trace_id: None,
            body,
        };
        let append = Append {
            id: record.id,
            subject,
            payload: record.encode().into(),
            expect_last: None,
        };
        (record.body, w.commit(&append, now))
    });
    shared.note(Scope::All, || {
        format!("somebody appends {what:?}: {outcome:?}")
    });
}
