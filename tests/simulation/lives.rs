//! What clients know of the entries they stored: what a version names, and
//! when it has to end (I-11, I-12).
//!
//! A Set of equal content prolongs whatever entry has that content, so while
//! one is under way, and from then on, that content may live on.

use std::collections::HashMap;

/// On what terms an entry is stored (µs).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// The longest it can be, if it is learned.
    pub(crate) ttl: u64,
    /// The writer gives none.
    pub(crate) learned: bool,
    pub(crate) stale_for: Option<u64>,
    pub(crate) valid_for: Option<u64>,
    pub(crate) jitter: Option<u64>,
    /// The origin is said to have nothing.
    pub(crate) negative: bool,
}

impl Terms {
    /// Longer than a schedule.
    pub(crate) const LONG: Self = Self {
        ttl: 60_000_000,
        learned: false,
        stale_for: None,
        valid_for: None,
        jitter: None,
        negative: false,
    };

    /// The bounds of a ttl that is learned; also of one that was not found.
    pub(crate) const LEARNED: (u64, u64) = (150_000, 1_500_000);

    /// The ends of what was stored at `at`.
    fn ends(self, at: u64) -> Ends {
        let valid = self.valid_for.map_or(u64::MAX, |valid| at + valid);
        let fresh = valid.min(at + self.ttl);
        Ends { fresh, valid }
    }
}

/// Nothing is fresh, and nothing is served, after these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) fresh: u64,
    pub(crate) valid: u64,
}

impl Ends {
    const NEVER: Self = Self {
        fresh: u64::MAX,
        valid: u64::MAX,
    };

    fn max(self, other: Self) -> Self {
        Self {
            fresh: self.fresh.max(other.fresh),
            valid: self.valid.max(other.valid),
        }
    }
}

/// Key and the origin's counter.
pub(crate) type Content = (usize, u64);

struct Life {
    content: Content,
    ends: Ends,
}

/// A Set under way.
struct Set {
    pod: usize,
    content: Content,
    terms: Terms,
}

#[derive(Default)]
pub(crate) struct Lives {
    versions: HashMap<String, Life>,
    prolonged: HashMap<Content, Ends>,
    under_way: Vec<Set>,
}

impl Lives {
    /// An entry of this version is stored at `at` at the latest.
    pub(crate) fn stored(&mut self, version: String, content: Content, terms: Terms, at: u64) {
        let ends = terms.ends(at);
        self.versions.insert(version, Life { content, ends });
    }

    /// What a version names, if its loader has said so.
    pub(crate) fn content(&self, version: &str) -> Option<Content> {
        self.versions.get(version).map(|life| life.content)
    }

    pub(crate) fn set_begins(&mut self, pod: usize, content: Content, terms: Terms) {
        self.under_way.push(Set {
            pod,
            content,
            terms,
        });
    }

    pub(crate) fn set_ends(&mut self, pod: usize, content: Content, now: u64) {
        let mut all = self.under_way.iter();
        if let Some(at) = all.position(|set| (set.pod, set.content) == (pod, content)) {
            let set = self.under_way.swap_remove(at);
            self.prolong(&set, now);
        }
    }

    /// A start of a pod died with its Sets.
    pub(crate) fn died(&mut self, pod: usize, now: u64) {
        let all = std::mem::take(&mut self.under_way);
        let (dead, alive): (Vec<_>, _) = all.into_iter().partition(|set| set.pod == pod);
        self.under_way = alive;
        dead.iter().for_each(|set| self.prolong(set, now));
    }

    fn prolong(&mut self, set: &Set, now: u64) {
        let ends = self.prolonged.entry(set.content).or_default();
        *ends = ends.max(set.terms.ends(now));
    }

    /// When an entry of this version and content has to end.
    pub(crate) fn ends(&self, version: &str, content: Content) -> Ends {
        if self.under_way.iter().any(|set| set.content == content) {
            return Ends::NEVER;
        }
        let prolonged = self.prolonged.get(&content).copied().unwrap_or_default();
        let life = self.versions.get(version);
        life.map_or(Ends::NEVER, |life| life.ends.max(prolonged))
    }
}
