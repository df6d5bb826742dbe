//! What a pod knows: the hit rule, when a Set is accepted, when it stands, what
//! was verified. The engine's names: `refuse`, `confirmed`, `verify`.

use super::{Confirmation, Phase, Pod, Question, Record, Safeguard, Set, State};

impl Confirmation {
    pub(super) fn has(&self, safeguard: Safeguard) -> bool {
        self.without != Some(safeguard)
    }

    /// Whether a Set may not stand, judged just before its own record.
    pub(super) fn is_refused(&self, pod: &Pod, position: u8, n: u8) -> bool {
        let below = position < pod.horizon.max(pod.gap)
            && self.has(Safeguard::PositionBelowTheHorizonIsRefused);
        below || position >= n || pod.floor > position
    }

    /// Whether an accepted Set stands; none: not known yet.
    pub(crate) fn stands(&self, pod: &Pod, set: &Set) -> Option<bool> {
        let Phase::Accepted(n) = set.phase else {
            return None;
        };
        if !self.has(Safeguard::ConfirmedBeforeItStands) {
            return Some(true);
        }
        let gap = set.position < pod.gap && self.has(Safeguard::GapRefusesWhatWasAccepted);
        (pod.verified() >= n).then_some(!gap)
    }

    /// The next record is about to be processed.
    pub(super) fn follow(&self, pod: &mut Pod, n: u8) {
        if n == pod.verified + 1 || !self.has(Safeguard::OnlyWhatFollowsIsVerified) {
            pod.verified = n;
        }
    }

    /// The log's first retained sequence is told.
    pub(super) fn answered(&self, pod: &mut Pod, question: Question, first: u8) {
        let processed = match self.has(Safeguard::AnswerReachesNoFurtherThanAsked) {
            true => question.processed,
            false => pod.processed,
        };
        let verified = match self.has(Safeguard::ComparedWithWhatWasVerified) {
            true => pod.verified,
            false => question.processed,
        };
        if first > verified + 1 {
            if self.has(Safeguard::GapIsRemembered) {
                pod.gap = pod.gap.max(processed);
            }
            pod.verified_from(processed);
            // A NewEpoch may be among what is missing: the log is opened again.
            pod.connected = false;
            return;
        }
        pod.verified = pod.verified.max(processed);
        if pod.wanted > pod.verified && self.has(Safeguard::WantedMeanwhileIsAskedFor) {
            pod.verify();
        }
    }
}

impl Pod {
    /// Whether what was stored at `as_of` is a hit.
    pub(crate) fn serves(&self, as_of: u8) -> bool {
        let known = self.floor.max(self.horizon).max(self.gap);
        as_of >= known && as_of <= self.processed
    }

    /// What this pod answers for.
    pub(crate) fn verified(&self) -> u8 {
        self.verified.min(self.processed)
    }

    /// Another reading begins at `n`, and another session.
    pub(super) fn verified_from(&mut self, n: u8) {
        (self.verified, self.wanted) = (n, 0);
        (self.asked, self.echo) = (None, None);
    }

    /// Somebody wants to know whether nothing was missed; one question at a time.
    pub(super) fn verify(&mut self) {
        self.wanted = self.processed;
        if self.verified < self.processed && self.asked.is_none() {
            self.asked = Some(Question::new(self.processed));
        }
    }

    /// Whether it has to read its own Join first.
    pub(crate) fn begins_anew(&self) -> bool {
        self.anchor > self.processed
    }

    /// Whether the question that Sets wait for is under way.
    pub(crate) fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether more is wanted than the question under way tells.
    pub(super) fn wants_more(&self) -> bool {
        self.asked
            .is_some_and(|asked| asked.processed < self.wanted)
    }
}

impl Question {
    pub(super) fn new(processed: u8) -> Self {
        let first = None;
        Self { processed, first }
    }
}

impl State {
    /// What is delivered to the pod next. What was removed is not, and nothing
    /// tells.
    pub(super) fn next(&self, p: usize) -> Option<(u8, Record)> {
        let pod = &self.pods[p];
        let from = self.first.max(pod.anchor).max(pod.processed + 1);
        let for_it = |record| !matches!(record, Record::Beat(of) if of != p);
        let mut log = self.log.iter().filter(|_| pod.connected);
        log.find(|(at, record)| *at >= from && for_it(*record))
    }

    /// Whether something of the pod waits to be confirmed.
    pub(super) fn waits(&self, p: usize) -> bool {
        let waits = |set: &Set| match set.phase {
            Phase::Accepted(n) => set.pod == p && n > self.pods[p].verified(),
            _ => false,
        };
        self.sets.iter().flatten().any(waits)
    }
}

impl Record {
    pub(super) fn is_cover(self) -> bool {
        matches!(self, Self::Invalidate(_) | Self::Write { .. })
    }
}
