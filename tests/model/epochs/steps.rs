//! What can happen, and what follows from it.

use super::rules::TTL;
use super::{
    Body, CALLER, Call, EPOCHS, Epochs, LOG, PODS, Pod, Record, SERVER, SESSIONS, Safeguard, State,
    VALUES,
};
use crate::row::Row;

/// What can happen. The number is a pod's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Tick,
    /// The source is written and the record appended.
    Invalidate,
    Answer,
    Beat,
    Join(usize),
    Process(usize),
    Replay(usize),
    /// The log has lost what came after this.
    Fall(u8),
    /// The pod opens the log again: it reads on, begins anew, or declares.
    Open(usize),
    /// The caller's process is replaced by another one.
    Restart,
}

const NEW: Pod = Pod {
    reading: false,
    epoch: 0,
    left: 0,
    processed: 0,
    anchor: 0,
    floor: 0,
    horizon: LOG as u8,
    session: None,
    joined: false,
    fresh_until: 0,
    replaying: true,
    known_at: None,
    interrupted: None,
    known: 0,
};

impl Epochs {
    pub(super) fn start(&self) -> State {
        let pod = |session| Pod {
            reading: true,
            processed: 2,
            anchor: 2,
            horizon: 0,
            session: Some(session),
            joined: true,
            replaying: false,
            known_at: Some(0),
            known: 3,
            ..NEW
        };
        let mut state = State {
            now: 0,
            source: 0,
            log: Row::new(),
            ids: 0,
            epochs: 1,
            sessions: 2,
            pods: [pod(0), pod(1)],
            words: [(0, 0); SESSIONS],
            held: [[0; VALUES + 1]; EPOCHS],
            call: None,
            answered: None,
            fallen: false,
            falls: 0,
            restarts: 0,
            declared: None,
        };
        state.append(Body::Join(0));
        state.append(Body::Join(1));
        state.load();
        state
    }

    pub(super) fn list(&self, state: &State, actions: &mut Vec<Action>) {
        let room = state.log.last() < self.bounds.log;
        if state.now < self.bounds.ticks {
            actions.push(Action::Tick);
        }
        let caller = &state.pods[CALLER];
        let joined = caller.reading && caller.joined;
        if room && joined && state.source < self.bounds.values {
            actions.push(Action::Invalidate);
        }
        if self.may_answer(state) {
            actions.push(Action::Answer);
        }
        let server = &state.pods[SERVER];
        if room && server.reading && server.joined {
            actions.push(Action::Beat);
        }
        if state.falls < self.bounds.falls {
            actions.extend((1..state.log.last()).map(Action::Fall));
        }
        if state.restarts < self.bounds.restarts && state.call.is_none() {
            actions.push(Action::Restart);
        }
        for (p, pod) in state.pods.iter().enumerate() {
            self.list_reading(state, (p, pod), room, actions);
        }
    }

    fn list_reading(
        &self,
        state: &State,
        (p, pod): (usize, &Pod),
        room: bool,
        actions: &mut Vec<Action>,
    ) {
        let named = usize::from(state.sessions) < SESSIONS;
        if room && named && pod.session.is_none() && (pod.reading || pod.replaying) {
            actions.push(Action::Join(p));
        }
        if pod.reading && pod.processed < state.log.last() {
            actions.push(Action::Process(p));
        }
        if pod.reading && pod.replaying && pod.joined {
            actions.push(Action::Replay(p));
        }
        let may_declare = room && usize::from(state.epochs) < EPOCHS;
        let begins = pod.session.is_none() && pod.replaying && pod.epoch == state.epoch().0;
        if !pod.reading && !begins && (may_declare || !self.declares(state, pod)) {
            actions.push(Action::Open(p));
        }
    }

    fn declares(&self, state: &State, pod: &Pod) -> bool {
        let (epoch, _) = state.epoch();
        let left = pod.left & 1 << epoch != 0 && self.has(Safeguard::LeftEpochIsNotBelieved);
        left || (epoch == pod.epoch && self.went_backward(state, pod))
    }

    pub(super) fn step(&self, mut state: State, action: Action) -> State {
        match action {
            Action::Tick => state.now += 1,
            Action::Invalidate => {
                state.source += 1;
                let (epoch, at) = (state.pods[CALLER].epoch, state.now);
                let counts = !state.fallen && epoch == state.epoch().0;
                let n = state.append(Body::Invalidate);
                state.call = Some(Call {
                    epoch,
                    n,
                    at,
                    counts,
                });
            }
            Action::Answer => {
                let call = state.call.take().filter(|call| call.counts);
                state.answered = call.map(|call| call.n);
            }
            Action::Beat => {
                let session = state.pods[SERVER].session.unwrap_or_default();
                let sent = state.now;
                state.append(Body::Beat { session, sent });
            }
            Action::Join(p) => join(&mut state, p),
            Action::Process(p) => self.process(&mut state, p),
            Action::Replay(p) => self.replay(&mut state, p),
            Action::Fall(last) => fall(&mut state, last),
            Action::Open(p) => self.open(&mut state, p),
            Action::Restart => {
                state.pods[CALLER] = Pod {
                    epoch: state.epoch().0,
                    ..NEW
                };
                state.restarts += 1;
            }
        }
        state.load();
        state
    }

