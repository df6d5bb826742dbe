//! One suite that every remote tier passes, on real servers: what the port
//! promises, and nothing that only one of them has.
//!
//! `cargo test -p unstale-tests --test behavior [-- redis::]`. A tier's server
//! is shared by its cases, each with keys of its own; cases that stop a server
//! have one for themselves. A server that is missing is a failure.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "tests spawn for themselves")]

mod cancelled;
mod contents;
mod expiry;
mod forgets;
mod hints;
mod key;
mod many;
mod outage;
mod parts;
mod puts;
mod redis;
mod refused;
mod tier;

use libtest_mimic::{Arguments, Trial};
use std::sync::Arc;
use std::time::Instant;
use tier::{Kind, World};
use tokio::runtime::Runtime;

/// A case for every tier of `kinds`, by its name.
macro_rules! cases {
    ($trials:ident, $runtime:ident, $worlds:ident, $kinds:expr, $($module:ident::{$($case:ident),* $(,)?})*) => {
        for world in &$worlds {
            if $kinds.contains(&world.kind) {
                $($({
                    let (world, runtime) = (world.clone(), $runtime.clone());
                    let name = format!("{}::{}", world.kind.name(), stringify!($case));
                    $trials.push(Trial::test(name, move || {
                        runtime.block_on($module::$case(world));
                        Ok(())
                    }));
                })*)*
            }
        }
    };
}

fn main() {
    let began = Instant::now();
    let runtime = Arc::new(Runtime::new().unwrap());
    let worlds: Vec<_> = Kind::ALL.map(|kind| Arc::new(World::new(kind))).into();
    let trials = trials(&runtime, &worlds);
    let ran = libtest_mimic::run(&Arguments::from_args(), trials);
    // Here, and not by `exit`: that would leave the servers running.
    drop(worlds);
    println!("behavior: {:.1} s", began.elapsed().as_secs_f64());
    ran.exit();
}

fn trials(runtime: &Arc<Runtime>, worlds: &[Arc<World>]) -> Vec<Trial> {
    let mut trials = of_every_tier(runtime, worlds);
    trials.extend(of_servers(runtime, worlds));
    trials.extend(of_some_tiers(runtime, worlds));
    trials
}

fn of_every_tier(runtime: &Arc<Runtime>, worlds: &[Arc<World>]) -> Vec<Trial> {
    let (runtime, worlds) = (runtime.clone(), worlds.to_vec());
    let mut trials = Vec::new();
    cases! { trials, runtime, worlds, Kind::ALL,
        puts::{
            what_is_absent_is_nothing,
            a_put_if_absent_stores_once,
            a_put_on_a_revision_replaces_exactly_that_state,
            a_put_on_a_revision_of_nothing_conflicts,
            a_delete_removes_exactly_the_state_named,
            a_delete_of_another_state_does_nothing,
            a_revision_never_comes_back,
            of_100_puts_at_once_one_wins,
            nothing_is_lost_between_puts_on_revisions,
        }
        contents::{
            bytes_come_back_as_they_were,
            an_empty_record_is_a_record,
            the_largest_record_is_kept,
            a_record_that_is_too_large_is_refused_or_kept_whole,
        }
        expiry::{
            a_record_goes_after_its_ttl_and_not_before,
            a_put_brings_its_own_ttl,
            the_longest_ttl_is_a_ttl,
        }
        hints::{
            a_hint_wakes_who_waits,
            a_hint_for_another_key_wakes_nobody,
            a_cancelled_wait_takes_no_hint_from_others,
        }
        many::{
            hits_and_misses_come_in_the_order_of_the_keys,
            a_key_that_is_asked_for_twice_is_answered_twice,
            no_keys_have_no_answers,
            more_than_a_thousand_keys_are_read,
            large_records_come_whole,
            a_read_of_many_gives_revisions_that_can_be_put_on,
            a_cancelled_read_of_many_reaches_nobody_else,
        }
        outage::{a_tier_that_is_up_answers_a_ping}
    }
    trials
}

fn of_servers(runtime: &Arc<Runtime>, worlds: &[Arc<World>]) -> Vec<Trial> {
    let (runtime, worlds) = (runtime.clone(), worlds.to_vec());
    let mut trials = Vec::new();
    cases! { trials, runtime, worlds, Kind::NETWORK,
        outage::{
            a_dead_server_is_said_to_be_away,
            a_server_that_comes_back_is_used_again,
            no_revision_from_before_a_restart_replaces_what_is_there_now,
        }
    }
    cases! { trials, runtime, worlds, Kind::PARTS,
        parts::{with_one_server_away_a_ping_is_answered}
    }
    cases! { trials, runtime, worlds, Kind::UNNUMBERED,
        cancelled::{a_cancelled_call_reaches_nobody_else}
    }
    trials
}

fn of_some_tiers(runtime: &Arc<Runtime>, worlds: &[Arc<World>]) -> Vec<Trial> {
    let (runtime, worlds) = (runtime.clone(), worlds.to_vec());
    let mut trials = Vec::new();
    cases! { trials, runtime, worlds, [Kind::Sealed],
        many::{a_record_that_does_not_open_takes_no_other_with_it}
    }
    cases! { trials, runtime, worlds, [Kind::Redis],
        many::{what_comes_in_parts_comes_together}
    }
    cases! { trials, runtime, worlds, [Kind::Memcached],
        many::{of_two_servers_one_that_is_away_takes_only_its_own_keys}
    }
    cases! { trials, runtime, worlds, [Kind::RedisCluster],
        many::{of_a_cluster_a_server_that_is_away_takes_only_its_own_keys}
    }
    cases! { trials, runtime, worlds, Kind::BOUNDED,
        forgets::{what_was_evicted_is_absent_and_its_revision_never_comes_back}
        refused::{
            a_wrong_password_is_a_matter_of_configuration,
            the_right_password_is_accepted_from_a_file,
        }
    }
    cases! { trials, runtime, worlds, Kind::REDIS,
        redis::{
            what_strangers_left_under_a_key_is_replaced,
            a_put_is_one_round_trip_once_the_script_is_known,
            a_full_server_refuses_puts_and_answers_reads,
            a_read_only_replica_is_named,
            puts_that_a_replica_refuses_cost_no_read,
            a_user_who_may_not_run_scripts_is_told_what_is_missing,
        }
    }
    trials
}
