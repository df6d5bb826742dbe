//! `get` of the Rust client beside a bare tonic client.

use super::Servers;
use crate::contender::{Contender, Length};
use crate::goal::{Bound, Row};
use crate::part::Part;
use crate::rounds::compared_for;
use crate::{Result, calls};
use unstale::{Cache, Lookup, Tier};

/// So many calls that there are ten above a p99.9.
const ROUND: Length = Length::Calls(2000);

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
        let name = format!("Rust get, 1 KiB in L1, {transport}");
        let pids = [servers.cache.pid()];
        let contenders = [
            Contender::new("unstale", &pids, move |_| {
                let cache = cache.clone();
                async move { get(&cache).await }
            }),
            Contender::new("bare tonic client", &pids, move |_| {
                let bare = bare.clone();
                async move { calls::get(&bare).await }
            }),
        ];
        let figures = compared_for(ROUND, &name, &contenders, 1, 1).await?;
        let row = Row::latency(&name, &figures[0], &figures[1]);
        part.goals.push(row.goal(Bound::AtMost(1.2)));
        part.figures.extend(figures);
    }
    Ok(())
}

async fn get(cache: &Cache) -> Result<()> {
    match cache.get(calls::KEY).await?.result {
        Lookup::Hit(entry) if entry.tier == Tier::L1 => Ok(()),
        other => Err(format!("not a hit in L1: {other:?}").into()),
    }
}
