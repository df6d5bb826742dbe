//! What a miss costs beside the origin's own time: Lease and Fill, beside a lock
//! in a store.

use super::own::{Backed, Own};
use super::reads::IN_FLIGHT;
use crate::contender::Contender;
use crate::goal::Row;
use crate::part::{Part, of};
use crate::rounds::compared;
use crate::stores::{Store, Stores};
use crate::{Result, calls};
use tonic::transport::Channel;

const ROW: &str = "Miss, lease and fill";
const WORDS: &str = "A new key each time, filled with 1 KiB; the origin takes no time. unstale: Lease, Fill. Redis and \
Valkey: `GET`, `SET NX PX`, then `SET` and `DEL` of the lock in one pipeline; memcached: `mg`, `ms` with mode add, `ms`, \
`md`. That lock is not given up when the key is invalidated meanwhile, as a lease is. The echo is called twice.";

/// With every number in flight.
pub(super) async fn part(sidecar: &str, nats: &str) -> Result<Part> {
    let (echo, servers) = (Own::echo().await?, Stores::start()?);
    let (own, backed) = (
        Own::alone(sidecar, &[]).await?,
        Backed::start(sidecar, nats).await?,
    );
    let mut all = vec![
        of_sidecar("unstale, Unix socket", &[own.process.pid()], &own.uds),
        of_sidecar(
            "unstale in NATS and Redis, Unix socket",
            &backed.servers,
            &backed.own.uds,
        ),
        of_echo(&echo),
    ];
    let stores = servers.clients_over_sockets().await?;
    all.extend(stores.into_iter().map(of_store));
    let mut part = Part::new("loads", "Loading", WORDS);
    for in_flight in IN_FLIGHT {
        let figures = compared(ROW, &all, in_flight, 1).await?;
        part.figures.extend(
            figures
                .into_iter()
                .map(|figure| figure.bytes(calls::VALUE_BYTES)),
        );
    }
    let of = |what| of(&part.figures, what, calls::VALUE_BYTES, 1);
    let backed = of("unstale in NATS and Redis, Unix socket");
    for other in ["two bare tonic echoes, Unix socket", "Redis, Unix socket"] {
        let row = Row::times(
            "Miss, lease and fill, in NATS and Redis: p50",
            backed.p50_us,
            (other, of(other).p50_us),
        );
        part.goals.push(row);
    }
    Ok(part)
}

fn key(number: u64) -> String {
    format!("loaded/{number}")
}

fn of_sidecar(name: &str, servers: &[u32], channel: &Channel) -> Contender {
    let channel = channel.clone();
    Contender::new(name, servers, move |number| {
        let channel = channel.clone();
        async move { calls::loaded(&channel, key(number), calls::value(calls::VALUE_BYTES)).await }
    })
}

fn of_echo(echo: &Own) -> Contender {
    let channel = echo.uds.clone();
    Contender::new(
        "two bare tonic echoes, Unix socket",
        &[echo.process.pid()],
        move |number| {
            let channel = channel.clone();
            async move {
                calls::echo_of(&channel, calls::key(0), &calls::value(0)).await?;
                calls::echo_set(&channel, key(number), calls::value(calls::VALUE_BYTES)).await
            }
        },
    )
}

fn of_store(store: Store) -> Contender {
    let (name, pid) = (store.name.clone(), store.pid);
    Contender::new(&name, &[pid], move |number| {
        let store = store.clone();
        async move {
            store
                .load(&key(number), calls::value(calls::VALUE_BYTES))
                .await
        }
    })
}
