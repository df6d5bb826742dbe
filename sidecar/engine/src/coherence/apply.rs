//! Processing records: floors first, then waiters, and only then the word.

use super::fleet::PeerState;
use super::floors::Floor;
use super::history::Asked;
use super::record::{Body, Invalidation, Record, RecordId, SessionId, Write};
use super::{Action, Bug, Decision, Machine, WriteCheck};
use crate::clock::{LogTime, Moment};
use crate::key::{Key, NameHash, Namespace, Prefix, Tag};
use crate::log::{Delivery, WRITE_SHARDS};
use crate::position::Position;
use crate::request::{Mode, NotStored};
use std::sync::Arc;

/// How a session met in the replayed log had ended, newer records first.
#[derive(Clone, Copy)]
pub(super) enum End {
    Left,
    Expelled(Moment),
}

impl Machine {
    /// Processes the next record of the log.
    pub(super) fn process(&mut self, delivery: &Delivery, now: Moment) {
        self.processed_at = now;
        self.counts.processed += 1;
        self.look_at_stamp(delivery.time);
        let sequence = delivery.sequence;
        let Ok(record) = Record::decode(&delivery.payload) else {
            // A newer version's record: it may cover anything.
            self.counts.undecodable += 1;
            self.cover_everything(sequence);
            return;
        };
        let asked = Asked::of(&record, delivery.time);
        match record.body {
            Body::Invalidate(invalidation) => {
                let (what, reason) = (Arc::new(invalidation), record.reason);
                self.raise(&what, sequence);
                self.history
                    .invalidated(sequence, asked, &what, reason.as_deref());
                self.decide(record.id, sequence, None);
                self.answer_word(what.ack_wanted, record.origin, sequence, now);
                self.push(Action::Invalidated(sequence, what, reason));
            }
            Body::Write(write) => self.write(asked, &write, sequence, now),
            Body::Join { pod } => self.joined(record.origin, pod, delivery, now),
            Body::Beat if record.origin == self.session.id => {
                self.own_beat(record.id, delivery.time, now);
            }
            Body::Beat => {}
            Body::Leave => {
                self.peers.remove(&record.origin);
                self.note_end(record.origin, End::Left);
            }
            Body::Expel(session) => self.expelled(session, now),
            Body::NewEpoch(epoch) => self.new_epoch(epoch, delivery, now),
            Body::SameEpoch(epoch) if self.epoch == Some(epoch) => {
                self.epoch_told = sequence;
                self.epoch_again_at = now.plus(self.jittered(self.retention / 4));
            }
            // Of a pod that has not read the NewEpoch yet.
            Body::SameEpoch(_) => {}
        }
        self.check_fleet(now);
    }

    fn new_epoch(&mut self, epoch: crate::position::Epoch, delivery: &Delivery, now: Moment) {
        if self.epoch == Some(epoch) {
            self.epoch_told = delivery.sequence;
            return;
        }
        let anchor = self.reader.anchor;
        self.start_over(epoch, now);
        self.clock.observe(delivery.time);
        self.epoch_told = delivery.sequence;
        self.reader.processed = delivery.sequence;
        self.reader.anchor = anchor;
        self.horizon = delivery.sequence;
        self.verified_from(delivery.sequence);
        // Sessions of the old epoch may be fresh for D.
        self.known_at = Some(now.plus(self.staleness_bound()));
        self.decide_lost();
        self.push(Action::WatchFrom(delivery.sequence));
        self.join(now);
        self.rebuild(now);
    }

    fn joined(&mut self, origin: SessionId, pod: String, delivery: &Delivery, now: Moment) {
        let sequence = delivery.sequence;
        self.history.joined(sequence, origin, &pod);
        let peer = self
            .peers
            .entry(origin)
            .or_insert_with(|| PeerState::new(pod, sequence));
        peer.rejoined(sequence, now);
        self.ends.remove(&origin);
        if origin == self.session.id {
            self.own_join(delivery, now);
            self.look_back(sequence, now);
        }
    }

    /// Replays what lies before the own Join, unless a gap was found since: then
    /// nothing older is believed, and nobody will meet the own records there.
    fn look_back(&mut self, joined: u64, now: Moment) {
        if self.backfill_to.is_some() {
            return;
        }
        if self.replayed || self.known_at.is_some() {
            self.decide_lost();
        } else {
            self.start_backfill(joined, now);
        }
    }

