//! Get of an entry in L1: over TCP, over the Unix socket, on a stream; beside the
//! bare echo and the stores.

use super::own::{Own, set_everywhere};
use crate::contender::Contender;
use crate::figure::{Figure, size};
use crate::goal::{Bound, Row, within};
use crate::part::{Part, of};
use crate::rounds::compared;
use crate::stores::{Store, Stores};
use crate::{Result, calls};
use bytes::Bytes;
use tonic::transport::Channel;
use unstale::{Cache, Lookup, Tier};

const ROW: &str = "Get, L1 hit";
/// Sizes of values.
pub(super) const SIZES: [usize; 4] = [64, 256, 1024, 16 << 10];
/// How many at a time.
pub(super) const IN_FLIGHT: [usize; 3] = [1, 16, 64];
const WORDS: &str = "One key, of which every answer is compared with the value that was set. `stream` is the Rust client on \
one Session stream, the others of unstale are unary calls of a bare tonic client, as those of the echo are. Redis and \
Valkey answer redis-rs on one multiplexed connection, memcached a connection for each call under way.";

/// Every size with every number in flight.
pub(super) async fn part(sidecar: &str) -> Result<Part> {
    let (echo, own, servers) = (
        Own::echo().await?,
        Own::alone(sidecar, &[]).await?,
        Stores::start()?,
    );
    let stores = servers.clients().await?;
    let stream = own.stream().await?;
    let mut part = Part::new("reads", "Reads of L1", WORDS);
    for bytes in SIZES {
        set_everywhere(&own, &stores, bytes).await?;
        let mut all = unary(&own, &echo, bytes);
        all.push(on_stream(&own, &stream, bytes));
        all.extend(stores.iter().map(|store| of_store(store, bytes)));
        for in_flight in IN_FLIGHT {
            let figures = compared(ROW, &all, in_flight, 1).await?;
            part.figures
                .extend(figures.into_iter().map(|figure| figure.bytes(bytes)));
        }
    }
    part.goals = goals(&part.figures);
    Ok(part)
}

fn unary(own: &Own, echo: &Own, bytes: usize) -> Vec<Contender> {
    let (value, key) = (calls::value(bytes), calls::key(bytes));
    let get = |name: &str, channel: &Channel| {
        let (channel, key, value) = (channel.clone(), key.clone(), value.clone());
        Contender::new(name, &[own.process.pid()], move |_| {
            let (channel, key, value) = (channel.clone(), key.clone(), value.clone());
            async move { calls::get_of(&channel, key, &value).await }
        })
    };
    let bare = |name: &str, channel: &Channel| {
        let (channel, key, value) = (channel.clone(), key.clone(), value.clone());
        Contender::new(name, &[echo.process.pid()], move |_| {
            let (channel, key, value) = (channel.clone(), key.clone(), value.clone());
            async move { calls::echo_of(&channel, key, &value).await }
        })
    };
    vec![
        get("unstale, TCP", &own.tcp),
        bare("bare tonic echo, TCP", &echo.tcp),
        get("unstale, Unix socket", &own.uds),
        bare("bare tonic echo, Unix socket", &echo.uds),
    ]
}

fn on_stream(own: &Own, stream: &Cache, bytes: usize) -> Contender {
    let (stream, key, value) = (stream.clone(), calls::key(bytes), calls::value(bytes));
    Contender::new("unstale, stream", &[own.process.pid()], move |_| {
        let (stream, key, value) = (stream.clone(), key.clone(), value.clone());
        async move { hit(&stream, key, &value).await }
    })
}

/// A hit in L1 with this value.
pub(crate) async fn hit(cache: &Cache, key: String, value: &Bytes) -> Result<()> {
    match cache.get(key).await?.result {
        Lookup::Hit(entry) if entry.tier == Tier::L1 && entry.value.as_bytes() == value => Ok(()),
        other => Err(format!("not a hit in L1: {other:?}").into()),
    }
}

fn of_store(store: &Store, bytes: usize) -> Contender {
    let (name, pid) = (store.name.clone(), store.pid);
    let (store, key, value) = (store.clone(), calls::key(bytes), calls::value(bytes));
    Contender::new(&name, &[pid], move |_| {
        let (store, key, value) = (store.clone(), key.clone(), value.clone());
        async move { store.get(&key, &value).await }
    })
}

fn goals(figures: &[Figure]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (transport, bytes) in pairs(["TCP", "Unix socket"]) {
        let own = of(figures, &format!("unstale, {transport}"), bytes, 1);
        let bare = of(figures, &format!("bare tonic echo, {transport}"), bytes, 1);
        let name = format!("Get, {} in L1, {transport}", size(bytes));
        rows.extend(within(&name, own, bare, 1.15));
    }
    for in_flight in [16, 64] {
        for (other, bytes) in pairs(["Redis, Unix socket", "Valkey, Unix socket"]) {
            let stream = of(figures, "unstale, stream", bytes, in_flight);
            let other = of(figures, other, bytes, in_flight);
            let name = format!(
                "Get, {} in L1, stream, {in_flight} in flight: operations a second",
                size(bytes)
            );
            let row = Row::rates(&name, stream, other);
            rows.push(match in_flight {
                16 => row.goal(Bound::AtLeast(1.0)),
                _ => row,
            });
        }
    }
    rows
}

/// Each of two with every size.
fn pairs<'a>(each: [&'a str; 2]) -> impl Iterator<Item = (&'a str, usize)> {
    let with_sizes = |one: &'a str| SIZES.into_iter().map(move |bytes| (one, bytes));
    each.into_iter().flat_map(with_sizes)
}
