//! What can happen, and what follows from it.

use super::rules::{HALF, QUARTER, TTL};
use super::{
    CALLER, Call, LOG, PODS, Pod, Record, SERVER, SESSIONS, Safeguard, State, Truncation, VALUES,
};
use crate::row::Row;

/// What can happen. The number is a pod's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Tick,
    /// The source is written and the record appended.
    Invalidate,
    Answer,
    Expel(u8),
    Beat(usize),
    Join(usize),
    JoinAgain(usize),
    Process(usize),
    /// The log is asked, because a word is wanted or a FLEET waits.
    Verify(usize),
    Replay,
    /// The log's first record is now this one.
    Cut(u8),
}

const NEW: Pod = Pod {
    processed: 0,
    floor: 0,
    horizon: 0,
    gap: 0,
    session: None,
    joined: None,
    fresh_until: 0,
    verified: 0,
    replaying: true,
    known_at: None,
    interrupted: None,
    first_join: [0; SESSIONS],
    expelled: [None; SESSIONS],
};

impl Truncation {
    pub(super) fn start(&self) -> State {
        let mut state = State {
            now: 0,
            source: 0,
            log: Row::new(),
            times: [0; LOG],
            first: 1,
            sessions: 0,
            pods: [NEW; PODS],
            words: [0; SESSIONS],
            held: [0; VALUES + 1],
            call: None,
            answered: 0,
            cuts: 0,
            expels: 0,
        };
        let joined = |p: &usize| self.bounds.joined[*p];
        for p in (0..PODS).filter(joined) {
            self.join(&mut state, p);
        }
        let (last, joins) = (state.log.last(), [1, 2, 0, 0]);
        for p in (0..PODS).filter(joined) {
            let pod = &mut state.pods[p];
            (pod.processed, pod.verified, pod.horizon) = (last, last, 0);
            (pod.joined, pod.known_at, pod.replaying) = (Some(0), Some(0), false);
            pod.first_join[..usize::from(last)].copy_from_slice(&joins[..usize::from(last)]);
        }
        state.load();
        state
    }

    pub(super) fn list(&self, state: &State, actions: &mut Vec<Action>) {
        if state.now < self.bounds.ticks {
            actions.push(Action::Tick);
        }
        let room = state.log.last() < self.bounds.log;
        self.list_call(state, room, actions);
        for (p, pod) in state.pods.iter().enumerate() {
            let reads = pod.session.is_some();
            if reads && pod.processed < state.log.last() {
                actions.push(Action::Process(p));
            }
            if self.bounds.asks && state.wants_to_know(p) {
                actions.push(Action::Verify(p));
            }
            if room {
                self.list_appends(state, p, actions);
            }
        }
        let caller = &state.pods[CALLER];
        if caller.replaying && caller.joined.is_some() {
            actions.push(Action::Replay);
        }
        if state.cuts < self.bounds.cuts {
            actions.extend((state.first + 1..=state.log.last()).map(Action::Cut));
        }
    }

    fn list_call(&self, state: &State, room: bool, actions: &mut Vec<Action>) {
        let caller = &state.pods[CALLER];
        match state.call {
            None if room && caller.joined.is_some() && state.source < self.bounds.values => {
                actions.push(Action::Invalidate);
            }
            Some(Call { n, .. }) => {
                if self.may_answer(state) {
                    actions.push(Action::Answer);
                }
                if room && caller.processed >= n && state.expels < self.bounds.expels {
                    actions.extend(self.unsettled(state, n).map(Action::Expel));
                }
            }
            None => {}
        }
    }

    fn list_appends(&self, state: &State, p: usize, actions: &mut Vec<Action>) {
        let pod = &state.pods[p];
        let beats = p == SERVER || self.bounds.checks;
        match (pod.session, pod.joined) {
            (None, _) if usize::from(state.sessions) < SESSIONS => actions.push(Action::Join(p)),
            (Some(_), Some(said)) if beats => {
                actions.push(Action::Beat(p));
                if p == SERVER && self.bounds.rejoins && state.now >= said + QUARTER {
                    actions.push(Action::JoinAgain(p));
                }
            }
            _ => {}
        }
    }

    pub(super) fn step(&self, mut state: State, action: Action) -> State {
        match action {
            Action::Tick => state.now += 1,
            Action::Invalidate => {
                state.source += 1;
                let (value, at) = (state.source, state.now);
                let n = state.append(Record::Invalidate(value));
                state.call = Some(Call { value, n, at });
            }
            Action::Answer => {
                let value = state.call.take().map_or(0, |call| call.value);
                state.answered = state.answered.max(value);
            }
            Action::Expel(session) => {
                state.append(Record::Expel(session));
                state.expels += 1;
            }
            Action::Beat(p) => {
                let (session, sent) = (state.session(p), state.now);
                state.append(Record::Beat { session, sent });
            }
            Action::Join(p) => self.join(&mut state, p),
            Action::JoinAgain(p) => {
                let (session, said) = (state.session(p), state.now);
                state.append(Record::Join { session, said });
            }
            Action::Process(p) => self.process(&mut state, p),
            Action::Verify(p) => {
                let (first, now) = (state.first, state.now);
                self.checked(&mut state.pods[p], first, now);
                self.say(&mut state, p);
            }
            Action::Replay => self.replay(&mut state),
            Action::Cut(first) => {
                state.first = first;
                state.cuts += 1;
            }
        }
        state.load();
        state
    }

