//! FLEET: waiting until every session has processed a record or has lapsed.
//!
//! The sessions are known from the log. Each says its word (plain NATS,
//! cumulative, repeated while wanted); a silent one is expelled, and counts as
//! ended only D after this pod processed its Expel. D after the append every
//! session has processed it or has nothing fresh: then the wait ends anyway.

use super::record::{Body, RecordId, SessionId};
use super::{Action, Bug, FleetOutcome, Machine};
use crate::clock::Moment;
use crate::log::{Appended, Command, Subject};
use crate::position::Epoch;
use crate::request::{Peer, Session};
use std::time::Duration;

/// A session silent for this long with a word outstanding is expelled.
const SILENT: Duration = Duration::from_secs(1);
/// How often a word that did not come is asked for.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Another session (or the own one) as the log and its words tell.
pub(super) struct PeerState {
    pub(super) pod: String,
    /// Its first and newest Join.
    pub(super) first_join: u64,
    pub(super) joined: u64,
    /// When the newest was processed here.
    pub(super) heard: Moment,
    /// When its Expel was processed here.
    pub(super) expelled: Option<Moment>,
    /// The Expel under way or in the log.
    expel: Option<RecordId>,
    /// The highest word heard in this epoch.
    word: u64,
}

impl PeerState {
    pub(super) fn new(pod: String, joined: u64) -> Self {
        Self {
            pod,
            first_join: joined,
            joined,
            heard: Moment::default(),
            expelled: None,
            expel: None,
            word: 0,
        }
    }

    /// Its Join is in the log again. The pod had no answer to the first and may
    /// read from this one on, so it never meets an Expel between the two: that
    /// one ends nothing.
    pub(super) fn rejoined(&mut self, sequence: u64, now: Moment) {
        self.joined = self.joined.max(sequence);
        self.heard = now;
        (self.expelled, self.expel) = (None, None);
    }
}

struct Wait {
    number: u64,
    sequence: u64,
    began: Moment,
    asked: Moment,
}

#[derive(Default)]
pub(super) struct Fleet {
    waits: Vec<Wait>,
    numbers: u64,
    /// When this pod's reading was last interrupted; early answers need D
    /// without. A complete first replay is no interruption.
    interrupted: Option<Moment>,
}

impl Fleet {
    pub(super) fn interrupted(&mut self, now: Moment) {
        self.interrupted = Some(now);
    }
}

impl Machine {
    /// Waits until every session has processed `sequence` or has lapsed; D
    /// counts from `now`, which is not before the append was acknowledged.
    /// Ends in [`Action::Fleet`] with the returned number.
    pub fn await_fleet(&mut self, sequence: u64, now: Moment) -> u64 {
        self.fleet.numbers += 1;
        let number = self.fleet.numbers;
        if self.session.left {
            // Nobody looks after it any more.
            self.push(Action::Fleet(number, FleetOutcome::Unknown));
            return number;
        }
        self.fleet.waits.push(Wait {
            number,
            sequence,
            began: now,
            asked: now,
        });
        if self.verified.to < sequence {
            self.verify(now);
        }
        self.check_fleet(now);
        number
    }

    /// The number the next [`Machine::await_fleet`] will return.
    pub fn next_fleet(&self) -> u64 {
        self.fleet.numbers + 1
    }

    /// Nobody waits for the outcome any more.
    pub fn cancel_fleet(&mut self, number: u64) {
        self.fleet.waits.retain(|wait| wait.number != number);
    }

    /// A session said what it processed.
    pub(super) fn word(&mut self, session: SessionId, epoch: Epoch, sequence: u64, now: Moment) {
        if self.epoch != Some(epoch) {
            return;
        }
        if let Some(peer) = self.peers.get_mut(&session) {
            peer.word = peer.word.max(sequence);
        }
        self.check_fleet(now);
    }

    /// Says this pod's word to `to`.
    pub(super) fn say(&mut self, to: SessionId, sequence: u64) {
        let session = self.session.id;
        if let Some(epoch) = self.epoch
            && to != session
            && self.session.joined.is_some()
        {
            self.command(Command::Say {
                to,
                session,
                epoch,
                sequence,
            });
        }
    }

    /// Ends every wait with an unknown outcome.
    pub(super) fn fail_fleet(&mut self) {
        for wait in std::mem::take(&mut self.fleet.waits) {
            self.push(Action::Fleet(wait.number, FleetOutcome::Unknown));
        }
    }

    pub(super) fn tick_fleet(&mut self, now: Moment) {
        self.forget_ended(now);
        if self.fleet.waits.is_empty() {
            return;
        }
        self.check_fleet(now);
        if self
            .fleet
            .waits
            .iter()
            .any(|wait| wait.sequence > self.verified.to)
        {
            self.verify(now);
        }
        self.expel_silent(now);
        let due = |wait: &Wait| now >= wait.asked.plus(ASK_EVERY);
        if self.fleet.waits.iter().any(due) {
            self.fleet
                .waits
                .iter_mut()
                .for_each(|wait| wait.asked = now);
            let by = self.session.id;
            self.command(Command::Ask { by });
        }
    }

