//! A machine led along a path of `confirmation`, as its first pod, and held
//! against that pod after every step.
//!
//! Model position `k` is sequence `k` + 1: the first record is the Join.

use super::{EPOCH, NOW, Pod, facts, invalidate, namespace, record, stamp};
use crate::confirmation::{Action as Step, Asks, Confirmation, Phase, State};
use bytes::Bytes;
use std::collections::HashSet;
use unstale_engine::clock::LogTime;
use unstale_engine::coherence::record::{Body, Record, RecordId, SessionId, Write};
use unstale_engine::coherence::{Action, Decision, Freshness, Own, Source, WriteCheck};
use unstale_engine::log::{Backfilled, Command, Event};
use unstale_engine::position::Position;
use unstale_engine::request::{Mode, StaleReason};

/// The model's pod.
pub(super) const LED: usize = 0;

pub(super) struct Led {
    pod: Pod,
    /// What is in the log after the Join: id, whether it expires, payload.
    log: Vec<(RecordId, bool, Bytes)>,
    /// Actions of the machine that were looked at.
    seen: usize,
    /// The questions under way.
    sets: Option<u64>,
    echo: Option<u64>,
    /// Where the Sets are that were accepted.
    accepted: HashSet<u64>,
}

impl Led {
    pub(super) fn new() -> Self {
        let pod = Pod::join(1);
        Self {
            seen: pod.actions.len(),
            pod,
            log: Vec::new(),
            sets: None,
            echo: None,
            accepted: HashSet::new(),
        }
    }

    pub(super) fn step(&mut self, before: &State, step: Step, after: &State) {
        let last = sequence(after.log.last());
        match step {
            Step::Invalidate => self.push(&invalidate(Some("0"), false, last)),
            Step::Append(at) => self.append(before, at, last),
            Step::Beat(LED) => {
                self.pod.machine.barrier(NOW);
                self.pod.take();
                self.own(last, true);
            }
            Step::Beat(_) => self.log.push((RecordId(0), true, Bytes::new())),
            Step::Process(LED) => self.process(after.pods[LED].processed),
            Step::Answer(LED, asks) => self.answer(before, asks),
            Step::AskAgain(LED) => self.pod.machine.verify(NOW),
            Step::Break(LED) => self.pod.event(Event::Lost("away".into())),
            Step::Open(LED) => self.open(before, after),
            Step::Replay(LED) => self.replay(before),
            _ => {}
        }
        let asked = self.look();
        self.compare_questions(before, step, after, asked);
    }

    fn push(&mut self, record: &Record) {
        self.log.push((record.id, false, record.encode().into()));
    }

    fn append(&mut self, before: &State, at: usize, last: u64) {
        let record = write(last);
        let set = before.sets[at].expect("a Set");
        if set.pod == LED {
            let machine = &mut self.pod.machine;
            machine.begin(record.id, own(set.position));
            machine.acked(record.id, last);
        }
        self.push(&record);
    }

    /// The machine's own newest append is in the log.
    fn own(&mut self, sequence: u64, expires: bool) {
        let append = self.pod.append(sequence);
        self.log.push((append.id, expires, append.payload));
    }

    fn process(&mut self, position: u8) {
        self.deliver(position);
        // A Set that was accepted waits to be confirmed.
        let at = sequence(position);
        self.note_decisions();
        if self.accepted.contains(&at) && self.pod.machine.progress().verified < at {
            self.pod.machine.verify(NOW);
        }
    }

    fn deliver(&mut self, position: u8) {
        let (id, expires, payload) = match position {
            0 => self.pod.joined.clone(),
            _ => self.log[usize::from(position) - 1].clone(),
        };
        self.pod.deliver(sequence(position), id, expires, payload);
    }

    fn answer(&mut self, before: &State, asks: Asks) {
        let token = match asks {
            Asks::Sets => self.sets.take(),
            Asks::Echo => self.echo.take(),
        };
        let token = token.expect("the machine has asked");
        let question = before.pods[LED].question(asks);
        let first = question.and_then(|question| question.first).map(first);
        let first = first.expect("the log has looked");
        self.pod.event(Event::First { token, first });
    }

    fn open(&mut self, before: &State, after: &State) {
        self.pod
            .open(first(before.first), sequence(before.log.last()));
        if after.log.last() > before.log.last() {
            self.own(sequence(after.log.last()), false);
        } else if !before.pods[LED].begins_anew() {
            self.deliver(before.pods[LED].anchor);
        }
    }

