//! Client for the unstale cache sidecar.
//!
//! A thin layer over the generated gRPC client: one method per call of the
//! contract, plus [`Cache::get_or_load`], which turns a lease into "one loader
//! per key in the whole fleet", and [`Typed`], which does it for values of a
//! type. It keeps no entries itself and repeats no call on its own, except a
//! lease that another caller holds.
//!
//! It is fail-open: without a sidecar reads miss, writes are not stored and
//! loaders run, all flagged ([`Builder::strict`] makes them errors). What would
//! be a lie is an error always.
//!
//! No call hangs: one to a sidecar that has stopped ends after the sidecar's
//! own deadline and a second ([`Builder::timeout`]), and a connection that has
//! fallen silent is given up, with its watches ([`Builder::keep_alive`]).
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use unstale::{Cache, Invalidate, LoadOptions, Lookup};
//!
//! let cache = Cache::builder().namespace("shop").no_sidecar().connect().await?;
//! cache.set("greeting", "hello").await?;
//! if let Lookup::Hit(entry) = cache.get("greeting").await?.result {
//!     println!("{} bytes", entry.value.as_bytes().len());
//! }
//! let price = cache
//!     .get_or_load("price:7", LoadOptions::default(), || async {
//!         Ok::<_, std::io::Error>("12.50") // read the origin here
//!     })
//!     .await?;
//! println!("{:?}", price.result.value());
//! cache.invalidate(Invalidate::default().key("price:7")).await?;
//! # Ok(())
//! # }
//! ```

mod admin;
mod advice;
mod answer;
mod asking;
mod batch;
mod begin;
mod builder;
mod cache;
mod cas;
mod codec;
mod connect;
mod depends;
mod entry;
mod error;
mod explain;
mod explained;
mod fill;
mod flight;
mod freshness;
mod health;
mod held;
#[cfg(feature = "tower")]
pub mod http;
mod invalidate;
mod lease;
mod load;
mod load_options;
mod loaded;
mod loading;
mod options;
mod outage;
mod outcome;
mod read;
mod refresh;
mod renewing;
mod retain;
mod retained;
mod session;
#[cfg(test)]
mod sizes;
mod status;
mod typed;
mod typed_load;
mod unstorable;
mod value;
mod watch;
mod wire;
mod write;

pub use admin::{Peer, SessionState, Status};
pub use answer::{Answer, Degraded, Session};
pub use batch::{SetItem, SetResults};
pub use begin::{Begun, Obtained};
pub use builder::{Builder, DEFAULT_ENDPOINT, ENDPOINT_VARIABLE};
pub use bytes::Bytes;
pub use cache::Cache;
pub use cas::{CasOutcome, Expected};
pub use codec::{Codec, CodecError};
pub use depends::Dependency;
pub use entry::{Entry, Lookup, Negative, NotModified};
pub use error::{Error, LoadError, Violation};
pub use explain::{
    Change, Explained, ExplainedFamily, ExplainedLease, ExplainedReference, ExplainedReferences,
    ExplainedRemote, Explanation, Floor, Judged,
};
pub use explained::{Decider, FloorKind, Giver, Judgement, TtlBound};
pub use fill::{AbandonOptions, Filled, Renewal, Voided};
pub use freshness::{Freshness, StaleReason, Tier};
pub use invalidate::{Invalidate, InvalidateMode, Invalidated};
pub use lease::{Grant, LeaseOptions, Leased};
pub use load_options::LoadOptions;
pub use loaded::{Because, Load, Loaded, NotFilled};
pub use loading::Loading;
pub use options::EntryOptions;
pub use outcome::{NotStoredReason, SetOutcome};
pub use read::{ReadLevel, ReadOptions};
pub use retain::{Pinning, Reference, Released, RetainOptions};
pub use retained::Retained;
pub use typed::{Decoded, Typed};
pub use typed_load::{TypedLoad, TypedLoaded};
pub use value::{Content, Value};
pub use watch::{Invalidation, Watch, WatchEvent, WatchOptions};
pub use write::{Ack, SetOptions};

/// The guide's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/sdk-rust.md")]
struct Guide;
