//! What stands around a tier, in order.
//!
//! From the engine inwards: the bound on concurrency sheds what is too much
//! before it could look like a failure of the tier; the breaker lets nothing
//! through to a tier that does not answer; records are sealed, once it is sure
//! that they will be sent; the timeout bounds each call that is made, and so
//! tells the breaker; the hedge repeats a slow read within that time. Nothing
//! here turns an error into a success, or repeats anything but reads.

use super::breaker::Breaker;
use super::concurrency::Concurrency;
use super::hedge::Hedge;
use super::sealed::{SealConfig, Sealed};
use super::timeout::Timeout;
use crate::telemetry::remote::RemoteCounts;
use std::sync::Arc;
use std::time::Duration;
use unstale_engine::clock::Clock;
use unstale_engine::random::Random;
use unstale_engine::remote::Remote;

/// Calls that wait for their turn, for each that may be under way. A tier that
/// answers in a fifth of the timeout is through with them within it.
const WAITING: usize = 4;
/// The share of the timeout after which a call that its caller gives up tells
/// that the tier does not answer.
const PATIENCE: u32 = 5;

/// How a tier is called.
#[derive(Clone, Debug)]
pub struct Calls {
    /// How long a call may take once it is made.
    pub timeout: Duration,
    /// How many are under way at once.
    pub concurrency: usize,
    /// When a read is asked a second time; none: never.
    pub hedge: Option<Duration>,
}

/// A tier with everything around it.
pub struct Stack {
    /// The whole.
    pub remote: Arc<dyn Remote>,
    /// What seals the records: its keys can be changed.
    pub sealed: Arc<Sealed>,
}

/// `tier` with everything around it.
pub fn around(
    tier: Arc<dyn Remote>,
    (calls, seal): (&Calls, SealConfig),
    (clock, random): (Arc<dyn Clock>, Arc<dyn Random>),
    counts: &Arc<RemoteCounts>,
) -> Stack {
    let hedged: Arc<dyn Remote> = match calls.hedge {
        Some(after) => Arc::new(Hedge::new(tier, after, counts.clone())),
        None => tier,
    };
    let timeout = Arc::new(Timeout::new(hedged, calls.timeout, counts.clone()));
    let sealed = Arc::new(Sealed::new(timeout, seal, random.clone(), counts.clone()));
    let patience = calls.timeout / PATIENCE;
    let ports = (clock, random);
    let breaker = Arc::new(Breaker::new(
        sealed.clone(),
        patience,
        ports,
        counts.clone(),
    ));
    let bounds = (calls.concurrency, calls.concurrency * WAITING);
    let remote = Arc::new(Concurrency::new(breaker, bounds, counts.clone()));
    Stack { remote, sealed }
}