    fn join(&self, state: &mut State, p: usize) {
        let (session, said) = (state.sessions, state.now);
        state.sessions += 1;
        let at = state.append(Record::Join { session, said });
        let pod = &mut state.pods[p];
        pod.session = Some(session);
        if pod.replaying {
            (pod.processed, pod.horizon, pod.verified) = (at - 1, at, at);
        }
    }

    fn process(&self, state: &mut State, p: usize) {
        let (now, first) = (state.now, state.first);
        let pod = &mut state.pods[p];
        // What was removed is not delivered; nothing tells.
        pod.processed = (pod.processed + 1).max(first);
        let n = pod.processed;
        if n == pod.verified + 1 {
            pod.verified = n;
        }
        match state.log.at(n) {
            Some(Record::Invalidate(_)) => pod.floor = n,
            Some(Record::Join { session, said }) => {
                let first_join = &mut pod.first_join[usize::from(session)];
                if *first_join == 0 {
                    *first_join = n;
                }
                if pod.session == Some(session) {
                    self.own_join(pod, n, said);
                }
            }
            Some(Record::Beat { session, sent }) if pod.session == Some(session) => {
                self.own_beat(pod, sent, first, now);
            }
            Some(Record::Expel(session)) => {
                pod.expelled[usize::from(session)].get_or_insert(now);
                if pod.session == Some(session) {
                    (pod.session, pod.joined, pod.fresh_until) = (None, None, 0);
                    pod.interrupted = Some(now);
                }
            }
            _ => {}
        }
        self.say(state, p);
    }

    fn say(&self, state: &mut State, p: usize) {
        let pod = &state.pods[p];
        let n = match self.has(Safeguard::WordMeansTheVerified) {
            true => pod.verified,
            false => pod.processed,
        };
        if let (Some(session), Some(_)) = (pod.session, pod.joined) {
            let word = &mut state.words[usize::from(session)];
            *word = n.max(*word);
        }
    }

    fn own_join(&self, pod: &mut Pod, n: u8, said: u8) {
        if pod.joined.is_none() && !self.has(Safeguard::VerifiedBelongsToTheReading) {
            pod.verified = n;
        }
        pod.joined = Some(said);
    }

    fn own_beat(&self, pod: &mut Pod, sent: u8, first: u8, now: u8) {
        if self.checked(pod, first, now) {
            pod.fresh_until = pod.fresh_until.max(sent + TTL);
        }
    }

    /// The log's first retained sequence is told, after an echo or because a word
    /// is wanted. False: records may have gone unread.
    fn checked(&self, pod: &mut Pod, first: u8, now: u8) -> bool {
        let gap = first > pod.verified + 1 && self.has(Safeguard::FirstRetainedIsChecked);
        pod.verified = pod.processed;
        if !gap {
            return true;
        }
        if self.has(Safeguard::HorizonRisesAtAGap) {
            pod.gap = pod.processed;
        }
        if self.has(Safeguard::GapDelaysFleet) {
            pod.interrupted = Some(now);
            pod.known_at = Some(now + HALF);
        }
        let ends = self.has(Safeguard::GapEndsTheSession);
        if let Some(session) = pod.session.filter(|_| ends) {
            // Its own Leave follows: it waits for itself no longer.
            pod.first_join[usize::from(session)] = 0;
            (pod.session, pod.joined, pod.fresh_until) = (None, None, 0);
        }
        !ends
    }

    /// What is retained from before the own Join is applied, newest first.
    fn replay(&self, state: &mut State) {
        let (first, now) = (state.first, state.now);
        let oldest = state.times[usize::from(first) - 1];
        let pod = &mut state.pods[CALLER];
        let old = state.log.iter().rev();
        let old = old.filter(|(at, _)| *at >= first && *at < pod.horizon);
        for (at, record) in old {
            match record {
                Record::Invalidate(_) => pod.floor = pod.floor.max(at),
                Record::Join { session, .. } => pod.first_join[usize::from(session)] = at,
                Record::Expel(session) => {
                    pod.expelled[usize::from(session)].get_or_insert(now);
                }
                Record::Beat { .. } => {}
            }
        }
        pod.replaying = false;
        pod.horizon = pod.horizon.min(if first > 1 { first } else { 0 });
        let said = pod.joined.unwrap_or(0);
        let all = first <= 1 || said >= oldest + HALF;
        let all = all || !self.has(Safeguard::JoinerKnowsHalfTheRetention);
        // A gap was found meanwhile: that says when.
        let known_in = if all { 0 } else { HALF };
        pod.known_at.get_or_insert(now + known_in);
    }
}

impl State {
    fn append(&mut self, record: Record) -> u8 {
        let at = self.log.push(record);
        self.times[usize::from(at) - 1] = self.now;
        at
    }

    /// Whether a FLEET waits for the pod to have verified its record.
    fn wants_to_know(&self, p: usize) -> bool {
        let pod = &self.pods[p];
        let wants = |call: Call| (pod.verified + 1..=pod.processed).contains(&call.n);
        pod.joined.is_some() && self.call.is_some_and(wants)
    }

    fn session(&self, p: usize) -> u8 {
        self.pods[p].session.unwrap_or_default()
    }

    /// Every pod that reads loads what the source has now.
    fn load(&mut self) {
        for p in 0..PODS {
            if self.pods[p].session.is_some() {
                self.held[usize::from(self.source)] |= 1 << self.pods[p].processed;
            }
        }
    }
}
