//! The native module of the Python client: the Rust client behind PyO3.
//!
//! It moves bytes and outcomes between Python and the sidecar and decides
//! nothing. Every method gives a [`Call`](call::Call), which a thread may wait
//! for (the GIL released, signals heard) or an event loop may start. No thread
//! but Python's own ever takes the GIL, and nothing that a process holds is
//! used after a fork: the child starts and connects anew.
//!
//! It does not encode values, choose keys or swallow errors: the package
//! `unstale` around it does.

mod asking;
mod call;
mod client;
mod entry;
mod error;
mod explain;
mod grant;
mod link;
mod options;
mod pods;
mod reactor;
mod reply;
mod retained;
mod runtime;
mod watch;

use pyo3::prelude::*;

/// The module `unstale._native`.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::call::{Call, Task};
    #[pymodule_export]
    use super::client::Client;
    #[pymodule_export]
    use super::entry::{Answer, RawEntry};
    #[pymodule_export]
    use super::explain::{
        Change, Explained, ExplainedFamily, ExplainedLease, ExplainedReferences, ExplainedRemote,
        Explanation, Floor,
    };
    #[pymodule_export]
    use super::grant::Grant;
    #[pymodule_export]
    use super::pods::{Peer, Status};
    #[pymodule_export]
    use super::reactor::Reactor;
    #[pymodule_export]
    use super::reply::{Invalidated, Written};
    #[pymodule_export]
    use super::retained::{Reference, Released, Retained};
    #[pymodule_export]
    use super::watch::{Watch, WatchEvent};
}
