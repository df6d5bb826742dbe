//! What can happen, and what follows from it.

use super::{Entry, LOG, Op, PODS, Pod, Record, Safeguard, Slot, State, VERSIONS, Writes};
use crate::row::Row;

/// What can happen. The first number is a pod's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Invalidate,
    /// A client is told the pod's position.
    Tell(usize),
    Set(usize),
    /// Of an entry that is fresh at the pod, by its version.
    Compare(usize, u8),
    Append(usize),
    Process(usize),
    Put(usize),
    Lease(usize),
    Fill(usize),
    Restart(usize),
    Replay(usize),
}

impl Writes {
    pub(super) fn has(&self, safeguard: Safeguard) -> bool {
        self.without != Some(safeguard)
    }

    pub(super) fn start(&self) -> State {
        let pod = Pod {
            processed: 0,
            unread: 0,
            op: None,
            load: None,
        };
        State {
            log: Row::new(),
            pods: [pod; PODS],
            slot: Slot::Empty,
            ever: [None; VERSIONS],
            client: 0,
            tokens: 0,
            compared: 0,
            twice: false,
            done: 0,
            restarts: 0,
        }
    }

    /// The newest cover that the pod knows, before `until`.
    fn floor(&self, state: &State, pod: &Pod, until: u8, write_counts: bool) -> u8 {
        let counts = |record| record == Record::Hard || write_counts;
        let known = state.log.iter().filter(|(at, record)| {
            *at > pod.unread && *at <= pod.processed && *at < until && counts(*record)
        });
        known.map(|(at, _)| at).max().unwrap_or(0)
    }

    /// The hit rule.
    pub(super) fn is_fresh(&self, state: &State, pod: &Pod, as_of: u8) -> bool {
        let writes = self.has(Safeguard::WriteRaisesTheFloor);
        let floor = self.floor(state, pod, u8::MAX, writes);
        as_of >= floor && as_of >= pod.unread && as_of <= pod.processed && pod.op.is_none()
    }

    pub(super) fn list(&self, state: &State, actions: &mut Vec<Action>) {
        let room = state.log.last() < self.bounds.log;
        if room {
            actions.push(Action::Invalidate);
        }
        for (p, pod) in state.pods.iter().enumerate() {
            if state.client != pod.processed {
                actions.push(Action::Tell(p));
            }
            if pod.processed < state.log.last() {
                actions.push(Action::Process(p));
            }
            if pod.unread > 0 {
                actions.push(Action::Replay(p));
            }
            if state.restarts < self.bounds.restarts {
                actions.push(Action::Restart(p));
            }
            self.list_write(state, p, room, actions);
            self.list_load(state, p, actions);
        }
    }

    fn list_write(&self, state: &State, p: usize, room: bool, actions: &mut Vec<Action>) {
        let pod = &state.pods[p];
        match pod.op {
            None if room => {
                actions.push(Action::Set(p));
                let entries = state.ever.iter().flatten();
                let fresh = entries.filter(|entry| self.is_fresh(state, pod, entry.as_of));
                actions.extend(fresh.map(|entry| Action::Compare(p, entry.version)));
            }
            Some(Op { at: None, .. }) if room => actions.push(Action::Append(p)),
            Some(Op { accepted: true, .. }) => actions.push(Action::Put(p)),
            _ => {}
        }
    }

    fn list_load(&self, state: &State, p: usize, actions: &mut Vec<Action>) {
        let pod = &state.pods[p];
        // A marker's term may have ended at any time; what is newer than what
        // was processed is left alone.
        let replaceable = match state.slot {
            Slot::Value(entry) => {
                entry.as_of <= pod.processed && !self.is_fresh(state, pod, entry.as_of)
            }
            Slot::Empty | Slot::Marker { .. } => true,
        };
        let idle = pod.load.is_none() && pod.op.is_none() && pod.unread == 0;
        if state.tokens < self.bounds.tokens && replaceable && idle {
            actions.push(Action::Lease(p));
        }
        if pod.load.is_some() {
            actions.push(Action::Fill(p));
        }
    }

