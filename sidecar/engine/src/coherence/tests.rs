//! The machine against a log that is played by hand: what a review broke once.

use super::record::*;
use super::*;
use crate::clock::LogTime;
use crate::key::{NameHash, Namespace};
use crate::log::*;
use crate::request::Mode;
use std::sync::atomic::{AtomicU64, Ordering};

mod rejoin;
mod server_time;
mod verified;

/// Counts up: equal runs draw equal numbers.
struct Count(AtomicU64);
impl crate::random::Random for Count {
    fn bits(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed) + 1000)
    }
}

fn at(ms: u64) -> Moment {
    Moment::new(Duration::from_millis(100_000 + ms))
}

/// A machine, the log it reads, and what it wanted done.
struct Rig {
    m: Machine,
    inc: u64,
    cseq: u64,
    seq: u64,
    now: u64,
    /// How far the clock of the log's server is ahead.
    set_forward: Duration,
    appends: Vec<Append>,
    commands: Vec<Command>,
    fleets: Vec<(u64, FleetOutcome)>,
    decided: Vec<(RecordId, Decision)>,
}

impl Rig {
    fn new(first: u64, last: u64) -> Self {
        let m = Machine::new(
            Settings {
                floor_width: 64,
                ..Settings::new("p".into())
            },
            Arc::new(Count(AtomicU64::new(0))),
        );
        let mut r = Rig {
            m,
            inc: 0,
            cseq: 0,
            seq: last,
            now: 0,
            set_forward: Duration::ZERO,
            appends: vec![],
            commands: vec![],
            fleets: vec![],
            decided: vec![],
        };
        r.m.event(
            Event::Opened(Opened {
                epoch: Some(Epoch(7)),
                epoch_told: 1,
                first,
                last,
                session_ttl: Duration::from_secs(15),
                retention: Duration::from_secs(31 * 86400),
                alone: false,
            }),
            at(0),
        );
        r.drain();
        r
    }
    fn drain(&mut self) {
        for a in self.m.take_actions() {
            match a {
                Action::Append(a) => self.appends.push(a),
                Action::Command(c) => {
                    if let Command::Read { incarnation, .. } = &c {
                        self.inc = *incarnation;
                        self.cseq = 0;
                    }
                    self.commands.push(c)
                }
                Action::Fleet(n, o) => self.fleets.push((n, o)),
                Action::Decided(i, d) => self.decided.push((i, d)),
                _ => {}
            }
        }
    }
    fn deliver(&mut self, seq: u64, id: RecordId, expires: bool, payload: bytes::Bytes) {
        self.cseq += 1;
        let d = Delivery {
            incarnation: self.inc,
            consumer_sequence: self.cseq,
            sequence: seq,
            time: self.time(),
            id,
            expires,
            payload,
        };
        self.m.event(Event::Delivered(d), at(self.now));
        self.drain();
    }
    /// What the log's server shows.
    fn time(&self) -> LogTime {
        LogTime(10_000_000_000 + 1_000 * self.now).plus(self.set_forward)
    }
    fn take(&mut self, want: fn(&Body) -> bool) -> Append {
        let i = self
            .appends
            .iter()
            .position(|a| want(&Record::decode(&a.payload).unwrap().body))
            .expect("such an append");
        self.appends.remove(i)
    }
    /// commits an own append and acks it; returns seq
    fn ack(&mut self, a: &Append) -> u64 {
        self.seq += 1;
        let s = self.seq;
        self.m.appended(a.id, &Appended::At(s), at(self.now));
        self.drain();
        s
    }
    fn join(&mut self) {
        let j = self.take(|b| matches!(b, Body::Join { .. }));
        let s = self.ack(&j);
        self.deliver(s, j.id, false, j.payload.clone());
    }
    fn beat(&mut self, first: u64) {
        self.m.tick(at(self.now));
        self.drain();
        let b = self.take(|b| matches!(b, Body::Beat));
        let s = self.ack(&b);
        self.deliver(s, b.id, true, b.payload.clone());
        self.answer_first(first);
    }
    fn beat_after(&mut self, ms: u64, first: u64) {
        self.now += ms;
        self.m.barrier(at(self.now));
        self.beat(first);
    }
    fn answer_first(&mut self, first: u64) {
        let token = self
            .commands
            .iter()
            .rev()
            .find_map(|c| {
                if let Command::CheckFirst { token } = c {
                    Some(*token)
                } else {
                    None
                }
            })
            .unwrap();
        self.m.event(Event::First { token, first }, at(self.now));
        self.drain();
    }
    fn backfill(&mut self, first: u64, records: Vec<(u64, LogTime, bytes::Bytes)>) {
        let (from, to) = self
            .commands
            .iter()
            .rev()
            .find_map(|c| {
                if let Command::Backfill { from, to } = c {
                    Some((*from, *to))
                } else {
                    None
                }
            })
            .unwrap();
        self.m.event(
            Event::Backfilled(Backfilled {
                from,
                to,
                first,
                records,
            }),
            at(self.now),
        );
        self.drain();
    }
}

