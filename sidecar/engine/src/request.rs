//! Requests and answers of [`crate::Engine`], one pair per RPC, already
//! checked: whatever can be wrong in a request was refused before.

mod content;
mod found;
mod invalidate;
mod lease;
mod read;
mod references;
mod status;
mod watch;
mod write;

pub use content::{Dependency, DependsOn, Etag, NewEntry, Payload, Value, Version};
pub use found::{Answer, Degraded, Found, StaleReason, Tier};
pub use invalidate::{Invalidate, Invalidated, Mode};
pub use lease::{
    Abandon, Fill, FillOutcome, Lease, LeaseOutcome, LeaseToken, RenewOutcome, Voided,
};
pub(crate) use read::Demand;
pub use read::{Get, GetMany, GetOutcome, Level};
pub use references::{Here, Release, Released, Retain, Retained};
pub use status::{Counters, Peer, Session, SessionState, Status};
pub use watch::{WatchEvent, WatchFilter, Watched};
pub use write::{Ack, CasOutcome, CompareAndSet, Expected, NotStored, Set, SetOutcome};
