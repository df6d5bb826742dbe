//! What can happen, and what follows from it.

use super::rules::{DRIFT, TTL};
use super::{Call, PODS, Pod, Record, SESSIONS, Safeguard, Sessions, State, VALUES};
use crate::row::Row;

/// What can happen. The number is a pod's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Time passes; true: pod 0's clock does not move.
    Tick(bool),
    /// The source is written, then the pod is told to invalidate.
    Begin(usize),
    Append(usize),
    Answer(usize),
    /// Time is noted for a Beat that is appended later.
    Beat(usize),
    AppendBeat(usize),
    Process(usize),
    Expel(usize, u8),
    Join(usize),
    /// The same session's Join again: the first was not answered.
    Rejoin(usize),
    Silence(usize),
    SayLeave(usize),
    Restart(usize),
    Replay(usize),
}

impl Sessions {
    pub(super) fn start(&self) -> State {
        let pod = |session| Pod {
            processed: 2,
            floor: 0,
            horizon: 0,
            session: Some(session),
            said: true,
            joined: true,
            left: false,
            beat: None,
            fresh_until: 0,
            replayed: true,
            interrupted: None,
            expelled: [None; SESSIONS],
            call: Call::None,
        };
        let mut state = State {
            now: 0,
            lag: 0,
            source: 0,
            log: Row::new(),
            sessions: 2,
            pods: [pod(0), pod(1)],
            words: [2, 2, 0, 0],
            held: [0; VALUES + 1],
            answered: 0,
            restarts: 0,
            expels: 0,
            leaves: 0,
            rejoins: 0,
        };
        if self.bounds.rejoins == 0 {
            state.log.push(Record::Join(0));
        } else {
            // Pod 0 has not been there before.
            restart(&mut state, 0);
            (state.restarts, state.words, state.pods[1].processed) = (0, [0, 1, 0, 0], 1);
        }
        state.log.push(Record::Join(1));
        state.load();
        state
    }

    pub(super) fn list(&self, state: &State, actions: &mut Vec<Action>) {
        if state.now < self.bounds.ticks {
            actions.push(Action::Tick(false));
            if state.lag < DRIFT {
                actions.push(Action::Tick(true));
            }
        }
        for p in 0..PODS {
            self.list_calls(state, p, actions);
            self.list_session(state, p, actions);
        }
    }

    fn room(&self, state: &State) -> bool {
        state.log.last() < self.bounds.log
    }

    fn list_calls(&self, state: &State, p: usize, actions: &mut Vec<Action>) {
        let (pod, room) = (&state.pods[p], self.room(state));
        let calls = p == 1 || !self.bounds.roles;
        let running = calls && pod.joined && !pod.left;
        match pod.call {
            Call::None if running && room && state.source < self.bounds.values => {
                actions.push(Action::Begin(p));
            }
            Call::Begun { .. } if room => actions.push(Action::Append(p)),
            Call::Appended { n, .. } => {
                if self.may_answer(state, p) {
                    actions.push(Action::Answer(p));
                }
                if room && pod.processed >= n && state.expels < self.bounds.expels {
                    let silent = self.unsettled(state, p, n);
                    actions.extend(silent.map(|session| Action::Expel(p, session)));
                }
            }
            _ => {}
        }
        if self.bounds.rejoins > 0 && p == 1 && room && state.expels < self.bounds.expels {
            // For a FLEET that does not matter here.
            let joined = state.log.iter().any(|(_, r)| r == Record::Join(2));
            actions.extend(joined.then_some(Action::Expel(p, 2)));
        }
    }