fn covering(name: NameHash) -> Own {
    let namespace = Namespace::new("").expect("a good name");
    Own {
        namespace,
        names: vec![name],
        prefixes: vec![],
        all: false,
        mode: Mode::Hard,
        answered: false,
        check: None,
    }
}

/// An entry of key "k" that lasts.
fn facts(as_of: u64, epoch: u64) -> Facts {
    let key = crate::key::Key::new(Namespace::new("").expect("a good name"), "k");
    let position = Position {
        epoch: Epoch(epoch),
        sequence: as_of,
    };
    crate::entry::facts(
        &key.expect("a good name"),
        &[],
        position,
        &Delimiters::default(),
    )
}

fn rec(id: u128, origin: u128, body: Body) -> bytes::Bytes {
    Record {
        id: RecordId(id),
        origin: SessionId(origin),
        reason: None,
        trace_id: None,
        body,
    }
    .encode()
    .into()
}

#[test]
fn a_barrier_asked_for_while_a_beat_is_in_flight_is_sent_though_the_echo_precedes_the_ack() {
    let mut r = Rig::new(1, 0);
    r.join();
    r.beat(1);
    assert!(r.m.session_fresh(at(r.now)));
    let first = r.m.barrier(at(r.now));
    r.drain();
    let second = r.m.barrier(at(r.now));
    r.drain();
    let b = r.take(|b| matches!(b, Body::Beat));
    r.seq += 1;
    let s = r.seq;
    r.deliver(s, b.id, true, b.payload.clone()); // the echo first
    r.m.appended(b.id, &Appended::At(s), at(r.now)); // then the ack
    r.drain();
    r.answer_first(1);
    assert_eq!(r.m.progress().echoed, first);
    assert!(
        r.appends
            .iter()
            .any(|a| matches!(Record::decode(&a.payload).unwrap().body, Body::Beat)),
        "barrier {second} was never sent"
    );
}

#[test]
fn an_expel_on_a_truncated_log_costs_neither_the_cache_nor_early_fleet() {
    // A log whose beginning aged out long ago, replayed more than half the retention.
    let mut r = Rig::new(5000, 9000);
    r.join();
    let j = rec(
        2,
        2,
        Body::Join {
            pod: "other".into(),
        },
    );
    r.m.event(
        Event::Backfilled({
            let (from, to) = r
                .commands
                .iter()
                .rev()
                .find_map(|c| {
                    if let Command::Backfill { from, to } = c {
                        Some((*from, *to))
                    } else {
                        None
                    }
                })
                .unwrap();
            Backfilled {
                from,
                to,
                first: 5000,
                records: vec![(5000, LogTime(0), j)],
            }
        }),
        at(0),
    );
    r.drain();
    r.m.replayed = true; // reached half the retention
    r.m.known_at = None;
    r.beat(5000);
    assert!(r.m.session_fresh(at(r.now)));
    let before = r.m.horizon();
    r.seq += 1;
    let s = r.seq;
    let me = r.m.session_id();
    r.deliver(s, RecordId(77), false, rec(77, 2, Body::Expel(me)));
    // the new incarnation begins at the anchor (the Expel)
    r.deliver(s, RecordId(77), false, rec(77, 2, Body::Expel(me)));
    r.join();
    r.now += 10;
    r.beat(5000);
    assert_eq!(r.m.horizon(), before, "nothing was truncated unread");
    assert!(r.m.replayed, "FLEET waits D for half the retention");
}

