//! Own writes and invalidations that are under way: what they cover here until
//! the log has decided, in which order they go, and what becomes of those that
//! reading has passed without meeting them.

use super::record::RecordId;
use super::{Action, Bug, Decision, Facts, Machine};
use crate::clock::Moment;
use crate::key::{NameHash, Namespace};
use crate::position::Position;
use crate::request::Mode;

/// An own write or invalidation that is under way.
pub struct Own {
    /// Its namespace.
    pub namespace: Namespace,
    /// Keys, tags and hashed prefixes covered here until the record is
    /// processed.
    pub names: Vec<NameHash>,
    /// Other prefixes; until the record is processed the whole namespace stands
    /// for them.
    pub prefixes: Vec<String>,
    /// Whether the whole namespace is covered.
    pub all: bool,
    /// What the cover does.
    pub mode: Mode,
    /// Its caller was answered OK before the log has it (LOCAL).
    pub answered: bool,
    /// For a write: what it is checked against when it is processed.
    pub check: Option<WriteCheck>,
}

impl Own {
    /// The names that are pending.
    fn pending(&self) -> impl Iterator<Item = NameHash> {
        let whole = self.all || !self.prefixes.is_empty();
        let whole = whole.then(|| NameHash::of_namespace(&self.namespace));
        self.names.iter().copied().chain(whole)
    }
}

/// What decides a write at its own echo.
pub struct WriteCheck {
    /// The written entry.
    pub facts: Facts,
    /// Refuse if a cover came after this.
    pub position: Option<Position>,
    /// Where what the entry depends on was judged: refuse if a cover of that
    /// came after this.
    pub depends_at: Option<Position>,
}

/// An own record that was not processed here yet.
pub(super) struct Open {
    pub(super) own: Own,
    /// Counts up in the order in which they began.
    pub(super) order: u64,
    /// Every name of the entry that it writes; none of an invalidation.
    pub(super) writes: Box<[NameHash]>,
    /// Where the log said it is.
    pub(super) acked: Option<u64>,
    /// It was in before this pod began to read anew: if the replay does not
    /// meet it, nobody will.
    pub(super) before: bool,
}

impl Machine {
    /// Begins an own write or invalidation: its names are covered here until
    /// its record is processed or [`Machine::forget`] is called.
    pub fn begin(&mut self, id: RecordId, own: Own) {
        if !self.settings.bugs.has(Bug::NoPending) {
            self.pending.begin(own.pending(), own.mode);
        }
        self.begun += 1;
        self.own.insert(
            id,
            Open {
                order: self.begun,
                writes: own
                    .check
                    .iter()
                    .flat_map(|check| check.facts.names())
                    .collect(),
                own,
                acked: None,
                before: false,
            },
        );
    }

    /// An own record was definitely not appended.
    pub fn forget(&mut self, id: RecordId) {
        let Some(Open { own, .. }) = self.own.remove(&id) else {
            return;
        };
        self.pending.end(own.pending(), own.mode);
        self.aliases.retain(|_, of| *of != id);
    }

    /// An own record goes into the log under another id, too: whichever is
    /// processed first decides it.
    pub fn also(&mut self, id: RecordId, other: RecordId) {
        if self.own.contains_key(&id) {
            self.aliases.insert(other, id);
        }
    }

    /// The own record that this record in the log stands for.
    pub(super) fn own_of(&self, id: RecordId) -> RecordId {
        self.aliases.get(&id).copied().unwrap_or(id)
    }

    /// The log said that an own record is at `sequence`. If that was passed
    /// already it will not be delivered (again): it is settled now.
    pub fn acked(&mut self, id: RecordId, sequence: u64) {
        if let Some(open) = self.own.get_mut(&id) {
            open.acked = Some(sequence);
            self.settle_passed();
        }
    }

    /// Own records that reading has passed without meeting them: repeats of
    /// one processed before, or truncated unread. Their names fall here all
    /// the same; a write's covers may be gone too, so it is not decided.
    pub(super) fn settle_passed(&mut self) {
        let processed = self.reader.processed;
        let passed = |open: &Open| open.acked.filter(|at| !open.before && *at <= processed);
        let all: Vec<(RecordId, u64)> = self
            .own
            .iter()
            .filter_map(|(id, open)| Some((*id, passed(open)?)))
            .collect();
        for (id, sequence) in all {
            self.settle(id, sequence);
        }
    }

    fn settle(&mut self, id: RecordId, sequence: u64) {
        let (Some(epoch), Some(Open { own, .. })) = (self.epoch, self.own.get(&id)) else {
            return;
        };
        // A log that lost its tail gives low numbers again: everything that this
        // pod has loaded until now is covered all the same.
        let floor = sequence.max(self.reader.processed + 1);
        let decision = match own.check {
            Some(_) => Decision::Unknown,
            None => Decision::Accepted(Position { epoch, sequence }),
        };
        for name in &own.names {
            self.floors.raise(*name, own.mode, floor);
        }
        for prefix in &own.prefixes {
            self.floors
                .raise_prefix(&own.namespace, prefix, own.mode, floor);
        }
        if own.all {
            let namespace = NameHash::of_namespace(&own.namespace);
            self.floors.raise_namespace(namespace, own.mode, floor);
        }
        self.forget(id);
        self.push(Action::Decided(id, decision));
    }

    /// Whether an own record may be appended: no write that it covers, that
    /// began earlier and was answered OK, is still on its way. It would land
    /// behind this one, and bring back what this one covers.
    pub fn is_its_turn(&self, id: RecordId) -> bool {
        let Some(this) = self.own.get(&id) else {
            return true;
        };
        let earlier = |open: &&Open| open.own.answered && open.order < this.order;
        let covers = |name: &NameHash| this.own.pending().any(|covered| covered == *name);
        let mut earlier = self.own.values().filter(earlier);
        !earlier.any(|open| open.writes.iter().any(covers))
    }

    /// Whether a Write of this key was decided so lately, and not covered since,
    /// that its value may not be there yet: then what is missing is not absent.
    pub fn is_on_its_way(&self, facts: &Facts, now: Moment) -> bool {
        let written = self.written.of(facts.key.hash(), now);
        written.is_some_and(|sequence| self.floor(facts).hard <= sequence)
    }

    /// Whether an own record is still waiting to be processed.
    pub fn is_open(&self, id: RecordId) -> bool {
        self.own.contains_key(&id)
    }
}
