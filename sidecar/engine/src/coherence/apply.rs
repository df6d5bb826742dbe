//! Processing records: floors first, then waiters, and only then the word.

use super::fleet::PeerState;
use super::record::{Body, Invalidation, Record, RecordId, SessionId, Write};
use super::{Action, Bug, Decision, Machine, WriteCheck};
use crate::clock::Moment;
use crate::key::{Key, NameHash, Namespace, Tag};
use crate::log::{Delivery, WRITE_SHARDS};
use crate::position::Position;
use crate::request::NotStored;
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
        self.processed_count += 1;
        let sequence = delivery.sequence;
        let Ok(record) = Record::decode(&delivery.payload) else {
            // A newer version's record: it may cover anything.
            self.undecodable += 1;
            self.floors.raise_everything(sequence);
            return;
        };
        match record.body {
            Body::Invalidate(invalidation) => {
                self.raise(&invalidation, sequence);
                self.decide(record.id, sequence, None);
                self.answer_word(invalidation.ack_wanted, record.origin, sequence);
                self.push(Action::Invalidated(
                    sequence,
                    Arc::new(invalidation),
                    record.reason,
                ));
            }
            Body::Write(write) => self.write(record.id, record.origin, &write, sequence),
            Body::Join { pod } => self.joined(record.origin, pod, sequence, now),
            Body::Beat if record.origin == self.session.id => {
                self.own_beat(record.id, sequence, delivery.time, now);
            }
            Body::Beat => {}
            Body::Leave => {
                self.peers.remove(&record.origin);
            }
            Body::Expel(session) => self.expelled(session, now),
            Body::NewEpoch(epoch) => self.new_epoch(epoch, delivery, now),
        }
        self.check_fleet(now);
    }

    fn new_epoch(&mut self, epoch: crate::position::Epoch, delivery: &Delivery, now: Moment) {
        if self.epoch == Some(epoch) {
            return;
        }
        let anchor = self.reader.anchor;
        self.start_over(epoch, now);
        self.reader.processed = delivery.sequence;
        self.reader.anchor = anchor;
        self.horizon = delivery.sequence;
        self.session.last_echo = delivery.sequence;
        self.replayed = true;
        self.join(now);
        self.rebuild("a new epoch began", now);
    }

    fn joined(&mut self, origin: SessionId, pod: String, sequence: u64, now: Moment) {
        let peer = self
            .peers
            .entry(origin)
            .or_insert_with(|| PeerState::new(pod, sequence));
        peer.joined = peer.joined.max(sequence);
        if origin == self.session.id {
            self.own_join(sequence, now);
            if !self.replayed && self.backfill_to.is_none() && self.known_at.is_none() {
                self.start_backfill(sequence, now);
            }
        }
    }

    fn expelled(&mut self, session: SessionId, now: Moment) {
        if let Some(peer) = self.peers.get_mut(&session) {
            peer.expelled.get_or_insert(now);
        }
        if session == self.session.id {
            self.own_expel(now);
        }
    }

    fn answer_word(&mut self, wanted: bool, origin: SessionId, sequence: u64) {
        if wanted {
            let early = u64::from(self.has_bug(Bug::WordBeforeProcessed));
            self.say(origin, sequence + early);
        }
    }

    fn raise(&mut self, invalidation: &Invalidation, sequence: u64) {
        let Ok(namespace) = Namespace::new(&invalidation.namespace) else {
            self.floors.raise_everything(sequence);
            return;
        };
        // What this version cannot judge name by name falls as a whole.
        let mut whole = invalidation.all || !invalidation.prefixes.is_empty();
        for key in &invalidation.keys {
            match Key::new(namespace.clone(), key) {
                Ok(key) => self.floors.raise(key.hash(), sequence),
                Err(_) => whole = true,
            }
        }
        for tag in &invalidation.tags {
            match Tag::new(tag) {
                Ok(tag) => self.floors.raise(tag.hash(&namespace), sequence),
                Err(_) => whole = true,
            }
        }
        if whole {
            self.floors
                .raise_namespace(NameHash::of_namespace(&namespace), sequence);
        }
    }

    fn write(&mut self, id: RecordId, origin: SessionId, write: &Write, sequence: u64) {
        let key = Namespace::new(&write.namespace).and_then(|ns| Key::new(ns, &write.key));
        let Ok(key) = key else {
            self.floors.raise_everything(sequence);
            return;
        };
        let check = self.own.get_mut(&id).and_then(|open| open.own.check.take());
        let refused = check.and_then(|check| self.refuse(&check));
        self.floors.raise(key.hash(), sequence);
        let shard = &mut self.shards[usize::from(key.hash().shard(WRITE_SHARDS))];
        *shard = sequence.max(*shard);
        self.decide(id, sequence, refused);
        self.answer_word(write.ack_wanted, origin, sequence);
        let keys = vec![write.key.clone()];
        let cover = Invalidation {
            namespace: write.namespace.clone(),
            keys,
            ..Invalidation::default()
        };
        self.push(Action::Invalidated(sequence, Arc::new(cover), None));
    }

    /// Whether a write may not stand, judged just before its own record.
    fn refuse(&self, check: &WriteCheck) -> Option<NotStored> {
        let position = check.position?;
        let below = position.sequence < self.horizon && !self.has_bug(Bug::PositionBelowHorizon);
        if Some(position.epoch) != self.epoch || below {
            return Some(NotStored::PositionTooOld);
        }
        let floors = check.tags.iter().map(|tag| self.floors.floor(*tag));
        let floor = floors.fold(self.floors.floor(check.key), u64::max);
        let floor = floor.max(self.floors.floor_of_namespace(check.namespace));
        (floor > position.sequence).then_some(NotStored::Covered)
    }

    fn decide(&mut self, id: RecordId, sequence: u64, refused: Option<NotStored>) {
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
    pub(super) fn apply_old(&mut self, sequence: u64, payload: &[u8], now: Moment) -> bool {
        let Ok(record) = Record::decode(payload) else {
            self.undecodable += 1;
            self.floors.raise_everything(sequence);
            return false;
        };
        match record.body {
            Body::Invalidate(invalidation) => {
                self.raise(&invalidation, sequence);
                self.decide(record.id, sequence, None);
            }
            Body::Write(write) => self.write(
                record.id,
                record.origin,
                &Write {
                    ack_wanted: false,
                    ..write
                },
                sequence,
            ),
            Body::Join { pod } => self.joined_before(record.origin, pod, sequence),
            Body::Leave => drop(self.ends.insert(record.origin, End::Left)),
            Body::Expel(session) => drop(self.ends.entry(session).or_insert(End::Expelled(now))),
            Body::Beat => {}
            Body::NewEpoch(epoch) => return self.epoch_before(epoch),
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

    fn joined_before(&mut self, origin: SessionId, pod: String, sequence: u64) {
        let end = self.ends.get(&origin).copied();
        if matches!(end, Some(End::Left)) || origin == self.session.id {
            return;
        }
        let peer = self
            .peers
            .entry(origin)
            .or_insert_with(|| PeerState::new(pod, sequence));
        peer.first_join = peer.first_join.min(sequence);
        if let Some(End::Expelled(at)) = end {
            peer.expelled.get_or_insert(at);
        }
    }
}