#[test]
fn fleet_is_not_early_right_after_an_epoch_that_a_joiner_declared() {
    let mut r = Rig::new(1, 10);
    r.join(); // at 11
    // The replay meets the NewEpoch, 1 s old; sessions of the old epoch may be fresh for 14 s.
    r.backfill(
        1,
        vec![(10, LogTime(10_000_000), rec(5, 5, Body::NewEpoch(Epoch(7))))],
    );
    r.beat(1);
    r.seq += 1;
    let s = r.seq;
    let me = r.m.session_id();
    r.deliver(
        s,
        RecordId(88),
        false,
        rec(
            88,
            me.0,
            Body::Invalidate(Invalidation {
                namespace: "default".into(),
                keys: vec!["k".into()],
                ack_wanted: true,
                ..Default::default()
            }),
        ),
    );
    r.m.await_fleet(s, at(r.now));
    r.drain();
    assert!(r.fleets.is_empty(), "answered at once: {:?}", r.fleets);
}

#[test]
fn an_expel_that_was_not_appended_is_said_again() {
    let mut r = Rig::new(1, 0);
    r.join();
    r.beat(1);
    r.seq += 1;
    let s = r.seq;
    r.deliver(
        s,
        RecordId(2),
        false,
        rec(2, 42, Body::Join { pod: "dead".into() }),
    );
    r.seq += 1;
    let s = r.seq;
    r.deliver(
        s,
        RecordId(3),
        false,
        rec(
            3,
            1,
            Body::Invalidate(Invalidation {
                namespace: "default".into(),
                keys: vec!["k".into()],
                ..Default::default()
            }),
        ),
    );
    r.m.await_fleet(s, at(r.now));
    r.now += 1100;
    r.m.tick(at(r.now));
    r.drain();
    let e = r.take(|b| matches!(b, Body::Expel(_)));
    r.m.appended(e.id, &Appended::Unknown("no leader".into()), at(r.now));
    r.drain();
    for _ in 0..5 {
        r.now += 1000;
        r.m.tick(at(r.now));
        r.drain();
    }
    assert!(
        r.appends
            .iter()
            .any(|a| matches!(Record::decode(&a.payload).unwrap().body, Body::Expel(_))),
        "never expelled again"
    );
}

#[test]
fn own_records_lost_with_a_rolled_back_log_do_not_stay_pending() {
    let mut r = Rig::new(1, 0);
    r.join();
    r.backfill_if();
    r.beat(1);
    let name = NameHash(99);
    r.m.begin(RecordId(500), covering(name));
    r.m.acked(RecordId(500), r.seq + 10); // acknowledged, then lost with the tail
    r.drain();
    r.seq += 1;
    let s = r.seq;
    r.deliver(s, RecordId(6), false, rec(6, 6, Body::NewEpoch(Epoch(8))));
    r.deliver(s, RecordId(6), false, rec(6, 6, Body::NewEpoch(Epoch(8))));
    for i in 0..30u128 {
        r.seq += 1;
        let s = r.seq;
        r.deliver(s, RecordId(600 + i), false, rec(600 + i, 9, Body::Leave));
    }
    r.m.event(Event::First { token: 0, first: 1 }, at(r.now));
    assert!(
        !r.m.is_open(RecordId(500)),
        "open for ever; pending for ever"
    );
}

impl Rig {
    fn backfill_if(&mut self) {
        if self
            .commands
            .iter()
            .any(|c| matches!(c, Command::Backfill { .. }))
        {
            self.backfill(1, vec![]);
        }
    }
}

