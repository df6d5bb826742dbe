//! The remote tiers.

pub mod nats_kv;
