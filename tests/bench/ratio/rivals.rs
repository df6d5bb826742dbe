//! The caches that L1 is compared with: moka alone (W-TinyLFU), LRU (the crate
//! `lru`) and S3-FIFO (the crate `quick_cache`, which says so of its policy;
//! Yang et al., "FIFO queues are all you need for cache eviction", SOSP '23).
//!
//! They hold weights in place of values, and are bounded by the same sum.

use super::Cache;
use super::traces::Access;
use quick_cache::Weighter;

/// moka, with nothing around it.
pub(crate) struct Moka(moka::sync::Cache<u32, u32>);

impl Moka {
    pub(crate) fn new(bound: u64) -> Self {
        let cache = moka::sync::Cache::builder()
            .max_capacity(bound)
            .weigher(|_, weight| *weight)
            .build();
        Self(cache)
    }
}

impl Cache for Moka {
    fn access(&mut self, access: Access, weight: u32) -> bool {
        let hit = self.0.get(&access.key).is_some();
        if !hit {
            self.0.insert(access.key, weight);
        }
        hit
    }
}

/// What was used least recently makes room.
pub(crate) struct Lru {
    entries: lru::LruCache<u32, u32>,
    weight: u64,
    bound: u64,
}

impl Lru {
    pub(crate) fn new(bound: u64) -> Self {
        Self {
            entries: lru::LruCache::unbounded(),
            weight: 0,
            bound,
        }
    }
}

impl Cache for Lru {
    fn access(&mut self, access: Access, weight: u32) -> bool {
        if self.entries.get(&access.key).is_some() {
            return true;
        }
        self.entries.put(access.key, weight);
        self.weight += u64::from(weight);
        while self.weight > self.bound
            && let Some((_, gone)) = self.entries.pop_lru()
        {
            self.weight -= u64::from(gone);
        }
        false
    }
}

/// S3-FIFO.
pub(crate) struct S3Fifo(quick_cache::unsync::Cache<u32, u32, ByWeight>);

#[derive(Clone)]
struct ByWeight;

impl Weighter<u32, u32> for ByWeight {
    fn weight(&self, _: &u32, weight: &u32) -> u64 {
        u64::from(*weight)
    }
}

impl S3Fifo {
    /// For a trace with `entries` keys.
    pub(crate) fn new(bound: u64, entries: usize) -> Self {
        Self(quick_cache::unsync::Cache::with_weighter(
            entries, bound, ByWeight,
        ))
    }
}

impl Cache for S3Fifo {
    fn access(&mut self, access: Access, weight: u32) -> bool {
        let hit = self.0.get(&access.key).is_some();
        if !hit {
            self.0.insert(access.key, weight);
        }
        hit
    }
}
