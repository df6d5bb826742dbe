//! The references of the fleet: who refers to which key.

pub mod local;
pub mod nats;
