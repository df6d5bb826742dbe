//! A cold key that everybody wants at once: how often the origin is read, and when
//! the last caller has its value.

use crate::calls;
use crate::goal::{Bound, Row};
use crate::part::Part;
use crate::processes::{self, Running};
use crate::rounds::{self, Measured};
use crate::stores::{Store, Stores};
use crate::{Error, Result};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::transport::Channel;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::{
    self, FillRequest, LeaseRequest, entry, fill_request, fill_response, lease_response,
};

const ROW: &str = "Stampede, cold key";
const PODS: usize = 8;
/// Callers of each pod.
const CALLERS: usize = 64;
/// What the origin takes.
const ORIGIN: Duration = Duration::from_millis(50);
/// Rounds, so many that there are ten callers above a p99.9.
const STAMPEDES: usize = 20;
/// How often a caller looks whether another has loaded, as most lock recipes do.
const POLL: Duration = Duration::from_millis(10);
const WORDS: &str = "64 callers at each of 8 pods want the same key at the same moment; the origin takes 50 ms. The times \
are those of the callers; every one's value is compared. unstale: Lease that waits, Fill by whom it was granted to, each \
caller a call of its own (the SDKs would share them). Beside it Redis with `SET NX PX` and a look every 10 ms, and Redis \
without a lock. Processor time and memory are those of all pods, the NATS server and the Redis behind them, or of the Redis \
alone.";

/// The origin: how often it was read.
#[derive(Clone, Default)]
struct Origin(Arc<AtomicUsize>);

impl Origin {
    async fn read(&self) -> Bytes {
        self.0.fetch_add(1, Relaxed);
        tokio::time::sleep(ORIGIN).await;
        calls::value(calls::VALUE_BYTES)
    }
}

type Caller = Arc<dyn Fn(usize, String, Origin) -> BoxFuture<'static, Result<Bytes>> + Send + Sync>;

/// A key for each round and way, cold for all.
pub(super) async fn part(sidecar: &str, nats: &str) -> Result<Part> {
    let (nats, servers) = (processes::nats(nats)?, Stores::start()?);
    let redis = unstale_tests::Redis::start();
    let (log, remote) = (format!("nats://127.0.0.1:{}", nats.port), redis.url());
    let flags = ["--nats", &log, "--fleet", "bench", "--remote", &remote];
    let pods: Result<Vec<_>> = (0..PODS)
        .map(|_| processes::sidecar(sidecar, &flags))
        .collect();
    let pods = pods?;
    let channels = super::log::fleet(&pods).await?;
    let store = servers.clients_over_sockets().await?.remove(0);
    let mut own: Vec<u32> = pods.iter().map(Running::pid).collect();
    own.extend([nats.pid(), redis.pid()]);
    let servers = [own, vec![store.pid], vec![store.pid]];
    let ways = ways(channels, store);
    let new = |servers: &Vec<u32>| (Measured::of(servers), Vec::new());
    let mut all: Vec<(Measured, Vec<usize>)> = servers.iter().map(new).collect();
    for round in 0..=if rounds::is_quick() { 1 } else { STAMPEDES } {
        for (number, ((_, caller), (measured, loads))) in ways.iter().zip(&mut all).enumerate() {
            if round == 1 {
                *measured = Measured::of(&servers[number]);
                loads.clear();
            }
            let began = measured.begin()?;
            let (times, loaded) = stampede(caller, format!("cold/{round}/{number}")).await?;
            measured.end(began, times)?;
            loads.push(loaded);
        }
    }
    let mut part = Part::new("stampede", "Stampede", WORDS);
    for ((name, _), (measured, loads)) in ways.iter().zip(&all) {
        let most = loads.iter().max().copied().unwrap_or_default();
        let note = format!("origin loads: {most} at most, in {} rounds", loads.len());
        let figure = measured.figure(ROW, name, PODS * CALLERS, 1);
        part.figures.push(figure.pods(PODS).note(note));
    }
    let most = all[0].1.iter().max().copied().unwrap_or_default();
    let row = Row::alone(
        "Stampede, 8 pods x 64 callers: origin loads",
        most.to_string(),
        most as f64,
        "loads",
    );
    part.goals.push(row.goal(Bound::AtMost(1.0)));
    Ok(part)
}