    fn list_session(&self, state: &State, p: usize, actions: &mut Vec<Action>) {
        let (pod, room) = (&state.pods[p], self.room(state));
        let reads = pod.session.is_some() || pod.replayed;
        if pod.processed < state.log.last() && reads {
            actions.push(Action::Process(p));
        }
        let named = pod.session.is_some() || usize::from(state.sessions) < SESSIONS;
        if !pod.said && !pod.left && room && named {
            actions.push(Action::Join(p));
        }
        if pod.said && !pod.joined && pod.horizon > 0 && room && state.rejoins < self.bounds.rejoins
        {
            actions.push(Action::Rejoin(p));
        }
        let early = pod.session.is_some() && !self.has(Safeguard::JoinBeforeBeat);
        let joined = pod.joined || early;
        let serves = p == 0 || !self.bounds.roles;
        if serves && joined && !pod.left && room {
            actions.push(match pod.beat {
                None => Action::Beat(p),
                Some(_) => Action::AppendBeat(p),
            });
        }
        if pod.horizon > 0 && pod.joined {
            actions.push(Action::Replay(p));
        }
        if state.restarts < self.bounds.restarts {
            actions.push(Action::Restart(p));
        }
        self.list_leave(state, p, actions);
    }

    fn list_leave(&self, state: &State, p: usize, actions: &mut Vec<Action>) {
        let pod = &state.pods[p];
        let Some(session) = pod.session.filter(|_| pod.joined) else {
            return;
        };
        if !pod.left && state.leaves < self.bounds.leaves {
            actions.push(Action::Silence(p));
        }
        let leaving = pod.left || !self.has(Safeguard::SilenceBeforeLeave);
        let said = state.log.iter().any(|(_, r)| r == Record::Leave(session));
        if leaving && self.bounds.leaves > 0 && !said && self.room(state) {
            actions.push(Action::SayLeave(p));
        }
    }

    pub(super) fn step(&self, mut state: State, action: Action) -> State {
        match action {
            Action::Tick(slow) => {
                state.now += 1;
                state.lag += u8::from(slow);
            }
            Action::Begin(p) => {
                state.source += 1;
                let (value, at) = (state.source, state.clock(p));
                state.pods[p].call = Call::Begun { value, at };
            }
            Action::Append(p) => self.append(&mut state, p),
            Action::Answer(p) => {
                if let Call::Appended { value, .. } = state.pods[p].call {
                    state.answered = state.answered.max(value);
                }
                state.pods[p].call = Call::None;
            }
            Action::Beat(p) => state.pods[p].beat = Some(state.clock(p)),
            Action::AppendBeat(p) => self.append_beat(&mut state, p),
            Action::Process(p) => self.process(&mut state, p),
            Action::Expel(_, session) => {
                state.log.push(Record::Expel(session));
                state.expels += 1;
            }
            Action::Join(p) => self.join(&mut state, p),
            Action::Rejoin(p) => {
                state.rejoins += 1;
                self.join(&mut state, p);
            }
            Action::Silence(p) => {
                state.leaves += 1;
                let pod = &mut state.pods[p];
                (pod.left, pod.call, pod.beat) = (true, Call::None, None);
            }
            Action::SayLeave(p) => {
                let session = state.pods[p].session.unwrap_or_default();
                state.log.push(Record::Leave(session));
            }
            Action::Restart(p) => restart(&mut state, p),
            Action::Replay(p) => self.replay(&mut state, p),
        }
        state.load();
        state
    }

    fn append(&self, state: &mut State, p: usize) {
        let Call::Begun { value, at } = state.pods[p].call else {
            return;
        };
        let n = state.log.push(Record::Invalidate {
            value,
            at: state.now,
        });
        let at = match self.has(Safeguard::DFromTheAppend) {
            true => state.clock(p),
            false => at,
        };
        state.pods[p].call = Call::Appended { value, n, at };
    }

    fn append_beat(&self, state: &mut State, p: usize) {
        let pod = &mut state.pods[p];
        let (Some(session), Some(sent)) = (pod.session, pod.beat.take()) else {
            return;
        };
        if !self.has(Safeguard::RenewedByTheEcho) {
            pod.fresh_until = pod.fresh_until.max(sent + TTL);
        }
        state.log.push(Record::Beat { session, sent });
    }

    fn join(&self, state: &mut State, p: usize) {
        let session = state.pods[p].session.unwrap_or_else(|| state.name());
        let at = state.log.push(Record::Join(session));
        let pod = &mut state.pods[p];
        (pod.session, pod.said) = (Some(session), true);
        if !pod.replayed {
            // A new process reads from its Join on and believes nothing older.
            (pod.processed, pod.horizon) = (at - 1, at);
        }
    }

