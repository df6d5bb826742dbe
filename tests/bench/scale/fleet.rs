//! What pods cost: the log's records, their fan-out by NATS, and their
//! application by every pod.
//!
//! Real sidecars at one real NATS server, all on this machine, so that what
//! counts is processor time and bytes, and not how long it took.

use super::costs::{Figures, Record};
use super::cpu::{Used, float};
use super::load;
use crate::Result;
use crate::processes::{self, Running};
use async_nats::Client;
use std::time::{Duration, Instant};
use tonic::transport::Channel;
use unstale_proto::v1::admin_service_client::AdminServiceClient;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::{Ack, InvalidateRequest, PeersRequest};

/// Keys that one record names.
pub(crate) const KEYS: [usize; 3] = [1, 16, 256];
/// Bytes of each of them.
pub(crate) const KEY_BYTES: usize = load::KEY_BYTES;
/// Records of one figure, and keys of all of them at most.
const RECORDS: usize = 8_000;
const INVALIDATED: usize = 128_000;
/// How long a fleet is left alone: each pod beats four times in it.
const IDLE: Duration = Duration::from_secs(15);
/// How long a fleet may take to know itself.
const PATIENCE: Duration = Duration::from_secs(90);
const FLEET: &str = "scale";

/// One NATS server and the pods at it.
pub(crate) struct Fleet {
    nats: Running,
    client: Client,
    pods: Vec<Running>,
    publisher: Channel,
}

impl Fleet {
    /// Pods that know each other.
    pub(crate) async fn start(sidecar: &str, nats: &str, count: usize) -> Result<Self> {
        let nats = processes::nats(nats)?;
        let url = format!("nats://127.0.0.1:{}", nats.port);
        let client = async_nats::ConnectOptions::new()
            .retry_on_initial_connect()
            .connect(&url)
            .await?;
        let flags = ["--nats", &url, "--fleet", FLEET];
        let pods = (0..count).map(|_| processes::sidecar(sidecar, &flags));
        let pods = pods.collect::<Result<Vec<_>>>()?;
        let publisher = pods[0].connected().await?;
        let begin = Instant::now();
        for pod in &pods {
            let mut admin = AdminServiceClient::new(pod.connected().await?);
            while admin.peers(PeersRequest {}).await?.into_inner().peers.len() < count {
                if begin.elapsed() > PATIENCE {
                    return Err(format!("{count} pods do not find each other").into());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let fleet = Self {
            nats,
            client,
            pods,
            publisher,
        };
        fleet.processed().await?;
        Ok(fleet)
    }

    /// Everything that is measured of it.
    pub(crate) async fn figures(&self) -> Result<Figures> {
        let (log, used) = (self.log().await?, self.used()?);
        let begin = Instant::now();
        tokio::time::sleep(IDLE).await;
        let seconds = begin.elapsed().as_secs_f64();
        let idle = self.used()?;
        let pods = idle.iter().zip(&used).skip(1);
        let nanos: f64 = pods.map(|(now, then)| now.since(*then).nanos).sum();
        let mut records = Vec::new();
        let beats = (self.log().await?.0 - log.0) / seconds;
        for keys in KEYS {
            records.push(self.record(keys).await?);
        }
        Ok(Figures {
            pods: self.pods.len(),
            beats,
            idle: nanos / seconds / 1e9 / float(self.pods.len()),
            records,
        })
    }

    /// What a record with so many keys costs.
    async fn record(&self, keys: usize) -> Result<Record> {
        let count = RECORDS.min(INVALIDATED / keys);
        let records = float(count);
        let (log, before) = (self.log().await?, self.used()?);
        let requests = (0..count).map(|_| InvalidateRequest {
            keys: (0..keys).map(load::key).collect(),
            ..InvalidateRequest::default()
        });
        load::invalidate(&self.publisher, requests).await?;
        self.processed().await?;
        let after = self.used()?;
        let stored = (self.log().await?.1 - log.1) / records;
        let used = after.iter().zip(&before).map(|(a, b)| a.since(*b));
        let used: Vec<Used> = used.collect();
        let micros = |used: &Used| used.nanos / records / 1e3;
        let [nats, publisher, others @ ..] = &used[..] else {
            return Err("a fleet has pods".into());
        };
        Ok(Record {
            stored,
            written: nats.written / records,
            nats: micros(nats),
            publisher: micros(publisher),
            pod: others.iter().map(micros).sum::<f64>() / float(others.len()),
        })
    }

    /// Returns when every pod has processed all that was appended.
    async fn processed(&self) -> Result<()> {
        let request = InvalidateRequest {
            keys: vec!["last".into()],
            ack: Ack::Fleet.into(),
            ..InvalidateRequest::default()
        };
        let mut client = CacheServiceClient::new(self.publisher.clone());
        let answer = client.invalidate(request).await?.into_inner();
        match answer.acked.len() {
            all if all == self.pods.len() => Ok(()),
            some => Err(format!("{some} of {} pods processed it", self.pods.len()).into()),
        }
    }

    /// Of NATS first, then of each pod.
    fn used(&self) -> Result<Vec<Used>> {
        let all = std::iter::once(&self.nats).chain(&self.pods);
        all.map(|process| Used::of(process.pid())).collect()
    }

    /// Sequence of the log's last record, and bytes of all of them.
    async fn log(&self) -> Result<(f64, f64)> {
        let subject = format!("$JS.API.STREAM.INFO.UNSTALE_{FLEET}_LOG");
        let answer = self.client.request(subject, "".into()).await?;
        let info: serde_json::Value = serde_json::from_slice(&answer.payload)?;
        let number = |name: &str| info["state"][name].as_f64();
        let both = number("last_seq").zip(number("bytes"));
        both.ok_or_else(|| format!("no state in {info}").into())
    }
}
