//! What a read must satisfy, and whether it did: the rules that `unstale
//! verify` and the tests that run real processes judge answers by.
//!
//! The origin is a counter per key, the stored text is "key:counter", so that
//! every answer says how old it is. A [`Checker`] is told when calls begin, when
//! invalidations are answered and what reads returned; it keeps what was
//! promised, and every broken promise.
//!
//! Keys that are written rather than loaded are judged by [`linear`].
//!
//! Guarantees: no sockets, no clock (times are passed in, as time since any
//! fixed moment of the caller's), no randomness. It demands less than it could
//! where it cannot know, never more: a violation is one.
//!
//! The simulation has a checker of its own. It sees the log itself, so that it
//! binds I-2 to the commit rather than to the answer, judges after a loss what
//! is still in the log, expiry, tokens and watches, all in virtual time; little
//! of that can be seen from outside a process.

mod checker;
pub mod linear;
mod names;
mod promises;
mod required;

pub use checker::{Checker, Violation};
pub use names::Names;
pub use required::{Began, Reached, Required};
