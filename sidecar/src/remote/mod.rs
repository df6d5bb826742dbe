//! The remote tiers. What more than one of them needs: who to be ([`login`]),
//! a connection that is kept up ([`upkeep`]), hints between pods ([`hints`]).

mod check;
pub mod hints;
pub mod login;
pub mod memcached;
pub mod memory;
pub mod nats_kv;
pub mod redis;
mod upkeep;
mod waiters;