    fn expelled(&mut self, session: SessionId, now: Moment) {
        if let Some(peer) = self.peers.get_mut(&session) {
            peer.expelled.get_or_insert(now);
        }
        self.note_end(session, End::Expelled(now));
        if session == self.session.id {
            self.own_expel(now);
        }
    }

    /// A session that ends while older records are still replayed must not be
    /// taken for live when its Join is met.
    fn note_end(&mut self, session: SessionId, end: End) {
        if !self.replayed {
            self.ends.entry(session).or_insert(end);
        }
    }

    fn answer_word(&mut self, wanted: bool, origin: SessionId, sequence: u64, now: Moment) {
        if wanted && self.has_bug(Bug::WordBeforeProcessed) {
            self.say(origin, sequence + 1);
        } else if wanted {
            self.promise_word(origin, sequence, now);
        }
    }

    fn raise(&mut self, invalidation: &Invalidation, sequence: u64) {
        let Ok(namespace) = Namespace::new(&invalidation.namespace) else {
            self.cover_everything(sequence);
            return;
        };
        let mode = match invalidation.soft {
            true => Mode::Soft,
            false => Mode::Hard,
        };
        // A name that this version cannot judge: its namespace falls.
        let mut whole = invalidation.all;
        let version = match self.has_bug(Bug::OlderVersionAfterDeletion) {
            true => None,
            false => invalidation.min_source_version,
        };
        for key in &invalidation.keys {
            match Key::new(namespace.clone(), key) {
                Ok(key) => self.raise_key(&key, mode, version, sequence),
                Err(_) => whole = true,
            }
        }
        for tag in &invalidation.tags {
            match Tag::new(tag) {
                Ok(tag) => self.floors.raise(tag.hash(&namespace), mode, sequence),
                Err(_) => whole = true,
            }
        }
        for prefix in &invalidation.prefixes {
            whole |= !self.raise_prefix(&namespace, prefix, mode, sequence);
        }
        if whole {
            let namespace = NameHash::of_namespace(&namespace);
            self.floors.raise_namespace(namespace, mode, sequence);
        }
    }

    fn raise_key(&mut self, key: &Key, mode: Mode, version: Option<u64>, sequence: u64) {
        self.floors.raise(key.hash(), mode, sequence);
        if let Some(version) = version {
            self.versions.raise(key.hash(), mode, version, sequence);
        }
    }

    /// False: not a prefix that this version knows.
    fn raise_prefix(&mut self, ns: &Namespace, text: &str, mode: Mode, sequence: u64) -> bool {
        let Ok(prefix) = Prefix::new(text) else {
            return false;
        };
        match prefix.hash(ns, &self.settings.delimiters) {
            Some(hash) => self.floors.raise(hash, mode, sequence),
            None => self.floors.raise_prefix(ns, text, mode, sequence),
        }
        true
    }

    fn write(&mut self, asked: Asked, write: &Write, sequence: u64, now: Moment) {
        let Asked { id, origin, .. } = asked;
        let key = Namespace::new(&write.namespace).and_then(|ns| Key::new(ns, &write.key));
        let Ok(key) = key else {
            self.cover_everything(sequence);
            return;
        };
        let check = self.own.get_mut(&id).and_then(|open| open.own.check.take());
        let refused = check.and_then(|check| self.refuse(&check, sequence));
        self.raise_key(&key, Mode::Hard, write.source_version, sequence);
        self.history.wrote(sequence, asked, key.hash());
        if sequence >= self.reader.processed {
            // Not replayed: its value may still be on its way.
            self.written.note(key.hash(), sequence, now);
        }
        let shard = &mut self.shards[usize::from(key.hash().shard(WRITE_SHARDS))];
        *shard = sequence.max(*shard);
        self.decide(id, sequence, refused);
        self.answer_word(write.ack_wanted, origin, sequence, now);
        let keys = vec![write.key.clone()];
        let cover = Invalidation {
            namespace: write.namespace.clone(),
            keys,
            ..Invalidation::default()
        };
        self.push(Action::Invalidated(sequence, Arc::new(cover), None));
    }

