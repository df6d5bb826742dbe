//! What the sidecar says about itself: logs and metrics.

pub mod metrics;
pub mod requests;
pub mod tracing;
