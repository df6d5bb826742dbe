//! `get` of the Rust client beside a bare tonic client.

use super::{CALLS, ROUNDS, Servers};
use crate::figure::Figure;
use crate::goal::{Bound, Row};
use crate::part::Part;
use crate::samples::Samples;
use crate::{Result, calls, rounds};
use std::time::Instant;
use tonic::transport::Channel;
use unstale::{Cache, Lookup, Tier};

/// Over each transport.
pub(super) async fn measure(servers: &Servers, part: &mut Part) -> Result<()> {
    for (transport, endpoint) in [
        ("Unix socket", servers.cache.uds()),
        ("TCP", servers.cache.tcp()),
    ] {
        let bare = calls::connect(&endpoint).await?;
        let cache = Cache::builder().endpoint(endpoint).strict();
        let cache = cache.connect().await?;
        cache
            .set(calls::KEY, vec![7_u8; calls::VALUE_BYTES])
            .await?;
        let (measured, reference) = compare(&bare, &cache).await?;
        let name = format!("Rust get, 1 KiB in L1, {transport}");
        let row = Row::latency(&name, &measured, ("bare tonic client", &reference));
        part.goals.push(row.goal(Bound::AtMost(1.2)));
        part.figures.push(Figure::of(&name, "unstale", &measured));
        part.figures
            .push(Figure::of(&name, "bare tonic client", &reference));
    }
    Ok(())
}

async fn compare(bare: &Channel, cache: &Cache) -> Result<(Samples, Samples)> {
    let (mut measured, mut reference) = (Samples::default(), Samples::default());
    for round in 0..=rounds::some(ROUNDS) {
        if round == 1 {
            (measured, reference) = (Samples::default(), Samples::default());
        }
        for _ in 0..CALLS {
            let begin = Instant::now();
            calls::get(bare).await?;
            reference.add(begin);
        }
        for _ in 0..CALLS {
            let begin = Instant::now();
            get(cache).await?;
            measured.add(begin);
        }
    }
    Ok((measured, reference))
}

async fn get(cache: &Cache) -> Result<()> {
    match cache.get(calls::KEY).await?.result {
        Lookup::Hit(entry) if entry.tier == Tier::L1 => Ok(()),
        other => Err(format!("not a hit in L1: {other:?}").into()),
    }
}
