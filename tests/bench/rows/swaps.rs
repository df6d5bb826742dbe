//! CompareAndSet without contention, beside what the stores have for it.

use super::own::{Backed, Own};
use super::reads::IN_FLIGHT;
use crate::contender::Contender;
use crate::goal::Row;
use crate::part::{Part, of};
use crate::rounds::compared;
use crate::stores::{Store, Stores, Swapped};
use crate::{Result, calls};
use std::sync::{Arc, Mutex};
use tonic::transport::Channel;

const ROW: &str = "CompareAndSet";
const WORDS: &str = "1 KiB. Each call that is under way has a key of its own and expects what its last call stored, so that \
none may lose. Redis and Valkey compare the value in a script, memcached the number that its last store answered.";

/// With every number in flight.
pub(super) async fn part(sidecar: &str, nats: &str) -> Result<Part> {
    let (own, servers) = (Own::alone(sidecar, &[]).await?, Stores::start()?);
    let backed = Backed::start(sidecar, nats).await?;
    let mut all = vec![
        of_sidecar("unstale, Unix socket", &[own.process.pid()], &own.uds),
        of_sidecar(
            "unstale in NATS and Redis, Unix socket",
            &backed.servers,
            &backed.own.uds,
        ),
    ];
    let stores = servers.clients_over_sockets().await?;
    all.extend(stores.into_iter().map(of_store));
    let mut part = Part::new("swaps", "Compare and set", WORDS);
    for in_flight in IN_FLIGHT {
        let figures = compared(ROW, &all, in_flight, 1).await?;
        part.figures.extend(
            figures
                .into_iter()
                .map(|figure| figure.bytes(calls::VALUE_BYTES)),
        );
    }
    let of = |what| of(&part.figures, what, calls::VALUE_BYTES, 16);
    let (own, redis) = (of("unstale, Unix socket"), of("Redis, Unix socket"));
    part.goals.push(Row::rates(
        "CompareAndSet, 1 KiB, Unix socket, local log, 16 in flight",
        own,
        redis,
    ));
    Ok(part)
}

/// Keys that no call holds, with what the last call left there.
struct Keys<T>(Mutex<(u64, Vec<(String, T)>)>);

impl<T: Default> Keys<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::default()))
    }

    fn take(&self) -> (String, T) {
        let mut keys = self.0.lock().expect("no panic");
        if let Some(free) = keys.1.pop() {
            return free;
        }
        keys.0 += 1;
        (format!("swapped/{}", keys.0), T::default())
    }

    fn give(&self, key: String, last: T) {
        self.0.lock().expect("no panic").1.push((key, last));
    }
}

fn of_sidecar(name: &str, servers: &[u32], channel: &Channel) -> Contender {
    let (channel, keys) = (channel.clone(), Keys::<Option<String>>::new());
    Contender::new(name, servers, move |number| {
        let (channel, keys) = (channel.clone(), keys.clone());
        async move {
            let (key, last) = keys.take();
            let value = calls::numbered(calls::VALUE_BYTES, number);
            let version = calls::swap(&channel, key.clone(), last, value).await?;
            keys.give(key, Some(version));
            Ok(())
        }
    })
}

fn of_store(store: Store) -> Contender {
    let (name, pid, keys) = (store.name.clone(), store.pid, Keys::<Swapped>::new());
    Contender::new(&name, &[pid], move |number| {
        let (store, keys) = (store.clone(), keys.clone());
        async move {
            let (key, last) = keys.take();
            let value = calls::numbered(calls::VALUE_BYTES, number);
            let last = store.swap(&key, last, value).await?;
            keys.give(key, last);
            Ok(())
        }
    })
}
