//! Policies: what a namespace says about ttls, limits and staleness.
//!
//! One strategy per file: facts in, decision out, no I/O. A policy decides how
//! long and how stale; it never decides what is coherent.

pub mod adaptive_ttl;
pub mod early;
pub(crate) mod grants;
pub mod refs;
pub(crate) mod stale;
pub(crate) mod ttl;

use crate::key::Namespace;
use crate::limits;
use adaptive_ttl::AdaptiveTtl;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a namespace says where its callers say nothing, and what it allows.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// ttl of an entry whose writer gives none.
    pub default_ttl: Duration,
    /// Longest ttl that is accepted.
    pub max_ttl: Duration,
    /// ttl of a negative entry whose writer gives none.
    pub negative_ttl: Duration,
    /// Taken off a ttl at random, up to this, when the writer does not say.
    pub jitter: Duration,
    /// How long an entry may be served stale after its ttl when its writer
    /// does not say.
    pub stale_for: Duration,
    /// Largest value that is accepted, in bytes.
    pub max_value_bytes: usize,
    /// What a BOUNDED read answers while this pod's session is not fresh.
    pub on_session_loss: OnSessionLoss,
    /// Leases of one key that this pod grants in a second.
    pub grants_per_second: u32,
    /// `beta` of the early refresh of what was loaded under a lease; 0: none.
    pub early_refresh: f32,
    /// Has the ttl of a value whose writer gives none learned, in place of
    /// `default_ttl`; none: it is not.
    pub adaptive_ttl: Option<Arc<AdaptiveTtl>>,
}

/// What a BOUNDED read answers while this pod's session is not fresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnSessionLoss {
    /// Missing: the caller reads the origin.
    #[default]
    Bypass,
    /// What is cached, flagged as stale.
    ServeStale,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            default_ttl: limits::TTL_DEFAULT,
            max_ttl: limits::TTL_MAX,
            negative_ttl: limits::NEGATIVE_TTL_DEFAULT,
            jitter: Duration::ZERO,
            stale_for: Duration::ZERO,
            max_value_bytes: limits::VALUE_BYTES,
            on_session_loss: OnSessionLoss::Bypass,
            grants_per_second: limits::GRANTS_PER_SECOND,
            early_refresh: 0.0,
            adaptive_ttl: None,
        }
    }
}

/// The policies of all namespaces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policies {
    /// Of a namespace that has none of its own.
    pub default: Arc<Policy>,
    /// By namespace.
    pub namespaces: BTreeMap<Namespace, Arc<Policy>>,
}

impl Policies {
    /// The policy of a namespace.
    pub fn of(&self, namespace: &Namespace) -> Arc<Policy> {
        let own = self.namespaces.get(namespace);
        Arc::clone(own.unwrap_or(&self.default))
    }
}
