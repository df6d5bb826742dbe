//! Several engines together: what reviews broke.

#![allow(
    clippy::disallowed_methods,
    reason = "the pods of a test are tasks of its own runtime"
)]

mod adaptive;
mod depends;
mod early;
mod explain;
mod leases;
mod log;
mod many;
mod positions;
mod references;
mod repeat;
mod world;
mod writes;
