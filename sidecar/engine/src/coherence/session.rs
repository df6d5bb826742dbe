//! The own session: the right to call anything fresh, renewed through the log.
//!
//! `fresh_until` counts from before a Beat was appended and is set only after
//! that Beat was read back in log order, the own Join was processed, and the
//! log's first retained sequence showed that nothing was truncated unread.

use super::record::{Body, Record, RecordId, SessionId};
use super::{Action, Bug, Machine};
use crate::clock::{LogTime, Moment};
use crate::log::{Append, Appended, Command, Delivery, Subject};
use crate::request::SessionState;
use std::time::Duration;

/// Attempts to append wait this long after a refusal, at least.
const RETRY: Duration = Duration::from_millis(250);
/// A Beat acknowledged this long ago whose echo did not come is late.
const LATE_ECHO: Duration = Duration::from_secs(1);
/// Late echoes rebuild the reader at most this often.
const REBUILD_EVERY: Duration = Duration::from_secs(3);

/// A Beat under way.
pub(super) struct BeatUnderWay {
    id: RecordId,
    number: u64,
    sent: Moment,
    acked: Option<Moment>,
}

/// An echo whose truncation check is under way.
struct Echo {
    token: u64,
    number: u64,
    sent: Moment,
    /// What had been processed when it was asked.
    processed: u64,
}

#[derive(Default)]
pub(super) struct OwnSession {
    pub(super) id: SessionId,
    pub(super) joining: Option<RecordId>,
    /// Sequence of the newest own Join that was processed.
    pub(super) joined: Option<u64>,
    /// The newest Joins, and when each was said.
    said: Vec<(RecordId, Moment)>,
    /// When the newest that was processed had been said.
    joined_at: Moment,
    rejoin_at: Moment,
    /// The Leave under way, and whether it is in the log.
    leaving: Option<RecordId>,
    gone: bool,
    pub(super) left: bool,
    fresh_until: Option<Moment>,
    /// When the newest Beat that renewed it was sent.
    renewed_by: Option<Moment>,
    beat_at: Moment,
    beats: Vec<BeatUnderWay>,
    beat_number: u64,
    /// Planted bugs only: Beats whose echo came before their ack.
    unacked: Vec<RecordId>,
    pub(super) echoed: u64,
    checks: Vec<Echo>,
    barrier: bool,
    rebuilt_at: Moment,
}

impl Machine {
    /// Whether this pod may call anything fresh now.
    pub fn session_fresh(&self, now: Moment) -> bool {
        !self.session.left && self.session.fresh_until.is_some_and(|until| now < until)
    }

    /// Time since the newest Beat that was read back was sent; none before the
    /// first.
    pub fn staleness(&self, now: Moment) -> Option<Duration> {
        Some(now.since(self.session.renewed_by?))
    }

    /// The session's state and how long it stays fresh.
    pub fn session_state(&self, now: Moment) -> (SessionState, Duration) {
        let left = self
            .session
            .fresh_until
            .map_or(Duration::ZERO, |until| until.since(now));
        let state = match (self.session.left, self.session.fresh_until) {
            (true, _) => SessionState::Left,
            (_, None) => SessionState::Joining,
            _ if left.is_zero() => SessionState::Lapsed,
            _ => SessionState::Fresh,
        };
        (state, left)
    }

    /// Stops calling anything fresh for good and says Leave.
    pub fn leave(&mut self) {
        if self.session.left {
            return;
        }
        self.session.left = !self.settings.bugs.has(Bug::LeaveBeforeSilence);
        self.say_leave();
        self.fail_fleet();
    }

    /// Says Leave, again if need be. False: there is nothing to say (any more).
    pub fn say_leave(&mut self) -> bool {
        let joined = self.session.joined.is_some() || self.session.joining.is_some();
        if !joined || self.session.gone || self.log_error.is_some() {
            return false;
        }
        if self.session.leaving.is_none() {
            let leave = self.append_own(Body::Leave, Subject::Records, None);
            self.session.leaving = Some(leave);
        }
        true
    }

    /// Whether the Leave is in the log.
    pub fn has_left(&self) -> bool {
        self.session.gone
    }

    /// Begins a session under a new id. Nothing is fresh until its Join was
    /// processed here and a Beat sent after that has echoed.
    pub(super) fn join(&mut self, now: Moment) {
        if self.session.left {
            // Whoever has said Leave stays away.
            self.fail_fleet();
            return;
        }
        if self.session.joined.is_some() && self.log_error.is_none() {
            self.append_own(Body::Leave, Subject::Records, None);
        }
        self.fail_fleet();
        let echoed = self.session.echoed;
        let beat_number = self.session.beat_number;
        let id = SessionId(self.random.bits());
        self.session = OwnSession {
            id,
            echoed,
            beat_number,
            joined_at: now,
            ..OwnSession::default()
        };
        self.command(Command::Listen { session: id });
        if self.has_bug(Bug::FreshBeforeEcho) {
            self.renew(now);
        }
        self.say_join(now);
    }

