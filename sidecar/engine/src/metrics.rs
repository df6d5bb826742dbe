//! Counts since the start; the shell turns them into metrics.

use crate::request::Counters;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! meter {
    ($($name:ident => $field:ident),* $(,)?) => {
        #[derive(Default)]
        pub(crate) struct Meter { $($field: AtomicU64),* }

        impl Meter {
            $(pub(crate) fn $name(&self) { self.$field.fetch_add(1, Ordering::Relaxed); })*

            pub(crate) fn read(&self) -> Counters {
                Counters { $($field: self.$field.load(Ordering::Relaxed),)* ..Counters::default() }
            }
        }
    };
}

meter! {
    hit_l1 => hits_l1,
    hit_remote => hits_remote,
    hit_stale => hits_stale,
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
}
