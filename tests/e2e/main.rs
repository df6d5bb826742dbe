//! End to end: real sidecar processes on a real NATS server, through the gRPC
//! contract only. Every test has its own server and its own fleet.

mod calls;
mod cli;
mod coherence;
mod drain;
mod faults;
mod fleet;
mod input;
mod lease;
mod old_nats;
mod process;
mod raw;
mod renew;
mod sdk;
mod sdk_load;
mod sdk_watch;
mod watch;
mod watcher;
