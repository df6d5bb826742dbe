//! The harness: real sidecars and real NATS servers on free ports with
//! directories of their own; dropping one kills it.
//!
//! Nothing here sleeps to let something happen: [`eventually`] asks again until
//! a state is reached, and panics with what it saw when that takes too long.
//! A program that is missing is a panic that says how to get it, never a skip.

mod nats;
mod place;
mod sidecar;
mod wait;

pub use nats::Nats;
pub use place::{free_port, nats_server, nats_server_with_clock};
pub use rustix::process::Signal;
pub use sidecar::{Builder, SESSION_TTL, Sidecar, unstale};
pub use wait::{PATIENCE, eventually};
