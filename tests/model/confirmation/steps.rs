//! What follows from what happens.

use super::actions::{Action, Asks};
use super::{Confirmation, PODS, Phase, Pod, Question, Record, SETS, Safeguard, Set, State};
use crate::row::Row;

const NEW: Pod = Pod {
    processed: 0,
    anchor: 0,
    floor: 0,
    horizon: 0,
    gap: 0,
    verified: 0,
    wanted: 0,
    asked: None,
    echo: None,
    connected: true,
    replaying: false,
};

impl Confirmation {
    pub(super) fn start(&self) -> State {
        State {
            source: 0,
            log: Row::new(),
            first: 1,
            pods: [NEW; PODS],
            sets: [None; SETS],
            stored: 0,
            began: 0,
            beats: 0,
            cuts: 0,
            breaks: 0,
        }
    }

    pub(super) fn step(&self, mut state: State, action: Action) -> State {
        let first = state.first;
        match action {
            Action::Invalidate => {
                state.source += 1;
                state.log.push(Record::Invalidate(state.source));
            }
            Action::Read(p, told) => state.read(p, told),
            Action::Append(at) => state.append(at),
            Action::Beat(p) => {
                state.log.push(Record::Beat(p));
                state.beats += 1;
            }
            Action::Process(p) => self.process(&mut state, p),
            Action::Cut(first) => {
                state.first = first;
                state.cuts += 1;
            }
            Action::Look(p, asks) => {
                if let Some(question) = state.pods[p].question_mut(asks) {
                    question.first = Some(first);
                }
            }
            Action::Answer(p, asks) => self.answer(&mut state.pods[p], asks),
            Action::AskAgain(p) => state.pods[p].verify(),
            Action::Settle(at) => self.settle(&mut state, at),
            Action::Break(p) => {
                state.pods[p].connected = false;
                state.breaks += 1;
            }
            Action::Open(p) => self.open(&mut state, p),
            Action::Replay(p) => state.replay(p),
        }
        state.sets.sort();
        state
    }

    fn process(&self, state: &mut State, p: usize) {
        let Some((n, record)) = state.next(p) else {
            return;
        };
        state.pass(p, n);
        let pod = &mut state.pods[p];
        self.follow(pod, n);
        pod.processed = n;
        match record {
            Record::Beat(_) => pod.echo = Some(Question::new(n)),
            Record::Join => pod.replaying |= pod.anchor == n,
            Record::Invalidate(_) => pod.floor = n,
            Record::Write { .. } => {
                self.decide(state, p, n);
                state.pods[p].floor = n;
            }
        }
        if !matches!(record, Record::Beat(_)) {
            state.pods[p].anchor = n;
        }
        // Nothing older is retained: there is nothing to wait for.
        if state.pods[p].replaying && state.first >= n {
            state.replay(p);
        }
    }

    /// The pod's own Set, if this is its record.
    fn decide(&self, state: &mut State, p: usize, n: u8) {
        let pod = &mut state.pods[p];
        let own = |set: &&mut Option<Set>| {
            set.is_some_and(|set| set.pod == p && set.phase == Phase::Appended(n))
        };
        let Some(slot) = state.sets.iter_mut().find(own) else {
            return;
        };
        let position = slot.map_or(0, |set| set.position);
        if self.is_refused(pod, position, n) {
            *slot = None;
        } else if let Some(set) = slot {
            set.phase = Phase::Accepted(n);
            pod.verify();
        }
    }

    fn answer(&self, pod: &mut Pod, asks: Asks) {
        let question = match asks {
            Asks::Sets => pod.asked.take(),
            Asks::Echo => pod.echo.take(),
        };
        if let Some(question) = question
            && let Some(first) = question.first
        {
            self.answered(pod, question, first);
        }
    }

    fn settle(&self, state: &mut State, at: usize) {
        let Some(set) = state.sets[at].take() else {
            return;
        };
        if let Phase::Accepted(n) = set.phase
            && self.stands(&state.pods[set.pod], &set) == Some(true)
        {
            state.stored |= 1 << n;
        }
    }

    /// Truncated past the anchor, a pod begins again at an own Join.
    fn open(&self, state: &mut State, p: usize) {
        let pod = &mut state.pods[p];
        pod.connected = true;
        // Before the first record the anchor is the Join of the start.
        if state.first <= pod.anchor.max(1) {
            return;
        }
        let unverified = pod.verified < pod.processed;
        if unverified && self.has(Safeguard::BegunAnewTheUnverifiedIsAGap) {
            pod.gap = pod.gap.max(pod.processed);
        }
        let joined = state.log.push(Record::Join);
        (pod.anchor, pod.horizon, pod.replaying) = (joined, joined, false);
        pod.verified_from(joined);
    }
}

impl State {
    fn read(&mut self, pod: usize, told: usize) {
        let (value, position, phase) = (self.source, self.pods[told].processed, Phase::Read);
        let set = Set {
            pod,
            value,
            position,
            phase,
        };
        if let Some(slot) = self.sets.iter_mut().find(|set| set.is_none()) {
            *slot = Some(set);
            self.began += 1;
        }
    }

    fn append(&mut self, at: usize) {
        if let Some(set) = &mut self.sets[at] {
            let (value, position) = (set.value, set.position);
            set.phase = Phase::Appended(self.log.push(Record::Write { value, position }));
        }
    }

    /// Own Sets whose records are not met any more: nobody knows.
    fn pass(&mut self, p: usize, n: u8) {
        for slot in &mut self.sets {
            let missed =
                |set: &mut Set| set.pod == p && matches!(set.phase, Phase::Appended(at) if at < n);
            slot.take_if(missed);
        }
    }

    /// What is retained from before the own Join is applied.
    fn replay(&mut self, p: usize) {
        let (first, pod) = (self.first, &mut self.pods[p]);
        let old = self
            .log
            .iter()
            .filter(|(at, record)| *at >= first && *at < pod.horizon && record.is_cover());
        pod.floor = old.map(|(at, _)| at).fold(pod.floor, u8::max);
        pod.horizon = pod.horizon.min(first - 1);
        pod.replaying = false;
    }
}

impl Pod {
    fn question_mut(&mut self, asks: Asks) -> Option<&mut Question> {
        match asks {
            Asks::Sets => self.asked.as_mut(),
            Asks::Echo => self.echo.as_mut(),
        }
    }
}
