//! The remote tiers.

pub mod memory;
pub mod nats_kv;