    fn replay(&mut self, before: &State) {
        let (from, to) = self.pod.newest(|action| match action {
            Action::Command(Command::Backfill { from, to }) => Some((*from, *to)),
            _ => None,
        });
        let old = self.log.iter().zip(2..);
        let old = old.filter(|((_, expires, _), at)| !expires && (from..to).contains(at));
        let records: Vec<(u64, LogTime, Bytes)> = old
            .map(|((_, _, payload), at)| (at, stamp(at), payload.clone()))
            .collect();
        self.pod.event(Event::Backfilled(Backfilled {
            from,
            to,
            first: first(before.first),
            records,
        }));
    }

    /// Looks at what the machine wants; the question that it asks, if any.
    fn look(&mut self) -> Option<u64> {
        self.pod.take();
        let new = &self.pod.actions[self.seen..];
        let mut asked = new.iter().filter_map(|action| match action {
            Action::Command(Command::CheckFirst { token }) => Some(*token),
            _ => None,
        });
        let question = asked.next();
        assert_eq!(asked.next(), None, "two questions at once");
        self.note_decisions();
        self.seen = self.pod.actions.len();
        question
    }

    fn note_decisions(&mut self) {
        let decided = |action: &Action| match action {
            Action::Decided(id, Decision::Accepted(at)) if *id == write(at.sequence).id => {
                Some(at.sequence)
            }
            _ => None,
        };
        let new = &self.pod.actions[self.seen..];
        self.accepted.extend(new.iter().filter_map(decided));
    }

    fn compare_questions(&mut self, before: &State, step: Step, after: &State, asked: Option<u64>) {
        let (was, is) = (&before.pods[LED], &after.pods[LED]);
        let echo = is.echo.is_some() && was.echo.is_none();
        let answered = step == Step::Answer(LED, Asks::Sets);
        let sets = is.is_asking() && (answered || !was.is_asking());
        assert_eq!(asked.is_some(), echo || sets, "asks");
        match echo {
            true => self.echo = asked,
            false => self.sets = asked.or(self.sets),
        }
    }

    /// Whether the machine is where the model's pod is.
    pub(super) fn compare(&self, model: &Confirmation, state: &State) {
        let (machine, pod) = (&self.pod.machine, &state.pods[LED]);
        let progress = machine.progress();
        assert_eq!(progress.processed, sequence(pod.processed), "processed");
        assert_eq!(progress.verified, sequence(pod.verified()), "verified");
        assert_eq!(machine.gap().saturating_sub(1), u64::from(pod.gap), "gap");
        for set in state.sets.iter().flatten().filter(|set| set.pod == LED) {
            let Phase::Accepted(n) = set.phase else {
                continue;
            };
            let confirmed = progress.verified >= sequence(n);
            let stands = confirmed.then_some(sequence(set.position) >= machine.gap());
            assert_eq!(stands, model.stands(pod, set), "stands");
            // The engine's `write::confirmed` refuses more: what was told before a
            // gap was found, as the value may be made of an answer.
            let doubted = sequence(set.position) <= machine.unsound();
            assert!(doubted || stands != Some(false), "doubted");
        }
        for as_of in 0..=state.log.last() {
            self.compare_judgement(state, as_of);
        }
    }

    fn compare_judgement(&self, state: &State, as_of: u8) {
        let facts = facts("0", sequence(as_of));
        let judged = self.pod.machine.judge(&facts, Source::Remote, NOW);
        let lapsed = Freshness::Stale(StaleReason::SessionNotFresh);
        // Own Sets on their way cover the key here.
        if judged != Freshness::Pending {
            let serves = judged == Freshness::Fresh || judged == lapsed;
            assert_eq!(
                serves,
                state.pods[LED].serves(as_of),
                "{as_of} is {judged:?}"
            );
        }
    }

    /// Whether it has accepted what the model has, and nothing else.
    pub(super) fn compare_accepted(&self, accepted: &HashSet<u8>) {
        let accepted: HashSet<u64> = accepted.iter().map(|at| sequence(*at)).collect();
        assert_eq!(self.accepted, accepted, "accepted");
    }
}

fn sequence(position: u8) -> u64 {
    u64::from(position) + 1
}

/// The first retained sequence; before a cut that is the Join.
fn first(position: u8) -> u64 {
    match position {
        1 => 1,
        _ => sequence(position),
    }
}

fn write(at: u64) -> Record {
    let write = Write {
        namespace: "ns".into(),
        key: "0".into(),
        source_version: None,
        ack_wanted: false,
    };
    record(SessionId(1), at, Body::Write(write))
}

fn own(position: u8) -> Own {
    let facts = facts("0", 0);
    let position = Position {
        epoch: EPOCH,
        sequence: sequence(position),
    };
    Own {
        namespace: namespace(),
        names: vec![facts.key.hash()],
        prefixes: Vec::new(),
        all: false,
        mode: Mode::Hard,
        answered: false,
        check: Some(WriteCheck {
            facts,
            position: Some(position),
            depends_at: None,
        }),
    }
}