    pub(super) fn step(&self, mut state: State, action: Action) -> State {
        match action {
            Action::Invalidate => {
                state.log.push(Record::Hard);
            }
            Action::Tell(p) => state.client = state.pods[p].processed,
            Action::Set(p) => begin(&mut state, p, None),
            Action::Compare(p, version) => begin(&mut state, p, Some(version)),
            Action::Append(p) => self.append(&mut state, p),
            Action::Process(p) => self.process(&mut state, p),
            Action::Put(p) => self.put(&mut state, p),
            Action::Lease(p) => {
                let (token, as_of) = (state.tokens, state.pods[p].processed);
                state.tokens += 1;
                state.slot = Slot::Marker { token, as_of };
                state.pods[p].load = Some((token, as_of));
            }
            Action::Fill(p) => self.fill(&mut state, p),
            Action::Restart(p) => {
                let last = state.log.last();
                state.pods[p] = Pod {
                    processed: last,
                    unread: last,
                    op: None,
                    load: None,
                };
                state.restarts += 1;
            }
            Action::Replay(p) => state.pods[p].unread = 0,
        }
        state
    }

    fn append(&self, state: &mut State, p: usize) {
        let conditional = self.has(Safeguard::CasAppendIsConditionalOrRefused);
        let newest = state.newest_write(u8::MAX);
        let pod = &mut state.pods[p];
        let Some(op) = &mut pod.op else { return };
        if op.compared.is_some() && conditional && newest != op.expects {
            // Nothing was appended; the caller reads again.
            pod.op = None;
            return;
        }
        op.at = Some(state.log.push(Record::Write));
    }

    fn process(&self, state: &mut State, p: usize) {
        state.pods[p].processed += 1;
        let (pod, n) = (state.pods[p], state.pods[p].processed);
        let Some(op) = pod.op.filter(|op| op.at == Some(n)) else {
            return;
        };
        let writes = self.has(Safeguard::WriteIsACover);
        let covered = self.floor(state, &pod, n, writes) > op.position;
        let below =
            op.position < pod.unread && self.has(Safeguard::PositionBelowTheHorizonIsRefused);
        let unrefused =
            op.compared.is_some() && !self.has(Safeguard::CasAppendIsConditionalOrRefused);
        let refused = (covered && !unrefused && self.has(Safeguard::RefusedAtItsEcho)) || below;
        state.pods[p].op = (!refused).then_some(Op {
            accepted: true,
            ..op
        });
    }

    fn put(&self, state: &mut State, p: usize) {
        let Some(op) = state.pods[p].op.take() else {
            return;
        };
        let n = op.at.unwrap_or_default();
        let higher = match state.slot {
            Slot::Value(there) => there.as_of > n && self.has(Safeguard::PutNeverOverHigher),
            Slot::Marker { as_of, .. } => as_of >= n && !self.has(Safeguard::MarkerOutranksNothing),
            Slot::Empty => false,
        };
        if !higher {
            let (version, as_of, base) = (n, n, op.position);
            state.store(Entry {
                version,
                as_of,
                base,
            });
        }
        state.done |= 1 << n;
        if let Some(version) = op.compared {
            state.twice |= state.compared & 1 << version != 0;
            state.compared |= 1 << version;
        }
    }

    fn fill(&self, state: &mut State, p: usize) {
        let Some((token, as_of)) = state.pods[p].load.take() else {
            return;
        };
        let voided = as_of < self.floor(state, &state.pods[p], u8::MAX, true);
        let own = matches!(state.slot, Slot::Marker { token: there, .. } if there == token);
        if !voided && (own || !self.has(Safeguard::FillOnlyOverItsMarker)) {
            let version = LOG as u8 + 1 + token;
            let base = as_of;
            state.store(Entry {
                version,
                as_of,
                base,
            });
        }
    }
}

fn begin(state: &mut State, p: usize, compared: Option<u8>) {
    let expects = state.newest_write(state.pods[p].processed);
    let position = match compared {
        Some(_) => state.pods[p].processed,
        None => state.client,
    };
    state.pods[p].op = Some(Op {
        position,
        compared,
        expects,
        at: None,
        accepted: false,
    });
}

impl State {
    fn store(&mut self, entry: Entry) {
        self.slot = Slot::Value(entry);
        self.ever[usize::from(entry.version)] = Some(entry);
    }

    fn newest_write(&self, until: u8) -> u8 {
        let writes = self.log.iter();
        let writes = writes.filter(|(at, record)| *at <= until && *record == Record::Write);
        writes.map(|(at, _)| at).max().unwrap_or(0)
    }
}
