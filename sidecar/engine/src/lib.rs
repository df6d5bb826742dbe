//! The decisions of unstale.
//!
//! Guarantees: nothing here opens a socket, reads a clock or draws a random
//! number; all of it comes through ports ([`remote::Remote`], [`log::Log`],
//! [`references::References`], [`clock::Clock`], [`random::Random`]). The coherence protocol is a state
//! machine ([`coherence`]): events in, actions out. Start reading at
//! [`Engine`], the table of contents of the system.

mod abandon;
mod adaptive;
mod append;
mod background;
mod cas;
pub mod clock;
pub mod coherence;
mod depends;
mod early;
mod engine;
mod entry;
mod envelope;
pub mod error;
pub mod explain;
mod fill;
mod flight;
mod hashed;
mod invalidate;
pub mod key;
mod l1;
mod lease;
mod leases;
pub mod limits;
pub mod log;
mod look;
mod many;
mod metrics;
pub mod policy;
pub mod position;
pub mod random;
mod read;
pub mod references;
mod refresh;
pub mod remote;
mod repeat;
pub mod request;
mod retained;
mod store;
pub mod text;
mod tier;
mod unheard;
mod watch;
mod write;

pub use engine::{Engine, Options, Ports};
pub use error::Error;
pub use many::GetManyFar;
pub use read::GetFar;
pub use watch::Watch;

#[cfg(test)]
mod tests;
