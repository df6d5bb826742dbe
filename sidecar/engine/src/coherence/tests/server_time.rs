//! The wall clock of the log's server is set while the log is read.

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

impl Rig {
    fn declares(&self) -> Vec<&Append> {
        let of_epoch = |a: &&Append| {
            let record = Record::decode(&a.payload).expect("a record");
            matches!(record.body, Body::NewEpoch(_))
        };
        self.appends.iter().filter(of_epoch).collect()
    }

    /// Delivers what the server stamped `ms` of this pod's clock ago.
    fn deliver_late(&mut self, (seq, append, stamped): (u64, &Append, LogTime), expires: bool) {
        self.cseq += 1;
        let d = Delivery {
            incarnation: self.inc,
            consumer_sequence: self.cseq,
            sequence: seq,
            time: stamped,
            id: append.id,
            expires,
            payload: append.payload.clone(),
        };
        self.m.event(Event::Delivered(d), at(self.now));
        self.drain();
    }

    /// A pod that reads and serves, two beats learnt.
    fn steady() -> Self {
        let mut r = Rig::new(1, 10);
        r.join();
        r.backfill(1, vec![new_epoch_at(10)]);
        r.beat(1);
        r.now += 1_000;
        r.m.barrier(at(r.now));
        r.beat(1);
        r
    }

    /// A barrier's Beat is appended, stamped and acknowledged, not delivered.
    fn beat_in_flight(&mut self) -> (u64, Append, LogTime) {
        self.m.barrier(at(self.now));
        self.drain();
        let beat = self.take(|b| matches!(b, Body::Beat));
        let stamped = self.time();
        let seq = self.ack(&beat);
        (seq, beat, stamped)
    }

    fn fleet_is_early(&mut self) -> bool {
        self.seq += 1;
        let s = self.seq;
        self.deliver(s, RecordId(88), false, rec(88, 1, Body::Leave));
        self.m.await_fleet(s, at(self.now));
        self.drain();
        !self.fleets.is_empty()
    }

    /// A pod that reads and serves; the clock may be set then.
    fn serving() -> Self {
        let mut r = Rig::new(1, 10);
        r.set_forward = DAY;
        r.join();
        r.backfill(1, vec![new_epoch_at(10)]);
        r.beat(1);
        r.now += 2_000;
        r.m.barrier(at(r.now));
        r
    }
}

#[test]
fn fleet_is_not_early_if_the_clock_was_set_forward_after_the_epoch_began() {
    let mut r = Rig::new(1, 10);
    let begun = (10, r.time(), rec(5, 5, Body::NewEpoch(Epoch(7))));
    r.set_forward = DAY;
    r.now += 1_000;
    r.join();
    r.backfill(1, vec![begun]);
    r.beat(1);
    assert!(!r.fleet_is_early(), "sessions of the old epoch are fresh");
}

#[test]
fn fleet_is_early_at_once_in_a_log_with_records_for_longer_than_d() {
    let mut r = Rig::new(1, 100);
    r.join();
    let newest = r.time().0;
    let one = |n: u64| {
        let body = match n {
            1 => Body::NewEpoch(Epoch(7)),
            _ => Body::Leave,
        };
        let id = u128::from(n);
        (n, LogTime(newest - (101 - n) * 500_000), rec(id, id, body))
    };
    r.backfill(1, (1..=100).map(one).collect());
    r.beat(1);
    assert!(r.fleet_is_early(), "the epoch is 50 s old");
}

#[test]
fn a_clock_that_is_set_back_ends_the_epoch() {
    let mut r = Rig::serving();
    r.set_forward = Duration::ZERO;
    assert!(r.declares().is_empty());
    r.beat(1);
    let declared = r.declares();
    assert_eq!(declared.len(), 1);
    // Nothing if another epoch was declared meanwhile.
    assert_eq!(declared[0].expect_last, Some(10));
    assert!(
        r.m.session_fresh(at(r.now)),
        "old entries agree with old time"
    );
}

#[test]
fn a_clock_that_is_set_back_is_noticed_by_the_order_of_stamps() {
    let mut r = Rig::serving();
    r.set_forward = Duration::ZERO;
    r.seq += 1;
    r.deliver(r.seq, RecordId(7), false, rec(7, 7, Body::Leave));
    assert_eq!(r.declares().len(), 1);
}

#[test]
fn a_joiner_notices_that_what_it_replays_is_from_a_later_time() {
    let mut r = Rig::new(1, 10);
    r.set_forward = DAY;
    let time = r.time();
    r.set_forward = Duration::ZERO;
    r.join();
    let epoch = rec(5, 5, Body::NewEpoch(Epoch(7)));
    r.backfill(
        1,
        vec![(9, LogTime(1), epoch), (10, time, rec(6, 6, Body::Leave))],
    );
    assert_eq!(r.declares().len(), 1);
}

#[test]
fn a_clock_that_is_set_forward_while_a_joiner_replays_was_not_set_back() {
    let mut r = Rig::new(1, 10);
    r.join();
    let epoch = (9, r.time(), rec(5, 5, Body::NewEpoch(Epoch(7))));
    r.set_forward = DAY;
    r.seq += 1;
    r.deliver(r.seq, RecordId(7), false, rec(7, 7, Body::Leave));
    r.backfill(1, vec![epoch]);
    assert!(r.declares().is_empty());
}

