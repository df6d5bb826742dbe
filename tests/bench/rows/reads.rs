//! Get of a 1 KiB entry in L1, beside the bare echo.

use crate::samples::Samples;
use crate::table::Row;
use crate::{ROUNDS, Result, calls, processes};
use std::time::Instant;
use tonic::transport::Channel;

/// Calls of each kind in one round.
const CALLS: usize = 2000;

/// Over TCP and over the Unix socket.
pub(crate) async fn rows(sidecar: &str) -> Result<Vec<Row>> {
    let bare = processes::echo()?;
    let cache = processes::sidecar(sidecar, &[])?;
    bare.connected().await?;
    calls::set(&cache.in_fleet_of(1).await?).await?;
    let mut rows = Vec::new();
    for (name, bare, cache) in [
        ("Get, 1 KiB in L1, TCP", bare.tcp(), cache.tcp()),
        ("Get, 1 KiB in L1, Unix socket", bare.uds(), cache.uds()),
    ] {
        let (bare, cache) = (calls::connect(&bare).await?, calls::connect(&cache).await?);
        let (measured, reference) = compare(&bare, &cache).await?;
        let row = Row::latency(name, &measured, ("bare echo", &reference));
        rows.push(row.goal("≤ 1.5"));
    }
    Ok(rows)
}

async fn compare(bare: &Channel, cache: &Channel) -> Result<(Samples, Samples)> {
    let (mut measured, mut reference) = (Samples::default(), Samples::default());
    // The round before the first warms both up.
    for round in 0..=ROUNDS {
        if round == 1 {
            (measured, reference) = (Samples::default(), Samples::default());
        }
        for _ in 0..CALLS {
            let begin = Instant::now();
            calls::echo(bare).await?;
            reference.add(begin);
        }
        for _ in 0..CALLS {
            let begin = Instant::now();
            calls::get(cache).await?;
            measured.add(begin);
        }
    }
    Ok((measured, reference))
}
