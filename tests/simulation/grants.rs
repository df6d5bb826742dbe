//! Who may load what: one accepted fill per token (I-7), one loader per term
//! and floor raise (I-14).
//!
//! A grant counts as live until its holder fills, abandons or dies with its
//! term; what covers its key meanwhile, or covered it so shortly before that
//! the grant may not have known, excuses another.

use crate::mix::Mix;
use crate::world::{D_US, SWAPPED};
use std::collections::{HashMap, HashSet};

/// So long after the last fault a calm begins (µs).
const SETTLED: u64 = D_US + 1_000_000;
/// A cover this old has been processed everywhere in a calm.
const KNOWN: u64 = 500_000;
/// Two clocks, each up to 5 % off in one mix, count a term.
const SURE_PERCENT: u64 = 88;

/// A lease as it was granted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant {
    pub(crate) token: u128,
    pub(crate) pod: usize,
    pub(crate) start: u64,
    pub(crate) at: u64,
    pub(crate) term: u64,
    /// Exclusive in its pod only, because the tier was away.
    pub(crate) alone: bool,
}

/// Since when nothing disturbs; none: something does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calm {
    /// No fault at all.
    pub(crate) whole: Option<u64>,
    /// None but of the remote tier.
    pub(crate) but_tier: Option<u64>,
}

#[derive(Default)]
pub(crate) struct Grants {
    live: [Vec<Grant>; SWAPPED + 1],
    raised: [Option<u64>; SWAPPED + 1],
    tokens: HashSet<u128>,
    accepted: HashMap<u128, u32>,
    refused: HashSet<String>,
    /// Keys depend on each other: what covers one may cover all.
    depends: bool,
}

impl Grants {
    pub(crate) fn of(mix: &Mix) -> Self {
        Self {
            depends: mix.depends,
            ..Self::default()
        }
    }

    /// Something covers a key, or may.
    pub(crate) fn raised(&mut self, key: usize, now: u64) {
        match self.depends {
            true => self.all_raised(now),
            false => self.raised[key] = Some(now),
        }
    }

    pub(crate) fn all_raised(&mut self, now: u64) {
        self.raised = [Some(now); SWAPPED + 1];
    }

    /// A lease was granted; what is wrong with that.
    pub(crate) fn granted(&mut self, key: usize, grant: Grant, calm: Calm) -> Option<Wrong> {
        if !self.tokens.insert(grant.token) {
            return Some(("I-7", "a token was granted twice".into()));
        }
        let now = grant.at;
        self.live[key].retain(|g| now < g.at + g.term * SURE_PERCENT / 100);
        let raised = self.raised[key];
        let binds = |g: &&Grant| raised.is_none_or(|at| at + KNOWN < g.at);
        let after = |since: Option<u64>, g: &Grant| since.is_some_and(|s| g.at > s + SETTLED);
        let all = || self.live[key].iter().filter(binds);
        let fleet = all().find(|g| after(calm.whole, g) && !g.alone && !grant.alone);
        let own = |g: &&Grant| (g.pod, g.start) == (grant.pod, grant.start);
        let own = all()
            .filter(own)
            .filter(|g| after(calm.but_tier, g))
            .count();
        let wrong = match fleet {
            Some(other) => Some(format!("{grant:?} beside {other:?}")),
            None if own >= 2 => Some(format!("{grant:?} beside {own} more of this pod")),
            None => None,
        };
        self.live[key].push(grant);
        wrong.map(|what| ("I-14", what))
    }

    /// The holder is done, or begins to be.
    pub(crate) fn ends(&mut self, key: usize, token: u128) {
        self.live[key].retain(|grant| grant.token != token);
    }

    /// A fill was accepted: the first one of its token?
    pub(crate) fn accepted(&mut self, token: u128) -> bool {
        let times = self.accepted.entry(token).or_default();
        *times += 1;
        *times == 1
    }

    pub(crate) fn is_accepted(&self, token: u128) -> bool {
        self.accepted.contains_key(&token)
    }

    /// A fill was refused, and no other one of its token was ever tried.
    pub(crate) fn refused(&mut self, version: String) {
        self.refused.insert(version);
    }

    pub(crate) fn was_refused(&self, version: &str) -> bool {
        self.refused.contains(version)
    }
}

/// A rule and what broke it.
pub(crate) type Wrong = (&'static str, String);