    fn process(&self, state: &mut State, p: usize) {
        let clock = state.clock(p);
        let pod = &mut state.pods[p];
        pod.processed += 1;
        let n = pod.processed;
        match state.log.at(n) {
            Some(Record::Invalidate { .. }) => pod.floor = n,
            Some(Record::Join(session)) => {
                pod.joined |= pod.session == Some(session);
                if self.has(Safeguard::JoinUndoesAnExpel) {
                    pod.expelled[usize::from(session)] = None;
                }
            }
            Some(Record::Beat { session, sent }) if pod.session == Some(session) => {
                let sent = match self.has(Safeguard::CountedFromBeforeTheAppend) {
                    true => sent,
                    false => clock,
                };
                pod.fresh_until = pod.fresh_until.max(sent + TTL);
            }
            Some(Record::Expel(session)) => {
                pod.expelled[usize::from(session)].get_or_insert(clock);
                self.own_expel(state, p, session);
            }
            _ => {}
        }
        if let Some(session) = state.pods[p].session.filter(|_| state.pods[p].joined) {
            let word = &mut state.words[usize::from(session)];
            *word = n.max(*word);
        }
        state.skip_beats(p);
    }

    /// The session is over; the reading goes on, under a new id.
    fn own_expel(&self, state: &mut State, p: usize, session: u8) {
        let own = state.pods[p].session == Some(session);
        if !own || !self.has(Safeguard::OwnExpelEndsTheSession) {
            return;
        }
        let room = usize::from(state.sessions) < SESSIONS;
        let (clock, new) = (state.clock(p), room.then(|| state.name()));
        let pod = &mut state.pods[p];
        (pod.call, pod.beat, pod.fresh_until) = (Call::None, None, 0);
        pod.interrupted = Some(clock);
        if self.has(Safeguard::NewIdAfterExpel) {
            (pod.session, pod.said, pod.joined) = (new, false, false);
        }
    }

    /// What is older than the own Join is applied, newest first; in one step.
    fn replay(&self, state: &mut State, p: usize) {
        let clock = state.clock(p);
        let (log, undoes) = (state.log, self.has(Safeguard::JoinUndoesAnExpel));
        let pod = &mut state.pods[p];
        let processed = pod.processed;
        let joins_after = |at: u8, session: u8| {
            let newer = |(n, record)| n > at && n <= processed && record == Record::Join(session);
            undoes && log.iter().any(newer)
        };
        for (at, record) in log.iter().filter(|(at, _)| *at < pod.horizon) {
            match record {
                Record::Invalidate { .. } => pod.floor = pod.floor.max(at),
                Record::Expel(session) if !joins_after(at, session) => {
                    pod.expelled[usize::from(session)].get_or_insert(clock);
                }
                _ => {}
            }
        }
        (pod.horizon, pod.replayed) = (0, true);
    }
}

fn restart(state: &mut State, p: usize) {
    state.restarts += 1;
    state.pods[p] = Pod {
        processed: 0,
        floor: 0,
        horizon: 0,
        session: None,
        said: false,
        joined: false,
        left: false,
        beat: None,
        fresh_until: 0,
        replayed: false,
        interrupted: None,
        expelled: [None; SESSIONS],
        call: Call::None,
    };
}

impl State {
    /// A new session's id.
    fn name(&mut self) -> u8 {
        self.sessions += 1;
        self.sessions - 1
    }

    /// Every pod that reads loads what the source has now.
    fn load(&mut self) {
        for pod in self.pods.iter().filter(|pod| pod.processed > 0) {
            self.held[usize::from(self.source)] |= 1 << pod.processed;
        }
    }

    /// Beats of others are not delivered.
    fn skip_beats(&mut self, p: usize) {
        let own = self.pods[p].session;
        let foreign =
            |record| matches!(record, Record::Beat { session, .. } if own != Some(session));
        while self.log.at(self.pods[p].processed + 1).is_some_and(foreign) {
            self.pods[p].processed += 1;
        }
    }
}
