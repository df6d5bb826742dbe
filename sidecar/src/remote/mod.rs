//! The remote tiers, what more than one of them needs, and what stands around
//! one: each of those is a tier around a tier.
//!
//! Needed by several: who to be ([`login`]), a connection that is kept up
//! ([`upkeep`]), hints between pods ([`hints`]).
//!
//! Around one, from the engine inwards: [`sealed`], [`concurrency`], [`breaker`],
//! [`timeout`], [`hedge`]; [`stack`] puts them together and says why in this order.

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
pub mod stack;
pub mod timeout;
mod upkeep;
mod waiters;
