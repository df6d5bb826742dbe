//! Counts since the start; the shell turns them into metrics.

use crate::policy::adaptive_ttl::HITS;
use crate::request::Counters;
use std::sync::atomic::{AtomicU64, Ordering};

/// One in so many hits is looked at.
const LOOKED_AT: u64 = HITS as u64;

macro_rules! meter {
    ($($name:ident => $field:ident),* ; $($hit:ident => $hits:ident),* $(,)?) => {
        #[derive(Default)]
        pub(crate) struct Meter { $($field: AtomicU64,)* $($hits: AtomicU64),* }

        impl Meter {
            $(pub(crate) fn $name(&self) { self.$field.fetch_add(1, Ordering::Relaxed); })*

            $(/// Whether this one is to be looked at.
            #[must_use]
            pub(crate) fn $hit(&self) -> bool {
                self.$hits.fetch_add(1, Ordering::Relaxed) % LOOKED_AT == LOOKED_AT - 1
            })*

            pub(crate) fn read(&self) -> Counters {
                Counters { $($field: self.$field.load(Ordering::Relaxed),)*
                    $($hits: self.$hits.load(Ordering::Relaxed),)* ..Counters::default() }
            }
        }
    };
}

meter! {
    hit_negative => hits_negative,
    found_not_modified => not_modified,
    set_refreshed => refreshed,
    older_source_version => older_source_versions,
    grant_limited => grants_limited,
    fail_safe => fail_safes,
    miss => misses,
    bad_record => bad_records,
    wrong_key => wrong_keys,
    remote_error => remote_errors,
    lease_granted => leases_granted,
    early_refresh => early_refreshes,
    fill_voided => fills_voided,
    appended => appended,
    overloaded => overloaded,
    reference_drop => reference_drops,
    local_dropped => locals_dropped,
    seen_changed => seen_changed,
    seen_unchanged => seen_unchanged,
    learned_read => learned_read,
    learned_kept => learned_kept,
    learned_unreadable => learned_unreadable;
    hit_l1 => hits_l1,
    hit_remote => hits_remote,
    hit_stale => hits_stale,
}
