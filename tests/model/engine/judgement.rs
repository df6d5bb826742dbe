//! The machine's hit rule is that of `fills`: both judge alike in every log,
//! replay and position within bounds. The last test shows what `truncation`
//! found, and the machine prevents since.
//!
//! Model position `k` is sequence 10 `k`; Joins and Beats come in between.

use super::{NOW, Pod, facts, invalidate, stamp};
use crate::fills;
use unstale_engine::coherence::record::Record;
use unstale_engine::coherence::{Action, FleetOutcome, Freshness, Source};
use unstale_engine::log::{Backfilled, Event};

impl Pod {
    fn record(&mut self, sequence: u64, record: &Record) {
        let payload = record.encode().into();
        self.deliver(sequence, record.id, false, payload);
    }

    fn judge(&self, key: &str, as_of: u64) -> Freshness {
        self.machine.judge(&facts(key, as_of), Source::Remote, NOW)
    }
}

fn cover(cover: fills::Cover, at: u64) -> Record {
    match cover {
        fills::Cover::Hard => invalidate(Some("0"), false, at),
        fills::Cover::Soft => invalidate(Some("0"), true, at),
        fills::Cover::Tag => invalidate(None, false, at),
    }
}

/// A pod that joined after `replay.0` records, has replayed them down to
/// `replay.1`, and has processed up to `processed`.
fn pod(log: &[fills::Cover], replay: (u64, u64), processed: u64) -> Pod {
    let covers = |from: u64, to: u64| (from + 1..=to).map(|at| (at, log[at as usize - 1]));
    let (joined, unread) = (replay.0 * 10 + 1, replay.1);
    let mut pod = Pod::join(joined);
    let old = covers(unread, replay.0);
    let old = old.map(|(at, what)| {
        (
            at * 10,
            stamp(at * 10),
            cover(what, at * 10).encode().into(),
        )
    });
    pod.event(Event::Backfilled(Backfilled {
        from: unread * 10 + 1,
        to: joined,
        first: 1,
        records: old.collect(),
    }));
    for (at, what) in covers(replay.0, processed) {
        pod.record(at * 10, &cover(what, at * 10));
    }
    pod.beat(processed * 10 + 6, 1);
    pod
}

#[test]
fn the_engine_judges_as_the_model_of_fills_does() {
    let mut judged = 0;
    for log in fills::logs(3) {
        let length = log.len() as u64;
        for joined in 0..=length {
            for unread in 0..=joined {
                for processed in joined..=length {
                    let pod = pod(&log, (joined, unread), processed);
                    for (key, as_of) in (0..=length).flat_map(|at| [(0, at), (1, at)]) {
                        let model = fills::judgement(&log, (processed, unread), key, as_of);
                        let engine = pod.judge(["0", "1"][key], as_of * 10 + 5);
                        let place = (joined, unread, processed, key, as_of);
                        assert_eq!(engine, model, "{log:?} {place:?}");
                        judged += 1;
                    }
                }
            }
        }
    }
    println!("{judged} judgements of the engine are the model's");
    assert!(judged > 1000);
}

/// Another session's Join at 20 is removed before the caller's pod reads it:
/// its FLEET does not wait for that session.
#[test]
fn fleet_does_not_end_early_over_an_unread_join() {
    let mut pod = pod(&[fills::Cover::Hard], (1, 0), 1);
    pod.record(40, &invalidate(Some("0"), false, 40));
    pod.machine.await_fleet(40, NOW);
    pod.actions.extend(pod.machine.take_actions());
    let ended = pod
        .actions
        .iter()
        .any(|action| matches!(action, Action::Fleet(_, FleetOutcome::Done { .. })));
    assert!(
        !ended,
        "answered before D, the first retained sequence unasked"
    );
}
