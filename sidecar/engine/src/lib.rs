//! The decisions of unstale.
//!
//! Guarantees: nothing here opens a socket, reads a clock or draws a random
//! number; all three come through ports ([`remote::Remote`], [`log::Log`],
//! [`clock::Clock`], [`random::Random`]). The coherence protocol is a state
//! machine ([`coherence`]): events in, actions out. Start reading at
//! [`Engine`], the table of contents of the system.

pub mod clock;
pub mod coherence;
mod engine;
pub mod entry;
pub mod error;
pub mod key;
pub mod limits;
pub mod log;
pub mod position;
pub mod random;
pub mod remote;
pub mod request;

pub use engine::{Engine, Options, Ports, Watch};
pub use error::Error;
