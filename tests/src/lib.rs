//! The harness: real sidecars and real servers of every kind on free ports
//! with directories of their own; dropping one kills it.
//!
//! Nothing here sleeps to let something happen: [`eventually`] asks again until
//! a state is reached, and panics with what it saw when that takes too long.
//! A program that is missing is a panic that says how to get it, never a skip.

mod memcached;
mod nats;
mod nats_cluster;
mod place;
mod redis;
mod server;
mod sidecar;
mod wait;
mod wire;

pub use memcached::Memcached;
pub use nats::Nats;
pub use nats_cluster::NatsCluster;
pub use place::{free_port, nats_server, nats_server_with_clock};
pub use redis::{Redis, RedisCluster};
pub use rustix::process::Signal;
pub use sidecar::{Builder, SESSION_TTL, Sidecar, unstale};
pub use wait::{PATIENCE, eventually};
pub use wire::{Flow, Wire};
