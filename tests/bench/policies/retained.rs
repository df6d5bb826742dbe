//! What a reference saves: keys that are read seldom, while a scan goes through a
//! cache that is too small for it. Counted, not timed.

use super::hit::retain;
use crate::rows::Own;
use crate::{Result, calls};
use std::fmt::Write as _;
use tonic::transport::Channel;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::{self, get_response};

/// Keys that are read once in a scan of so many others.
const KEYS: usize = 100;
const SCANNED: usize = 4_000;
const ROUNDS: usize = 5;
/// Too little for a scan: both tiers forget.
const SMALL: [&str; 4] = ["--l1-bytes", "1MiB", "--memory-bytes", "1MiB"];

/// The table.
pub(super) async fn table(sidecar: &str) -> Result<String> {
    let mut table =
        String::from("| the keys | reads of them | origin loads of them |\n| --- | --- | --- |\n");
    for (name, is_retained) in [("nobody refers to", false), ("are referred to", true)] {
        let own = Own::alone(sidecar, &SMALL).await?;
        let loads = run(&own.uds, is_retained).await?;
        let reads = KEYS * ROUNDS;
        writeln!(table, "| {name} | {reads} | {loads} |")?;
    }
    Ok(table)
}

async fn run(channel: &Channel, is_retained: bool) -> Result<u64> {
    let (keys, scanned) = (calls::keys("kept", KEYS), calls::keys("scanned", SCANNED));
    for key in &keys {
        calls::set_of(channel, key.clone(), calls::value(calls::VALUE_BYTES)).await?;
        if is_retained {
            retain(channel, key).await?;
        }
    }
    let mut loads = 0;
    for _ in 0..ROUNDS {
        calls::fill(channel, &scanned).await?;
        for key in &keys {
            if !is_cached(channel, key).await? {
                loads += 1;
                calls::set_of(channel, key.clone(), calls::value(calls::VALUE_BYTES)).await?;
            }
        }
    }
    Ok(loads)
}

async fn is_cached(channel: &Channel, key: &str) -> Result<bool> {
    let request = v1::GetRequest {
        key: key.into(),
        ..v1::GetRequest::default()
    };
    let answer = CacheServiceClient::new(channel.clone()).get(request).await;
    match answer?.into_inner().result {
        Some(get_response::Result::Found(_)) => Ok(true),
        Some(get_response::Result::Missing(_)) => Ok(false),
        other => Err(format!("neither found nor missing: {other:?}").into()),
    }
}
