//! The drivers of the ordered log.

pub mod nats;
