//! The sidecar.

pub mod log;
pub mod nats;
pub mod remote;