    pub(super) fn fleet_timer(&self) -> Option<Moment> {
        let at = self.ticked.plus(Duration::from_millis(50));
        (!self.fleet.waits.is_empty()).then_some(at)
    }

    /// An Expel that is not in the log is said again.
    pub(super) fn expel_answered(&mut self, id: RecordId, outcome: &Appended) {
        if matches!(outcome, Appended::At(_)) {
            return;
        }
        let mut peers = self.peers.values_mut();
        if let Some(peer) = peers.find(|peer| peer.expel == Some(id)) {
            peer.expel = None;
        }
    }

    /// Ends the waits that are over.
    pub(super) fn check_fleet(&mut self, now: Moment) {
        let bound = self.staleness_bound();
        let early = self.may_answer_early(now);
        let mut index = 0;
        while let Some(wait) = self.fleet.waits.get(index) {
            let (sequence, late) = (wait.sequence, now >= wait.began.plus(bound));
            // A Join below it that was discarded unread would not be known.
            let known = early && self.verified.to >= sequence;
            let settled = late || (known && self.unsettled(sequence, now).is_empty());
            if settled && self.reader.processed >= sequence {
                let wait = self.fleet.waits.remove(index);
                let outcome = self.outcome(sequence, now);
                self.push(Action::Fleet(wait.number, outcome));
            } else {
                index += 1;
            }
        }
    }

    fn may_answer_early(&self, now: Moment) -> bool {
        let Some(interrupted) = self.fleet.interrupted else {
            return self.replayed || self.has_bug(Bug::FleetBeforeReplay);
        };
        let undisturbed = now >= interrupted.plus(self.staleness_bound());
        undisturbed && self.replayed || self.has_bug(Bug::FleetEarly)
    }

    /// The sessions that `sequence` still waits for.
    fn unsettled(&self, sequence: u64, now: Moment) -> Vec<SessionId> {
        let waits_for = |(id, peer): (&SessionId, &PeerState)| {
            let settled = *id == self.session.id
                || peer.first_join > sequence
                || peer.word >= sequence
                || self.has_ended(peer, now)
                || self.settings.bugs.has(Bug::FleetIgnoresSilent)
                || (self.settings.bugs.has(Bug::FleetStaleList) && peer.word == 0);
            (!settled).then_some(*id)
        };
        self.peers.iter().filter_map(waits_for).collect()
    }

    fn has_ended(&self, peer: &PeerState, now: Moment) -> bool {
        let bound = match self.settings.bugs.has(Bug::ExpelledAtOnce) {
            true => Duration::ZERO,
            false => self.staleness_bound(),
        };
        peer.expelled.is_some_and(|at| now >= at.plus(bound))
    }

    fn outcome(&self, sequence: u64, _now: Moment) -> FleetOutcome {
        let (mut acked, mut lapsed) = (Vec::new(), Vec::new());
        for (id, peer) in self
            .peers
            .iter()
            .filter(|(_, peer)| peer.first_join <= sequence)
        {
            let session = Session {
                id: *id,
                pod: peer.pod.clone(),
            };
            if *id == self.session.id || peer.word >= sequence {
                acked.push(session);
            } else {
                lapsed.push(session);
            }
        }
        FleetOutcome::Done { acked, lapsed }
    }

    fn expel_silent(&mut self, now: Moment) {
        let overdue = |wait: &&Wait| now >= wait.began.plus(SILENT);
        let Some(sequence) = self
            .fleet
            .waits
            .iter()
            .filter(overdue)
            .map(|w| w.sequence)
            .max()
        else {
            return;
        };
        for id in self.unsettled(sequence, now) {
            if self.peers.get(&id).is_some_and(|peer| peer.expel.is_some()) {
                continue;
            }
            let expel = self.append_own(Body::Expel(id), Subject::Records, None);
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.expel = Some(expel);
            }
        }
    }

    /// Sessions that ended are forgotten, but not before every wait that may
    /// have to name them is over. One that did not repeat its Join is over, too.
    fn forget_ended(&mut self, now: Moment) {
        let keep = self.staleness_bound() * 2;
        let own = self.session.id;
        // Clock rates differ by at most 2 %, either way.
        let repeats = self.retention / 4 + self.retention / 100 + self.staleness_bound() * 2;
        self.peers.retain(|id, peer| {
            let ended = peer.expelled.is_some_and(|at| now >= at.plus(keep));
            *id == own || !(ended || now >= peer.heard.plus(repeats))
        });
    }

    /// The sessions this pod knows.
    pub fn peers(&self) -> Vec<Peer> {
        let peer = |(id, peer): (&SessionId, &PeerState)| Peer {
            session: Session {
                id: *id,
                pod: peer.pod.clone(),
            },
            own: *id == self.session.id,
            expelled: peer.expelled.is_some(),
            joined: peer.joined,
            processed: if *id == self.session.id {
                self.reader.processed
            } else {
                peer.word
            },
        };
        self.peers.iter().map(peer).collect()
    }
}