    fn say_join(&mut self, now: Moment) {
        let body = Body::Join {
            pod: self.settings.pod.clone(),
        };
        let id = self.append_own(body, Subject::Records, None);
        self.session.joining = Some(id);
        if self.session.said.len() >= 16 {
            self.session.said.remove(0);
        }
        self.session.said.push((id, now));
        self.session.rejoin_at = now.plus(self.retention / 4);
    }

    /// The own Join was processed. Its stamp is a first measure of log time.
    pub(super) fn own_join(&mut self, delivery: &Delivery, now: Moment) {
        let mut joins = self.session.said.iter();
        // Not among the newest: it is older than they are.
        let said = joins.find(|(id, _)| *id == delivery.id);
        let said = said
            .or(self.session.said.first())
            .map_or(now, |(_, at)| *at);
        if self.session.joined.is_none() {
            self.session.beat_at = now;
            self.learn_time(delivery.time, said, now);
        }
        self.session.joined_at = said;
        self.session.joined = Some(delivery.sequence);
        self.session.joining = None;
    }

    /// The own session was expelled: it is over.
    pub(super) fn own_expel(&mut self, now: Moment) {
        self.join(now);
        self.rebuild(now);
    }

    /// Asks for an own Beat appended from now on; returns its number. Who
    /// waits for [`super::Progress::echoed`] to reach it has passed a barrier.
    pub fn barrier(&mut self, now: Moment) -> u64 {
        self.session.barrier = true;
        let number = self.session.beat_number + 1;
        self.begin_barrier(now);
        number
    }

    fn send_beat(&mut self, now: Moment) {
        if self.session.joined.is_none() && !self.settings.bugs.has(Bug::BeatBeforeJoin) {
            return;
        }
        if !self.reader.is_reading() || self.session.left {
            return;
        }
        self.session.barrier = false;
        self.session.beat_number += 1;
        let subject = Subject::Beats(self.session.id);
        let id = self.append_own(Body::Beat, subject, None);
        let number = self.session.beat_number;
        // Only the newest few matter: an older echo renews less.
        if self.session.beats.len() >= 16 {
            self.session.beats.remove(0);
        }
        self.session.beats.push(BeatUnderWay {
            id,
            number,
            sent: now,
            acked: None,
        });
        self.session.beat_at = now.plus(self.jittered(self.session_ttl / 4));
    }

    /// `base` ± 20 %.
    pub(super) fn jittered(&self, base: Duration) -> Duration {
        let share = (self.random.bits() % 401) as u32;
        base * (800 + share) / 1000
    }

    /// The log answered an append of the machine's own.
    pub fn appended(&mut self, id: RecordId, outcome: &Appended, now: Moment) {
        if self.session.joining == Some(id) {
            self.join_answered(id, outcome, now);
        } else if self.epoch_append == Some(id) {
            self.epoch_append = None;
            self.command(Command::Reopen);
        } else if self.session.leaving == Some(id) {
            self.session.leaving = None;
            self.session.gone = matches!(outcome, Appended::At(_));
        }
        self.expel_answered(id, outcome);
        self.beat_answered(id, outcome, now);
        self.begin_barrier(now);
    }

    fn beat_answered(&mut self, id: RecordId, outcome: &Appended, now: Moment) {
        let acked = matches!(outcome, Appended::At(_));
        if acked && self.session.unacked.contains(&id) {
            self.renew(now);
        }
        // None: its echo was processed before.
        let Some(beat) = self.session.beats.iter_mut().find(|beat| beat.id == id) else {
            return;
        };
        match outcome {
            Appended::At(_) => {
                beat.acked = Some(now);
                if self.settings.bugs.has(Bug::BeatWithoutEcho) {
                    let sent = beat.sent;
                    self.renew(sent);
                }
            }
            _ => {
                self.session.beats.retain(|beat| beat.id != id);
                self.session.beat_at = now.plus(self.jittered(RETRY * 2));
            }
        }
    }

    /// Sends the Beat that somebody waits for, one at a time.
    fn begin_barrier(&mut self, now: Moment) {
        if self.session.barrier && self.session.beats.iter().all(|beat| beat.acked.is_some()) {
            self.send_beat(now);
        }
    }

    fn join_answered(&mut self, id: RecordId, outcome: &Appended, now: Moment) {
        match outcome {
            Appended::At(sequence) if self.reader.anchor.is_none() && self.epoch.is_some() => {
                self.start_reading(*sequence, id, now)
            }
            Appended::At(_) => {}
            // The same id again: a Join that is in the log twice is one Join.
            _ => self.session.rejoin_at = now.plus(self.jittered(RETRY * 2)),
        }
    }

