//! The drivers of the ordered log.

pub mod local;
pub mod nats;
