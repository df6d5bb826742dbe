//! Many reads at a time of one client: on a stream, each by itself, and what
//! else they could be: a bare echo, Redis with its multiplexed connection.
//!
//! All over a Unix socket. A sample is the time of a round through its calls.

use crate::samples::Samples;
use crate::table::Row;
use crate::{Result, calls, processes};
use futures::future::try_join_all;
use redis::aio::MultiplexedConnection;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tonic::transport::Channel;
use unstale::{Cache, Lookup, Tier};
use unstale_tests::Redis;

/// Rounds of each, beside the first, which warms all up.
const ROUNDS: usize = 20;
/// Calls in one round.
const CALLS: u32 = 3200;
/// How many at a time.
const IN_FLIGHT: [u32; 3] = [1, 16, 64];

/// What is measured; clones share a connection.
#[derive(Clone)]
enum Reader {
    Client(Box<Cache>),
    Echo(Channel),
    Redis(MultiplexedConnection),
}

impl Reader {
    async fn read(&mut self) -> Result<()> {
        match self {
            Self::Client(cache) => match cache.get(calls::KEY).await?.result {
                Lookup::Hit(entry) if entry.tier == Tier::L1 => Ok(()),
                other => Err(format!("not a hit in L1: {other:?}").into()),
            },
            Self::Echo(channel) => calls::echo(channel).await,
            Self::Redis(connection) => {
                let mut get = redis::cmd("GET");
                let value: Vec<u8> = get.arg(calls::KEY).query_async(connection).await?;
                match value.len() {
                    calls::VALUE_BYTES => Ok(()),
                    other => Err(format!("{other} bytes").into()),
                }
            }
        }
    }

    /// The time per call of a round.
    async fn round(&self, in_flight: u32) -> Result<Duration> {
        let begin = Instant::now();
        let readers = (0..in_flight).map(|_| {
            let mut reader = self.clone();
            async move {
                for _ in 0..CALLS / in_flight {
                    reader.read().await?;
                }
                Ok::<_, Box<dyn std::error::Error>>(())
            }
        });
        try_join_all(readers).await?;
        Ok(begin.elapsed() / CALLS)
    }
}

/// For each number in flight, the stream beside the others.
pub(crate) async fn rows(sidecar: &str) -> Result<Vec<Row>> {
    let dir = TempDir::with_prefix("unstale-bench-")?;
    let socket = dir.path().join("redis.sock").display().to_string();
    let redis = Redis::with(&["--unixsocket", &socket]);
    let (bare, cache) = (processes::echo()?, processes::sidecar(sidecar, &[])?);
    bare.connected().await?;
    cache.in_fleet_of(1).await?;
    let stream = Cache::builder().endpoint(cache.uds()).strict();
    let unary = stream.clone().unary().connect().await?;
    let stream = stream.connect().await?;
    let value = vec![7_u8; calls::VALUE_BYTES];
    stream.set(calls::KEY, value.clone()).await?;
    let client = redis::Client::open(format!("unix://{socket}"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut set = redis::cmd("SET");
    set.arg(calls::KEY)
        .arg(value)
        .exec_async(&mut connection)
        .await?;
    let readers = [
        Reader::Client(stream.into()),
        Reader::Client(unary.into()),
        Reader::Echo(calls::connect(&bare.uds()).await?),
        Reader::Redis(connection),
    ];
    let mut rows = Vec::new();
    for in_flight in IN_FLIGHT {
        rows.extend(compared(&readers, in_flight).await?);
    }
    drop(redis);
    Ok(rows)
}

async fn compared(readers: &[Reader; 4], in_flight: u32) -> Result<Vec<Row>> {
    let mut samples: [Samples; 4] = Default::default();
    for round in 0..=ROUNDS {
        for (reader, samples) in readers.iter().zip(&mut samples) {
            let time = reader.round(in_flight).await?;
            if round > 0 {
                samples.extend([time]);
            }
        }
    }
    let [stream, unary, echo, redis] = &samples;
    let name = format!("Rust get, 1 KiB in L1, {in_flight} in flight on a stream: time per call");
    Ok(vec![
        Row::latency(&name, stream, ("by itself", unary)),
        Row::latency(&name, stream, ("bare echo", echo)),
        Row::latency(&name, stream, ("Redis, multiplexed", redis)).goal("≤ 1 from 16"),
    ])
}
