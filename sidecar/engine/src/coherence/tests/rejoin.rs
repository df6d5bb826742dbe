//! A Join that is in the log again after its session was expelled: the first one
//! was not answered, so the pod said it again (simulation, seed 10311, I-1).

use super::*;

const OTHER: u128 = 42;

fn join(id: u128) -> bytes::Bytes {
    rec(id, OTHER, Body::Join { pod: "slow".into() })
}

fn expel(id: u128) -> bytes::Bytes {
    rec(id, 1, Body::Expel(SessionId(OTHER)))
}

impl Rig {
    fn process(&mut self, id: u128, payload: bytes::Bytes) -> u64 {
        self.seq += 1;
        let sequence = self.seq;
        self.deliver(sequence, RecordId(id), false, payload);
        sequence
    }

    /// The session goes on for longer than an expelled one may be fresh.
    fn pass_d(&mut self) {
        for _ in 0..9 {
            self.now += 2_000;
            self.m.barrier(at(self.now));
            self.beat(1);
        }
    }

    fn fleet_ends_at_once(&mut self) -> bool {
        let sequence = self.process(88, rec(88, 1, Body::Leave));
        self.m.await_fleet(sequence, at(self.now));
        self.drain();
        !self.fleets.is_empty()
    }
}

#[test]
fn a_session_that_joins_after_its_expel_is_waited_for() {
    let mut r = Rig::new(1, 10);
    r.join();
    r.backfill(1, vec![new_epoch_at(10)]);
    r.process(2, join(2));
    r.process(3, expel(3));
    r.process(4, join(4));
    r.pass_d();
    assert!(!r.fleet_ends_at_once(), "its Join is newer than its Expel");
}

#[test]
fn a_joiner_that_replays_the_expel_between_two_joins_waits_for_the_session() {
    let mut r = Rig::new(1, 13);
    r.join();
    let time = |sequence: u64| LogTime(1_000_000 * sequence);
    r.backfill(
        1,
        vec![
            new_epoch_at(10),
            (11, time(11), join(2)),
            (12, time(12), expel(3)),
            (13, time(13), join(4)),
        ],
    );
    r.pass_d();
    assert!(!r.fleet_ends_at_once(), "its Join is newer than its Expel");
}

#[test]
fn a_join_that_is_read_while_older_records_are_replayed_undoes_the_expel() {
    let mut r = Rig::new(1, 11);
    r.join();
    r.process(3, expel(3));
    r.process(4, join(4));
    let first = (11, LogTime(11_000_000), join(2));
    r.backfill(1, vec![new_epoch_at(10), first]);
    r.pass_d();
    assert!(!r.fleet_ends_at_once(), "its Join is newer than its Expel");
}

#[test]
fn an_expelled_session_that_stays_away_is_over_after_d() {
    let mut r = Rig::new(1, 10);
    r.join();
    r.backfill(1, vec![new_epoch_at(10)]);
    r.process(2, join(2));
    r.process(3, expel(3));
    r.pass_d();
    assert!(r.fleet_ends_at_once());
}