    /// Whether a write may not stand, judged just before its own record.
    fn refuse(&self, check: &WriteCheck, sequence: u64) -> Option<NotStored> {
        let least = self.least_source_version(check.facts.key.hash());
        if let (Some(least), Some(given)) = (least, check.facts.source_version)
            && given < least
        {
            return Some(NotStored::OlderSourceVersion(least));
        }
        // A replay may still meet a higher one.
        if check.facts.source_version.is_some() && self.backfill_to.is_some() {
            return Some(NotStored::PositionTooOld);
        }
        if self.is_dependency_covered(check) {
            return Some(NotStored::DependencyChanged);
        }
        let position = check.position?;
        let below = position.sequence < self.horizon() && !self.has_bug(Bug::PositionBelowHorizon);
        if Some(position.epoch) != self.epoch || below {
            return Some(NotStored::PositionTooOld);
        }
        if position.sequence >= sequence {
            return Some(NotStored::PositionUnknown);
        }
        let floor = self.floor(&check.facts);
        let covered = floor.hard.max(floor.soft) > position.sequence;
        covered.then_some(NotStored::Covered)
    }

    /// Whether what the written entry depends on may not be what it was.
    fn is_dependency_covered(&self, check: &WriteCheck) -> bool {
        let (Some(depends), Some(at)) = (&check.facts.depends, check.depends_at) else {
            return false;
        };
        let namespace = check.facts.namespace;
        let wide = self.floors.of_namespace(namespace).into_iter();
        let floor = wide.fold(self.floors.of_depends(namespace, depends), Floor::max);
        let unknown = Some(at.epoch) != self.epoch || at.sequence < self.horizon();
        unknown || floor.newest() > at.sequence
    }

    fn decide(&mut self, id: RecordId, sequence: u64, refused: Option<NotStored>) {
        let id = self.own_of(id);
        if !self.own.contains_key(&id) {
            return;
        }
        self.forget(id);
        let epoch = self.epoch.expect("records are processed in an epoch");
        let decision = match refused {
            Some(why) => Decision::Refused(why),
            None => Decision::Accepted(Position { epoch, sequence }),
        };
        self.push(Action::Decided(id, decision));
    }

    /// Applies a record from before the anchor; newer ones were applied first.
    /// True if it began the epoch: what is older does not count.
    pub(super) fn apply_old(
        &mut self,
        (sequence, time, payload): (u64, LogTime, &[u8]),
        now: Moment,
    ) -> bool {
        self.look_at_old_stamp(time);
        let Ok(record) = Record::decode(payload) else {
            self.counts.undecodable += 1;
            self.cover_everything(sequence);
            return false;
        };
        let asked = Asked::of(&record, time);
        match record.body {
            Body::Invalidate(invalidation) => {
                let what = Arc::new(invalidation);
                self.raise(&what, sequence);
                self.history
                    .invalidated(sequence, asked, &what, record.reason.as_deref());
                self.decide(record.id, sequence, None);
            }
            Body::Write(write) => {
                let write = Write {
                    ack_wanted: false,
                    ..write
                };
                self.write(asked, &write, sequence, now);
            }
            Body::Join { pod } => self.joined_before(record.origin, pod, sequence, now),
            Body::Leave => drop(self.ends.insert(record.origin, End::Left)),
            Body::Expel(session) => self.expelled_before(session, now),
            Body::Beat => {}
            Body::SameEpoch(_) => self.epoch_told = self.epoch_told.max(sequence),
            Body::NewEpoch(epoch) => {
                self.epoch_told = self.epoch_told.max(sequence);
                return self.epoch_before(epoch);
            }
        }
        false
    }

    /// A NewEpoch below the anchor. Another one than the newest known when the
    /// log was opened: it was declared meanwhile, so open again.
    fn epoch_before(&mut self, epoch: crate::position::Epoch) -> bool {
        if self.epoch != Some(epoch) {
            self.start_over(epoch, self.processed_at);
            self.command(crate::log::Command::Reopen);
            self.epoch = None;
        }
        true
    }

    /// A session whose newer Join was met lives: that Join undoes this Expel.
    fn expelled_before(&mut self, session: SessionId, now: Moment) {
        if !self.peers.contains_key(&session) {
            self.ends.entry(session).or_insert(End::Expelled(now));
        }
    }

    fn joined_before(&mut self, origin: SessionId, pod: String, sequence: u64, now: Moment) {
        self.history.joined(sequence, origin, &pod);
        let end = self.ends.get(&origin).copied();
        if matches!(end, Some(End::Left)) || origin == self.session.id {
            return;
        }
        let peer = self
            .peers
            .entry(origin)
            .or_insert_with(|| PeerState::new(pod, sequence));
        peer.first_join = peer.first_join.min(sequence);
        peer.heard = now;
        if let Some(End::Expelled(at)) = end {
            peer.expelled.get_or_insert(at);
        }
    }
}