#[test]
fn one_id_twice_under_way_leaves_nothing_pending() {
    let mut r = Rig::new(1, 0);
    r.join();
    r.backfill_if();
    let own = || covering(facts(0, 0).key.hash());
    for _ in 0..2 {
        // As append.rs begins: under one lock.
        if !r.m.is_open(RecordId(9)) {
            r.m.begin(RecordId(9), own());
        }
    }
    r.seq += 1;
    let s = r.seq;
    r.deliver(
        s,
        RecordId(9),
        false,
        rec(
            9,
            1,
            Body::Invalidate(Invalidation {
                namespace: "default".into(),
                keys: vec!["k".into()],
                ..Default::default()
            }),
        ),
    );
    assert!(!r.m.is_open(RecordId(9)));
    assert_eq!(r.m.pending.of(&facts(0, 0)), None, "pending for ever");
}

#[test]
fn the_engine_does_not_hold_a_passed_acked_record_below_entries_it_covers() {
    // The log lost its tail: an append is acknowledged at a sequence that was passed before.
    let mut r = Rig::new(1, 0);
    r.join();
    r.backfill_if();
    r.beat(1);
    for i in 0..20u128 {
        r.seq += 1;
        let s = r.seq;
        r.deliver(s, RecordId(600 + i), false, rec(600 + i, 9, Body::Leave));
    }
    let facts = facts(r.seq, 7);
    assert_eq!(r.m.judge(&facts, Source::L1, at(r.now)), Freshness::Fresh);
    r.m.begin(RecordId(9), covering(facts.key.hash()));
    r.m.acked(RecordId(9), r.seq - 5);
    r.drain();
    assert_ne!(
        r.m.judge(&facts, Source::L1, at(r.now)),
        Freshness::Fresh,
        "LOG answered OK and this pod serves it as fresh"
    );
}

#[test]
fn a_gap_found_during_a_replay_outlives_the_replay() {
    let mut r = Rig::new(1, 10);
    r.join(); // 11; backfill 1..11 under way
    for _ in 0..3 {
        r.seq += 1;
        let s = r.seq;
        r.deliver(
            s,
            RecordId(u128::from(s)),
            false,
            rec(u128::from(s), 9, Body::Leave),
        );
    }
    r.beat(500); // truncated far past the Join: records may have gone unread
    let gap = r.m.horizon();
    r.backfill(1, vec![]); // its `first` was read before the truncation, told after
    assert!(
        r.m.horizon() >= gap,
        "horizon fell from {gap} to {}",
        r.m.horizon()
    );
}

#[test]
fn a_pod_that_has_left_does_not_join_again() {
    let mut r = Rig::new(1, 0);
    r.join();
    r.beat(1);
    r.m.leave();
    r.drain();
    r.appends.clear();
    r.seq += 1;
    let s = r.seq;
    let me = r.m.session_id();
    r.deliver(s, RecordId(77), false, rec(77, 2, Body::Expel(me)));
    assert!(
        !r.appends
            .iter()
            .any(|a| matches!(Record::decode(&a.payload).unwrap().body, Body::Join { .. })),
        "a ghost session"
    );
}

#[test]
fn fleet_answers_early_once_every_session_of_an_earlier_epoch_is_over() {
    let mut r = Rig::new(1, 10);
    r.join();
    r.backfill(1, vec![new_epoch_at(10)]);
    for _ in 0..9 {
        r.now += 2_000;
        r.m.barrier(at(r.now));
        r.beat(1);
    }
    r.seq += 1;
    let s = r.seq;
    r.deliver(s, RecordId(88), false, rec(88, 1, Body::Leave));
    r.m.await_fleet(s, at(r.now));
    r.drain();
    assert_eq!(r.fleets.len(), 1, "nobody else is there");
}

