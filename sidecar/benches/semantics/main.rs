//! What the semantics cost: a hit with each feature beside the plain hit, and
//! the false misses of the floor table.
//!
//! The shipped engine over the local log and the memory tier, no network: what
//! gRPC adds would hide these differences. `cargo bench -p unstale-sidecar
//! --bench semantics` prints two markdown tables; it judges nothing.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark has a clock and tasks of its own"
)]

mod floors;
mod hits;
mod pod;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async {
        hits::print().await;
        println!();
        floors::print().await;
    });
}
