//! The remote tiers, what more than one of them needs, and what stands around
//! one: each of those is a tier around a tier.
//!
//! Needed by several: who to be ([`login`]), a connection that is kept up
//! ([`upkeep`]), hints between pods ([`hints`]).
//!
//! Around one, from the engine inwards: records are compressed and encrypted
//! ([`sealed`]); the bound on concurrency sheds what is too much before it could
//! look like a failure of the tier; the breaker lets nothing through to a tier
//! that does not answer; the timeout bounds each call; the hedge repeats a slow
//! read.

pub mod breaker;
mod check;
pub mod concurrency;
#[cfg(test)]
mod decorated;
pub mod hedge;
pub mod hints;
pub mod login;
pub mod memcached;
pub mod memory;
pub mod nats_kv;
pub mod redis;
pub mod sealed;
pub mod timeout;
mod upkeep;
mod waiters;