#[test]
fn less_than_two_seconds_back_and_any_time_forward_begin_no_epoch() {
    for set_to in [DAY - Duration::from_millis(1_800), DAY * 2] {
        let mut r = Rig::serving();
        r.set_forward = set_to;
        r.beat(1);
        assert!(r.declares().is_empty());
    }
}

#[test]
fn it_is_declared_again_if_something_else_was_said_of_the_epoch_meanwhile() {
    let mut r = Rig::serving();
    r.set_forward = Duration::ZERO;
    r.beat(1);
    let declared = r.declares()[0].id;
    r.appends.clear();
    r.m.appended(declared, &Appended::Conflict, at(r.now));
    r.drain();
    assert!(matches!(r.commands.last(), Some(Command::Reopen)));
    let last = r.seq;
    r.m.event(opened(7, 1, last), at(r.now));
    r.drain();
    assert_eq!(
        r.declares().len(),
        1,
        "the epoch is the same: it has to end"
    );
    r.appends.clear();
    r.m.event(opened(8, 1, last), at(r.now));
    r.drain();
    assert!(r.declares().is_empty(), "somebody else did");
}

#[test]
fn in_the_new_epoch_log_time_is_the_servers() {
    let mut r = Rig::serving();
    r.set_forward = Duration::ZERO;
    r.seq += 1;
    r.deliver(
        r.seq,
        RecordId(9),
        false,
        rec(9, 9, Body::NewEpoch(Epoch(8))),
    );
    // It is the anchor of the reading that begins now.
    r.deliver(
        r.seq,
        RecordId(9),
        false,
        rec(9, 9, Body::NewEpoch(Epoch(8))),
    );
    r.appends.retain(|a| a.subject == Subject::Records);
    r.join();
    assert_eq!(r.m.log_time(at(r.now)), r.time());
    r.now += 3_000;
    r.m.tick(at(r.now));
    assert!(r.declares().is_empty());
    // Nor when the log is opened again.
    let last = r.seq;
    r.m.event(opened(8, 1, last), at(r.now));
    r.drain();
    assert!(r.declares().is_empty());
    assert_eq!((r.m.counts().epochs, r.m.counts().set_backs), (2, 1));
}

#[test]
fn it_is_declared_once_however_many_records_tell() {
    let mut r = Rig::serving();
    r.set_forward = Duration::ZERO;
    for id in [7, 8] {
        r.seq += 1;
        r.deliver(r.seq, RecordId(id), false, rec(id, id, Body::Leave));
    }
    assert_eq!((r.declares().len(), r.m.counts().set_backs), (1, 1));
}

#[test]
fn a_clock_that_is_set_back_again_ends_the_next_epoch_too() {
    let mut r = Rig::serving();
    r.set_forward = DAY / 2;
    r.seq += 1;
    let epoch = rec(9, 9, Body::NewEpoch(Epoch(8)));
    r.deliver(r.seq, RecordId(9), false, epoch.clone());
    r.deliver(r.seq, RecordId(9), false, epoch);
    r.appends.clear();
    r.set_forward = Duration::ZERO;
    r.seq += 1;
    r.deliver(r.seq, RecordId(7), false, rec(7, 7, Body::Leave));
    assert_eq!(r.declares().len(), 1);
}

/// Nobody touched any clock. Two own Beats (a STRONG read each) wait in the
/// log while the deliveries stall for 2.4 s (a consumer is doubted after 2.5 s
/// of silence; a slow reader, a pause: the same).
#[test]
fn two_beats_read_late_are_no_clock_that_was_set_back() {
    let mut r = Rig::steady();
    r.now += 500;
    let first = r.beat_in_flight();
    r.now += 50;
    let second = r.beat_in_flight();
    r.now += 2_400;
    r.deliver_late((first.0, &first.1, first.2), true);
    assert_eq!(r.declares().len(), 0);
    r.deliver_late((second.0, &second.1, second.2), true);
    assert_eq!(r.m.counts().set_backs, 0, "no clock was set");
    assert_eq!(r.declares().len(), 0, "the fleet is cold for nothing");
}

/// Nobody touched any clock. The answer to a Join is lost; it is said again
/// under another id, and the first one is read: it was stamped before the
/// second was said.
#[test]
fn a_join_that_was_said_twice_is_no_clock_that_was_set_back() {
    let mut r = Rig::steady();
    let me = r.m.session_id();
    r.seq += 1;
    let (expelled, stamped_then) = (r.seq, r.time());
    let expel = Append {
        id: RecordId(77),
        subject: Subject::Records,
        payload: rec(77, 2, Body::Expel(me)),
        expect_last: None,
    };
    r.deliver(expelled, RecordId(77), false, expel.payload.clone());
    r.deliver_late((expelled, &expel, stamped_then), false); // the anchor
    let join = r.take(|b| matches!(b, Body::Join { .. }));
    let stamped = r.time();
    r.seq += 1;
    let s = r.seq;
    r.now += 2_400; // no answer
    r.m.appended(join.id, &Appended::Unknown("no answer".into()), at(r.now));
    r.now += 700;
    r.m.tick(at(r.now));
    r.drain();
    let again = r.take(|b| matches!(b, Body::Join { .. }));
    assert_ne!(again.id, join.id);
    // The consumer was silent: it was built anew, from the anchor.
    r.deliver_late((expelled, &expel, stamped_then), false);
    r.deliver_late((s, &join, stamped), false);
    assert_eq!(r.m.counts().set_backs, 0, "no clock was set");
    assert_eq!(r.declares().len(), 0, "the fleet is cold for nothing");
}