    fn process(&self, state: &mut State, p: usize) {
        let now = state.now;
        let pod = &mut state.pods[p];
        pod.processed += 1;
        let n = pod.processed;
        let Some(record) = state.log.at(n) else {
            return;
        };
        pod.anchor = record.id;
        match record.body {
            Body::Invalidate => pod.floor = n,
            Body::Join(session) => {
                pod.known |= 1 << session;
                pod.joined |= pod.session == Some(session);
            }
            Body::Beat { session, sent } if pod.session == Some(session) => {
                pod.fresh_until = pod.fresh_until.max(sent + TTL);
            }
            Body::Beat { .. } => {}
            Body::NewEpoch(epoch) if epoch != pod.epoch => {
                self.start_over(state, p, epoch);
                let pod = &mut state.pods[p];
                (pod.reading, pod.replaying) = (true, false);
                (pod.processed, pod.anchor) = (n, record.id);
                pod.horizon = n;
                let wait = u8::from(self.has(Safeguard::YoungEpochWaitsD)) * TTL;
                pod.known_at = Some(now + wait);
            }
            Body::NewEpoch(_) => {}
        }
        let pod = &state.pods[p];
        if let (Some(session), true) = (pod.session, pod.joined) {
            state.words[usize::from(session)] = (pod.epoch, n);
        }
    }

    /// Another life of the log: nothing of the last one counts.
    fn start_over(&self, state: &mut State, p: usize, epoch: u8) {
        let now = state.now;
        let old = state.pods[p];
        let pod = &mut state.pods[p];
        *pod = Pod {
            epoch,
            left: old.left | 1 << old.epoch,
            interrupted: self.has(Safeguard::YoungEpochWaitsD).then_some(now),
            ..NEW
        };
        if !self.has(Safeguard::NewEpochEndsTheSession) {
            (pod.session, pod.joined, pod.fresh_until) = (old.session, old.joined, old.fresh_until);
        }
        if p == CALLER {
            state.call = None;
        }
    }

    fn open(&self, state: &mut State, p: usize) {
        let (epoch, _) = state.epoch();
        if self.declares(state, &state.pods[p]) {
            let new = state.epochs;
            state.epochs += 1;
            state.append(Body::NewEpoch(new));
            state.fallen = false;
            state.declared = Some((state.now, state.source));
        } else if epoch != state.pods[p].epoch {
            self.start_over(state, p, epoch);
        } else {
            let now = state.now;
            let pod = &mut state.pods[p];
            pod.reading = true;
            pod.interrupted = Some(now);
        }
    }

    /// What this life of the log retains from before the own Join.
    fn replay(&self, state: &mut State, p: usize) {
        let (epoch, began) = state.epoch();
        let now = state.now;
        let time = state.log.at(began).map_or(0, |record| record.time + TTL);
        let pod = &mut state.pods[p];
        if epoch != pod.epoch {
            // It was declared meanwhile: it will be processed.
            return;
        }
        for (at, record) in state
            .log
            .iter()
            .filter(|(at, _)| *at > began && *at < pod.horizon)
        {
            match record.body {
                Body::Invalidate => pod.floor = pod.floor.max(at),
                Body::Join(session) => pod.known |= 1 << session,
                _ => {}
            }
        }
        (pod.replaying, pod.horizon) = (false, began);
        let waits = self.has(Safeguard::JoinerOfAYoungEpochWaitsD);
        pod.known_at = Some(if waits { now.max(time) } else { now });
    }
}

fn join(state: &mut State, p: usize) {
    let session = state.sessions;
    state.sessions += 1;
    let at = state.append(Body::Join(session));
    let before = state.log.at(at - 1).map_or(0, |record| record.id);
    let pod = &mut state.pods[p];
    pod.session = Some(session);
    if !pod.reading {
        (pod.reading, pod.horizon) = (true, at);
        (pod.processed, pod.anchor) = (at - 1, before);
    }
}

/// Every connection breaks.
fn fall(state: &mut State, last: u8) {
    state.log.cut(last);
    state.falls += 1;
    state.fallen = true;
    for pod in &mut state.pods {
        pod.reading = false;
    }
    if let Some(call) = &mut state.call {
        call.counts &= call.n <= last;
    }
    state.answered = state.answered.filter(|n| *n <= last);
}

impl State {
    fn append(&mut self, body: Body) -> u8 {
        self.ids += 1;
        let (id, time) = (self.ids, self.now);
        self.log.push(Record { id, time, body })
    }

    /// Every pod that reads loads what the source has now.
    fn load(&mut self) {
        for p in 0..PODS {
            let pod = &self.pods[p];
            if pod.reading {
                self.held[usize::from(pod.epoch)][usize::from(self.source)] |= 1 << pod.processed;
            }
        }
    }
}
