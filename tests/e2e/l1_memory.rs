//! L1's bound is one of memory, not of what L1 says that its entries weigh.

use unstale::{Ack, Cache, SetItem, SetOutcome};
use unstale_tests::Sidecar;

/// Bounds of L1 of two sidecars that differ in nothing else, in MiB.
const BOUNDS: [u64; 2] = [1, 17];
/// More small entries than the larger one holds.
const ENTRIES: usize = 51_200;
/// Of one batch.
const BATCH: usize = 256;

#[tokio::test]
async fn l1_takes_no_more_memory_than_its_bound() {
    let [small, large] = BOUNDS.map(full);
    let (small, large) = (small.await, large.await);
    let grown = large.saturating_sub(small);
    let bound = BOUNDS[1] - BOUNDS[0];
    assert!(grown <= bound << 20, "{grown} bytes for {bound} MiB");
}

/// Peak memory of a sidecar that got all entries.
async fn full(mib: u64) -> u64 {
    let sidecar = Sidecar::builder()
        .flag("--l1-bytes", format!("{mib}MiB"))
        .flag("--memory-bytes", "1MiB")
        .fresh()
        .await;
    let endpoint = format!("unix:{}", sidecar.uds().display());
    let cache = Cache::builder().strict().endpoint(endpoint).connect().await;
    let cache = cache.expect("a client");
    for from in (0..ENTRIES).step_by(BATCH) {
        let items = (from..from + BATCH).map(|n| SetItem::new(format!("{n:016}"), vec![7; 64]));
        let written = cache.set_many(items, Ack::Log).await;
        for outcome in written.expect("BatchSet answers").result {
            assert!(
                matches!(outcome, Ok(SetOutcome::Stored { .. })),
                "{outcome:?}"
            );
        }
    }
    sidecar.memory_peak()
}
