//! The remote tiers, and what stands around one: each a tier around a tier.
//!
//! From the engine inwards: the bound on concurrency sheds what is too much
//! before it could look like a failure of the tier, the breaker lets nothing
//! through to a tier that does not answer, the timeout bounds each call, the
//! hedge repeats a slow read.

pub mod breaker;
pub mod concurrency;
#[cfg(test)]
mod decorated;
pub mod hedge;
pub mod memory;
pub mod nats_kv;
pub mod sealed;
pub mod timeout;