#[test]
fn a_log_that_cannot_be_read_is_tried_with_pauses_and_opened_again() {
    let mut r = Rig::new(1, 0);
    let j = r.take(|b| matches!(b, Body::Join { .. }));
    r.ack(&j);
    r.commands.clear();
    for _ in 0..2_000 {
        let incarnation = r.inc;
        r.m.event(
            Event::Broken {
                incarnation,
                why: "no such stream".into(),
            },
            at(r.now),
        );
        r.drain();
        r.now += 10;
        r.m.tick(at(r.now));
        r.drain();
    }
    let reads = r
        .commands
        .iter()
        .filter(|c| matches!(c, Command::Read { .. }))
        .count();
    assert!((3..20).contains(&reads), "{reads} incarnations in 20 s");
    assert!(r.commands.contains(&Command::Reopen));
    assert!(
        r.m.log_error()
            .is_some_and(|why| why.contains("no such stream"))
    );
}

#[test]
fn timers_are_due_however_many_events_come() {
    let mut r = Rig::new(1, 0);
    r.join();
    r.beat(1);
    for _ in 0..3_000 {
        r.now += 2;
        r.seq += 1;
        let s = r.seq;
        r.deliver(
            s,
            RecordId(u128::from(s) + 9_000),
            false,
            rec(u128::from(s) + 9_000, 9, Body::Leave),
        );
        if at(r.now) >= r.m.next_tick() {
            r.m.tick(at(r.now));
            r.drain();
        }
    }
    let beats = r
        .appends
        .iter()
        .filter(|a| matches!(a.subject, Subject::Beats(_)))
        .count();
    assert!(beats >= 1, "no beat in 6 s");
}

#[test]
fn the_epoch_is_said_again_before_it_ages_out_of_the_log() {
    let mut r = Rig::new(1, 10);
    r.join();
    r.backfill(1, vec![new_epoch_at(10)]);
    r.beat(1);
    // Less than retention/3: the record that opened the epoch is still there.
    r.now += 10 * 86_400_000;
    r.m.tick(at(r.now));
    r.drain();
    let again = r.take(|b| matches!(b, Body::SameEpoch(_)));
    let record = Record::decode(&again.payload).expect("a record");
    assert_eq!(
        (again.subject, record.epoch()),
        (Subject::Epochs, Some(Epoch(7)))
    );
    // Nothing if another epoch was declared meanwhile.
    assert_eq!(again.expect_last, Some(10));
}

#[test]
fn the_epoch_is_said_again_before_a_small_log_discards_it() {
    let mut r = Rig::new(1, 10);
    r.join();
    r.backfill(1, vec![new_epoch_at(10)]);
    r.beat(1);
    let says = |r: &Rig| {
        let same = |a: &&Append| matches!(record_of(a).body, Body::SameEpoch(_));
        r.appends.iter().filter(same).count()
    };
    r.beat_after(2_000, 5);
    assert_eq!(says(&r), 0, "the newest half names it");
    r.beat_after(2_000, 9);
    r.m.tick(at(r.now));
    r.drain();
    assert_eq!(says(&r), 1, "only the oldest records do");
}

fn record_of(append: &Append) -> Record {
    Record::decode(&append.payload).expect("a record")
}

fn new_epoch_at(sequence: u64) -> (u64, LogTime, bytes::Bytes) {
    let time = LogTime(sequence * 1_000_000);
    (sequence, time, rec(5, 5, Body::NewEpoch(Epoch(7))))
}

#[test]
fn a_word_waits_until_no_record_can_have_been_missed() {
    let mut r = Rig::new(1, 0);
    r.join();
    r.beat(1);
    r.commands.clear();
    // Numbers are left out: beats of other pods, or something discarded unread.
    r.seq += 5;
    let s = r.seq;
    let invalidation = Invalidation {
        ack_wanted: true,
        ..Invalidation::default()
    };
    r.deliver(
        s,
        RecordId(3),
        false,
        rec(3, 42, Body::Invalidate(invalidation)),
    );
    let said = |r: &Rig| {
        let mut said = r.commands.iter();
        said.any(|c| matches!(c, Command::Say { sequence, .. } if *sequence == s))
    };
    assert!(!said(&r), "it may have missed what it speaks for");
    assert_eq!(r.m.progress().verified, s - 5);
    r.answer_first(1);
    assert!(said(&r));
    assert_eq!(r.m.progress().verified, s);
}