    /// The own Beat was processed: ask what the log still retains, then renew.
    pub(super) fn own_beat(&mut self, id: RecordId, time: LogTime, now: Moment) {
        let Some(at) = self.session.beats.iter().position(|beat| beat.id == id) else {
            return;
        };
        let beat = self.session.beats.remove(at);
        self.begin_barrier(now);
        if self.session.joined.is_none() && !self.settings.bugs.has(Bug::BeatBeforeJoin) {
            return;
        }
        self.learn_time(time, beat.sent, now);
        let sent = match self.has_bug(Bug::SessionFromEcho) {
            true => now,
            false => beat.sent,
        };
        if self.has_bug(Bug::SessionFromAck) && beat.acked.is_none() {
            self.session.unacked.push(id);
        }
        if self.settings.bugs.has(Bug::FirstNotChecked) {
            self.session.echoed = self.session.echoed.max(beat.number);
            self.renew(sent);
            return;
        }
        self.check_token += 1;
        let token = self.check_token;
        if self.session.checks.len() >= 16 {
            self.session.checks.remove(0);
        }
        self.session.checks.push(Echo {
            token,
            number: beat.number,
            sent,
            processed: self.reader.processed,
        });
        self.command(Command::CheckFirst { token });
    }

    /// The log's first retained sequence, read after it was asked for.
    pub(super) fn first_checked(&mut self, token: u64, first: u64, now: Moment) {
        self.first = self.first.max(first);
        self.keep_epoch_told(now);
        self.settle_passed();
        let mut checks = self.session.checks.iter();
        let echo = checks.position(|echo| echo.token == token);
        let echo = echo.map(|at| self.session.checks.remove(at));
        let asked = self.asked(token);
        let Some(processed) = echo.as_ref().map(|echo| echo.processed).or(asked) else {
            return;
        };
        if first > self.verified.to + 1 {
            self.truncated_unread(processed, now);
            return;
        }
        self.verified_to(processed, now);
        if let Some(echo) = echo {
            self.renew(echo.sent);
            self.session.echoed = self.session.echoed.max(echo.number);
            self.push(Action::Progress);
        }
    }

    /// Records may have gone unread: what is older is not believed. The own
    /// Expel may be among them, so this session is over; so may a NewEpoch, and
    /// opening tells which epoch this is.
    fn truncated_unread(&mut self, processed: u64, now: Moment) {
        self.found_gap(processed);
        self.verified_from(processed);
        self.push(Action::WatchFrom(processed));
        self.fleet.interrupted(now);
        self.replayed = false;
        self.known_at = Some(now.plus(self.retention / 2));
        self.push(Action::Progress);
        self.join(now);
        self.command(Command::Reopen);
    }

    fn renew(&mut self, sent: Moment) {
        let until = sent.plus(self.session_ttl);
        self.session.fresh_until = self.session.fresh_until.max(Some(until));
        self.session.renewed_by = self.session.renewed_by.max(Some(sent));
    }

    /// The session's timers.
    pub(super) fn tick_session(&mut self, now: Moment) {
        if self.session.left {
            return;
        }
        if !self.reader.is_reading() {
            if self.session.joining.is_some()
                && self.log_error.is_none()
                && now >= self.session.rejoin_at
            {
                self.say_join(now);
            }
            return;
        }
        let over = self
            .session
            .fresh_until
            .unwrap_or(self.session.joined_at)
            .plus(self.staleness_bound());
        if now >= over || self.join_overdue(now) {
            self.join(now);
            self.rebuild(now);
            return;
        }
        if now >= self.session.rejoin_at {
            self.say_join(now);
        }
        if now >= self.session.beat_at {
            self.send_beat(now);
        }
        if self.echo_is_late(now) {
            self.session.rebuilt_at = now;
            self.rebuild(now);
        }
    }

    fn join_overdue(&self, now: Moment) -> bool {
        let due = self.session.joined_at.plus(self.retention / 4);
        let overdue = now >= due.plus(self.staleness_bound());
        self.session.joined.is_some() && overdue && !self.has_bug(Bug::OverdueJoinIgnored)
    }

    fn echo_is_late(&self, now: Moment) -> bool {
        let late =
            |beat: &BeatUnderWay| beat.acked.is_some_and(|acked| now >= acked.plus(LATE_ECHO));
        let may = now >= self.session.rebuilt_at.plus(REBUILD_EVERY)
            && now >= self.processed_at.plus(LATE_ECHO);
        may && self.session.beats.iter().any(late)
    }

    /// When the session's timers want to be looked at next.
    pub(super) fn session_timer(&self) -> Moment {
        if !self.reader.is_reading() {
            return self.session.rejoin_at;
        }
        let mut at = self.session.rejoin_at;
        if self.session.joined.is_some() {
            at = at.min(self.session.beat_at);
        }
        if self.session.beats.iter().any(|beat| beat.acked.is_some())
            || self.session.joined.is_none()
        {
            at = at.min(self.ticked.plus(RETRY));
        }
        at
    }

    /// Appends a record of the machine's own.
    pub(super) fn append_own(
        &mut self,
        body: Body,
        subject: Subject,
        expect_last: Option<u64>,
    ) -> RecordId {
        let id = RecordId(self.random.bits());
        let origin = self.session.id;
        let record = Record {
            id,
            origin,
            reason: None,
            trace_id: None,
            body,
        };
        let payload = record.encode().into();
        self.push(Action::Append(Append {
            id,
            subject,
            payload,
            expect_last,
        }));
        id
    }
}
