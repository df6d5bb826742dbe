//! What the sidecar says about itself: logs and metrics.

pub(crate) mod complaint;
pub(crate) mod epochs;
pub(crate) mod failing;
pub(crate) mod learned;
pub mod metrics;
pub mod remote;
pub mod requests;
pub mod tracing;
