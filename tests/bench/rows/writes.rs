//! Set of a value that no one has seen, beside the bare echo and the stores.

use super::own::{Backed, Own};
use super::reads::{IN_FLIGHT, SIZES};
use crate::contender::Contender;
use crate::goal::{Row, within};
use crate::part::{Part, of};
use crate::rounds::compared;
use crate::stores::{Store, Stores};
use crate::{Result, calls};
use tonic::transport::Channel;
use unstale::Cache;

const ROW: &str = "Set";
/// Keys that are written again and again.
const KEYS: u64 = 1000;
const WORDS: &str = "A thousand keys; every value differs from the one before, so that none is a mere refresh. \"in NATS and \
Redis\" is a sidecar whose log and remote tier are real servers: their processor time and memory are added to its own. The \
others keep both in their own process. The stores' `SET` has a ttl, too, and no log.";

/// Every size 16 in flight, 1 KiB with every number.
pub(super) async fn part(sidecar: &str, nats: &str) -> Result<Part> {
    let (echo, own, servers) = (
        Own::echo().await?,
        Own::alone(sidecar, &[]).await?,
        Stores::start()?,
    );
    let (backed, stores) = (
        Backed::start(sidecar, nats).await?,
        servers.clients_over_sockets().await?,
    );
    let (stream, backed_stream) = (own.stream().await?, backed.own.stream().await?);
    let mut part = Part::new("writes", "Writes", WORDS);
    for (bytes, in_flight) in cells() {
        let mut all = vec![
            unary(
                "unstale, Unix socket",
                &[own.process.pid()],
                &own.uds,
                bytes,
            ),
            on_stream("unstale, stream", &[own.process.pid()], &stream, bytes),
            on_stream(
                "unstale in NATS and Redis, stream",
                &backed.servers,
                &backed_stream,
                bytes,
            ),
            bare(&echo, bytes),
        ];
        all.extend(stores.iter().map(|store| of_store(store, bytes)));
        let figures = compared(ROW, &all, in_flight, 1).await?;
        part.figures
            .extend(figures.into_iter().map(|figure| figure.bytes(bytes)));
    }
    let of = |what, in_flight| of(&part.figures, what, 1024, in_flight);
    let (set, echo) = (
        of("unstale, Unix socket", 1),
        of("bare tonic echo, Unix socket", 1),
    );
    let ratios = within(
        "Set, 1 KiB, Unix socket, local log",
        set,
        echo,
        f64::INFINITY,
    );
    part.goals = ratios.into_iter().map(Row::without_goal).collect();
    let rates = Row::rates(
        "Set, 1 KiB, stream, local log, 16 in flight",
        of("unstale, stream", 16),
        of("Redis, Unix socket", 16),
    );
    part.goals.push(rates);
    Ok(part)
}

fn cells() -> Vec<(usize, usize)> {
    let sizes = SIZES.iter().filter(|bytes| **bytes != 1024);
    let mut cells: Vec<_> = sizes.map(|bytes| (*bytes, 16)).collect();
    cells.extend(IN_FLIGHT.map(|in_flight| (1024, in_flight)));
    cells
}

fn key(number: u64) -> String {
    format!("written/{}", number % KEYS)
}

fn unary(name: &str, servers: &[u32], channel: &Channel, bytes: usize) -> Contender {
    let channel = channel.clone();
    Contender::new(name, servers, move |number| {
        let channel = channel.clone();
        async move { calls::set_of(&channel, key(number), calls::numbered(bytes, number)).await }
    })
}

fn on_stream(name: &str, servers: &[u32], stream: &Cache, bytes: usize) -> Contender {
    let stream = stream.clone();
    Contender::new(name, servers, move |number| {
        let stream = stream.clone();
        async move {
            let answer = stream
                .set(key(number), calls::numbered(bytes, number))
                .await?;
            match answer.result {
                unstale::SetOutcome::Stored { .. } => Ok(()),
                other => Err(format!("not stored: {other:?}").into()),
            }
        }
    })
}

fn bare(echo: &Own, bytes: usize) -> Contender {
    let channel = echo.uds.clone();
    Contender::new(
        "bare tonic echo, Unix socket",
        &[echo.process.pid()],
        move |number| {
            let channel = channel.clone();
            async move { calls::echo_set(&channel, key(number), calls::numbered(bytes, number)).await }
        },
    )
}

fn of_store(store: &Store, bytes: usize) -> Contender {
    let (name, pid, store) = (store.name.clone(), store.pid, store.clone());
    Contender::new(&name, &[pid], move |number| {
        let store = store.clone();
        async move {
            store
                .set(&key(number), calls::numbered(bytes, number))
                .await
        }
    })
}
