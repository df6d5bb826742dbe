//! BatchGet of a hundred entries in L1, beside MGET.

use super::own::Own;
use super::reads::IN_FLIGHT;
use crate::contender::Contender;
use crate::goal::{Bound, Row};
use crate::part::{Part, of};
use crate::rounds::compared;
use crate::stores::{Store, Stores};
use crate::{Result, calls};
use std::sync::Arc;
use unstale::{Cache, Lookup, Tier};

const ROW: &str = "BatchGet of 100, L1 hits";
const WORDS: &str = "A hundred keys of 1 KiB a call, all of which must be answered with a value of that size. Operations \
and processor time are per key, latencies per call. memcached is sent a hundred `mg` in one write.";

/// With every number in flight.
pub(super) async fn part(sidecar: &str) -> Result<Part> {
    let (echo, own, servers) = (
        Own::echo().await?,
        Own::alone(sidecar, &[]).await?,
        Stores::start()?,
    );
    let stores = servers.clients_over_sockets().await?;
    let keys: Arc<[String]> = calls::keys("many", calls::BATCH).into();
    calls::fill(&own.uds, &keys).await?;
    for store in &stores {
        for key in keys.iter() {
            store.set(key, calls::value(calls::VALUE_BYTES)).await?;
        }
    }
    let mut all = vec![
        unary(&own, &keys),
        on_stream(&own, own.stream().await?, &keys),
        bare(&echo, &keys),
    ];
    all.extend(stores.iter().map(|store| of_store(store, &keys)));
    let mut part = Part::new("batches", "Batches", WORDS);
    for in_flight in IN_FLIGHT {
        let figures = compared(ROW, &all, in_flight, calls::BATCH).await?;
        part.figures.extend(
            figures
                .into_iter()
                .map(|figure| figure.bytes(calls::VALUE_BYTES)),
        );
    }
    for in_flight in IN_FLIGHT {
        for other in ["Redis, Unix socket", "Valkey, Unix socket"] {
            for own in ["unstale, Unix socket", "unstale, stream"] {
                let name =
                    format!("BatchGet of 100 x 1 KiB, {own}, {in_flight} in flight: keys a second");
                let of = |what| of(&part.figures, what, calls::VALUE_BYTES, in_flight);
                part.goals
                    .push(Row::rates(&name, of(own), of(other)).goal(Bound::AtLeast(1.0)));
            }
        }
    }
    Ok(part)
}

fn unary(own: &Own, keys: &Arc<[String]>) -> Contender {
    let (channel, keys) = (own.uds.clone(), keys.clone());
    Contender::new("unstale, Unix socket", &[own.process.pid()], move |_| {
        let (channel, keys) = (channel.clone(), keys.clone());
        async move { calls::batch_get_l1(&channel, &keys).await }
    })
}

fn on_stream(own: &Own, stream: Cache, keys: &Arc<[String]>) -> Contender {
    let keys = keys.clone();
    Contender::new("unstale, stream", &[own.process.pid()], move |_| {
        let (stream, keys) = (stream.clone(), keys.clone());
        async move {
            let answer = stream.get_many(keys.iter().cloned()).await?;
            let is_hit = |result: &&Lookup| {
                matches!(result, Lookup::Hit(entry)
                    if entry.tier == Tier::L1 && entry.value.as_bytes().len() == calls::VALUE_BYTES)
            };
            match answer.result.iter().filter(is_hit).count() {
                hits if hits == keys.len() => Ok(()),
                hits => Err(format!("{hits} hits of {}", keys.len()).into()),
            }
        }
    })
}

fn bare(echo: &Own, keys: &Arc<[String]>) -> Contender {
    let (channel, keys) = (echo.uds.clone(), keys.clone());
    Contender::new(
        "bare tonic echo of as much, Unix socket",
        &[echo.process.pid()],
        move |_| {
            let (channel, keys) = (channel.clone(), keys.clone());
            async move { calls::echo_many(&channel, &keys).await }
        },
    )
}

fn of_store(store: &Store, keys: &Arc<[String]>) -> Contender {
    let (name, pid, store, keys) = (store.name.clone(), store.pid, store.clone(), keys.clone());
    Contender::new(&name, &[pid], move |_| {
        let (store, keys) = (store.clone(), keys.clone());
        async move { store.many(&keys, calls::VALUE_BYTES).await }
    })
}