fn opened(epoch: u64, first: u64, last: u64) -> Event {
    Event::Opened(Opened {
        epoch: Some(Epoch(epoch)),
        first,
        last,
        session_ttl: Duration::from_secs(15),
        retention: Duration::from_secs(31 * 86400),
        alone: false,
        epoch_told: 1,
    })
}

#[test]
fn a_backward_log_that_somebody_else_mended_is_not_declared_again_at_the_next_reconnect() {
    let mut r = Rig::new(1, 0);
    r.join();
    r.beat(1);
    // Reconnect; another record is where the anchor was: backward.
    r.m.event(opened(7, 1, 5), at(r.now));
    r.drain();
    let anchor = r
        .commands
        .iter()
        .rev()
        .find_map(|c| match c {
            Command::Read { anchor, .. } => Some(*anchor),
            _ => None,
        })
        .unwrap();
    r.deliver(
        anchor,
        RecordId(999_999),
        false,
        rec(999_999, 5, Body::Leave),
    );
    assert!(matches!(r.commands.last(), Some(Command::Reopen)));
    r.appends.clear();
    // Somebody else has declared epoch 8 already.
    r.seq = 20;
    r.m.event(opened(8, 1, 20), at(r.now));
    r.drain();
    r.join();
    r.beat(1);
    assert!(r.m.session_fresh(at(r.now)));
    assert_eq!(r.m.position().unwrap().epoch, Epoch(8));
    // A plain reconnect, same epoch, nothing lost.
    r.m.event(Event::Lost("blip".into()), at(r.now));
    r.drain();
    r.appends.clear();
    let last = r.seq;
    r.m.event(opened(8, 1, last), at(r.now));
    r.drain();
    let declares = r
        .appends
        .iter()
        .any(|a| matches!(Record::decode(&a.payload).unwrap().body, Body::NewEpoch(_)));
    assert!(!declares, "a spurious NewEpoch");
}

#[test]
fn watchers_are_told_of_a_record_that_cannot_be_decoded() {
    let mut r = Rig::new(1, 0);
    r.join();
    r.beat(1);
    r.seq += 1;
    let s = r.seq;
    r.cseq += 1;
    let d = Delivery {
        incarnation: r.inc,
        consumer_sequence: r.cseq,
        sequence: s,
        time: LogTime(1_000_000 * s),
        id: RecordId(5),
        expires: false,
        payload: bytes::Bytes::from_static(b"??"),
    };
    r.m.event(Event::Delivered(d), at(r.now));
    let acts = r.m.take_actions();
    assert!(
        acts.iter().any(|a| matches!(
            a,
            Action::Reset | Action::WatchFrom(_) | Action::Invalidated(..)
        )),
        "{acts:?}"
    );
}

/// Found by schedules that lose Joins: a gap that was found before the Join was
/// processed left no replay to settle what had been under way.
#[test]
fn own_records_from_before_a_gap_do_not_stay_pending_without_a_replay() {
    let mut r = Rig::new(1, 0);
    r.join();
    r.backfill_if();
    r.beat(1);
    r.m.begin(RecordId(500), covering(NameHash(99)));
    r.m.acked(RecordId(500), r.seq + 10);
    r.seq += 5;
    let s = r.seq;
    r.deliver(s, RecordId(6), false, rec(6, 9, Body::Leave));
    r.m.event(Event::Lost("away".into()), at(r.now));
    r.m.event(opened(7, 50, 60), at(r.now)); // truncated past the anchor
    r.m.verify(at(r.now));
    r.drain();
    r.answer_first(50); // a gap
    r.m.event(opened(7, 50, 60), at(r.now));
    r.drain();
    r.appends.retain(|a| {
        let record = Record::decode(&a.payload).unwrap();
        !matches!(record.body, Body::Join { .. }) || record.origin == r.m.session_id()
    });
    r.seq = 60;
    r.join();
    assert!(
        !r.m.is_open(RecordId(500)),
        "open for ever; pending for ever"
    );
}