fn ways(pods: Vec<Channel>, store: Store) -> [(&'static str, Caller); 3] {
    let without = store.clone();
    [
        (
            "unstale",
            Arc::new(move |pod, key, origin| Box::pin(leased(pods[pod].clone(), key, origin))),
        ),
        (
            "Redis with a lock",
            Arc::new(move |_, key, origin| Box::pin(locked(store.clone(), key, origin))),
        ),
        (
            "Redis without",
            Arc::new(move |_, key, origin| Box::pin(unlocked(without.clone(), key, origin))),
        ),
    ]
}

/// The callers' times, and how often the origin was read.
async fn stampede(caller: &Caller, key: String) -> Result<(Vec<Duration>, usize)> {
    let (origin, mut callers) = (Origin::default(), JoinSet::new());
    for number in 0..PODS * CALLERS {
        let call = caller(number % PODS, key.clone(), origin.clone());
        callers.spawn(async move {
            let begin = Instant::now();
            match call.await? {
                value if value == calls::value(calls::VALUE_BYTES) => Ok(begin.elapsed()),
                other => Err(Error::from(format!(
                    "{} bytes of another value",
                    other.len()
                ))),
            }
        });
    }
    let mut times = Vec::new();
    while let Some(ended) = callers.join_next().await {
        times.push(ended??);
    }
    Ok((times, origin.0.load(Relaxed)))
}

async fn leased(pod: Channel, key: String, origin: Origin) -> Result<Bytes> {
    let mut client = CacheServiceClient::new(pod);
    loop {
        let wait = Duration::from_secs(5).try_into()?;
        let request = LeaseRequest {
            key: key.clone(),
            wait: Some(wait),
            ..LeaseRequest::default()
        };
        let mut request = tonic::Request::new(request);
        request.set_timeout(Duration::from_secs(10));
        match client.lease(request).await?.into_inner().result {
            Some(lease_response::Result::Hit(entry)) => return data(entry),
            Some(lease_response::Result::Granted(granted)) => {
                let value = origin.read().await;
                return filled(&mut client, granted.lease_token, value).await;
            }
            Some(lease_response::Result::Busy(_)) => {}
            other => return Err(format!("no lease: {other:?}").into()),
        }
    }
}

fn data(entry: v1::Entry) -> Result<Bytes> {
    match entry.value {
        Some(entry::Value::Data(data)) => Ok(data),
        other => Err(format!("no bytes: {other:?}").into()),
    }
}

async fn filled(
    client: &mut CacheServiceClient<Channel>,
    lease_token: String,
    value: Bytes,
) -> Result<Bytes> {
    let request = FillRequest {
        lease_token,
        value: Some(fill_request::Value::Data(value.clone())),
        ..FillRequest::default()
    };
    match client.fill(request).await?.into_inner().result {
        Some(fill_response::Result::Stored(_)) => Ok(value),
        other => Err(format!("not filled: {other:?}").into()),
    }
}

async fn locked(store: Store, key: String, origin: Origin) -> Result<Bytes> {
    loop {
        if let Some(value) = store.read(&key).await? {
            return Ok(value.into());
        }
        if store.lock(&key).await? {
            let value = origin.read().await;
            store.set(&key, value.clone()).await?;
            return Ok(value);
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn unlocked(store: Store, key: String, origin: Origin) -> Result<Bytes> {
    if let Some(value) = store.read(&key).await? {
        return Ok(value.into());
    }
    let value = origin.read().await;
    store.set(&key, value.clone()).await?;
    Ok(value)
}
