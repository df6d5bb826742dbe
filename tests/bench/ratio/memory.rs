//! Resident bytes of the entries in L1 of a real sidecar, by size of value.
//!
//! Two sidecars get the same writes and reads, more than L1 holds; they differ
//! in nothing but the bound of L1, so that what differs in resident memory is
//! L1. The log, the floors and the memory tier are the same in both.

use crate::scale::load::{self, Load};
use crate::{Result, processes};
use unstale_proto::v1::StatusRequest;
use unstale_proto::v1::admin_service_client::AdminServiceClient;

/// Bounds of the two, in MiB.
const BOUNDS: [usize; 2] = [1, 129];
/// Bytes of values.
const SIZES: [usize; 4] = [64, 256, 1024, 16 * 1024];
/// What an entry weighs at least beside its value: so many fill L1 for sure.
const LEAST_BYTES: usize = 256;

/// What one of the two held at its end.
struct Held {
    resident: f64,
    entries: f64,
    weighed: f64,
}

/// One line for each size.
pub(crate) fn table(sidecar: &str) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut table = String::from(
        "| value | entries | weighed, an entry | resident, an entry | beside key and value | resident of the bound | goals |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for size in SIZES {
        let [small, large] = BOUNDS.map(|mib| runtime.block_on(filled(sidecar, size, mib)));
        table += &row(size, &small?, &large?);
    }
    Ok(table)
}

/// Writes half as much again as the larger L1 holds, and reads it.
async fn filled(sidecar: &str, value_bytes: usize, mib: usize) -> Result<Held> {
    let l1 = format!("{mib}MiB");
    // Floors so wide that none of so many Sets loses another's entry: what is
    // lost leaves L1 when it is read.
    let small = ["--memory-bytes", "1MiB", "--floor-bytes", "256MiB"];
    let flags = [&["--l1-bytes", &l1], &small[..]].concat();
    let process = processes::sidecar(sidecar, &flags)?;
    let channel = process.connected().await?;
    let largest = BOUNDS[1] << 20;
    let count = largest / (value_bytes + load::KEY_BYTES + LEAST_BYTES) * 3 / 2;
    let load = Load::plain(count, value_bytes);
    load::write(&channel, load).await?;
    load::read(&channel, load).await?;
    let mut admin = AdminServiceClient::new(channel);
    let status = admin.status(StatusRequest {}).await?.into_inner();
    // Far below 2^52.
    #[allow(clippy::cast_precision_loss)]
    let [resident, entries, weighed] = [
        process.resident_kib()? * 1024,
        status.l1_entries,
        status.l1_bytes,
    ]
    .map(|number| number as f64);
    Ok(Held {
        resident,
        entries,
        weighed,
    })
}

fn row(value_bytes: usize, small: &Held, large: &Held) -> String {
    let entries = large.entries - small.entries;
    let weighed = large.weighed / large.entries;
    let resident = (large.resident - small.resident) / entries;
    #[allow(clippy::cast_precision_loss)]
    let beside = resident - (value_bytes + load::KEY_BYTES) as f64;
    #[allow(clippy::cast_precision_loss)]
    let bound = ((BOUNDS[1] - BOUNDS[0]) << 20) as f64;
    let of_bound = 100.0 * (large.resident - small.resident) / bound;
    let met = |is| if is { "met" } else { "**missed**" };
    format!(
        "| {value_bytes} B | {:.0} | {weighed:.0} B | {resident:.0} B | {beside:.0} B | {of_bound:.0} % | \
         ≤ 200 B beside: {}; ≤ 100 %: {} |\n",
        large.entries,
        met(beside <= 200.0),
        met(of_bound <= 100.0),
    )
}
