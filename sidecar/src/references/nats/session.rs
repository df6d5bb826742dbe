//! One reading of the records, from all that is there on: a plain push consumer
//! ([`crate::nats::consumer`]).
//!
//! Guarantees: what is told is complete and in the stream's order; a gap, a record
//! of this pod that was acknowledged and does not come, and whatever the consumer
//! does not understand, ends the reading, and the next one begins anew.

use super::later::Later;
use super::record::Record;
use super::{NatsReferences, time};
use crate::nats::api::{self, Failure};
use crate::nats::consumer::{Arrived, Consumer, Heard};
use crate::nats::{streams, version};
use async_nats::Client;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;
use unstale_engine::key::NameHash;
use unstale_engine::references::{Event, Gone, Present, ReferenceId, Sink};

/// How long the end of a term is remembered.
const MARKER_NANOS: u64 = super::REMEMBERED.as_secs() * 1_000_000_000;

/// A reading over one connection.
pub(super) struct Session<'a> {
    pub(super) driver: &'a NatsReferences,
    pub(super) client: Client,
    pub(super) sink: &'a Arc<dyn Sink>,
}

/// How far it has got.
struct Reading {
    consumer: Consumer,
    /// Records that were delivered.
    count: u64,
    /// Whether there was nothing when it began.
    is_empty: bool,
    /// The highest sequence that is reflected.
    sequence: u64,
    /// The server's time when it began, in nanoseconds.
    began: u64,
    /// And when that was.
    since: Instant,
    /// Records of before the server's clock was set back.
    later: Later,
}

/// What a record says.
enum Said {
    Present(Present),
    Gone(Gone),
    /// It is not of a sidecar.
    Nothing,
}

impl Session<'_> {
    /// Reads until it cannot go on; why.
    pub(super) async fn run(&self) -> String {
        match self.read().await {
            Ok(never) => match never {},
            Err(why) => why,
        }
    }

    async fn read(&self) -> Result<std::convert::Infallible, String> {
        let found = self.client.server_info().version;
        version::check(&found)?;
        // Of an earlier stream, perhaps.
        self.driver.acked.store(0, Ordering::Release);
        let info = self.stream().await?;
        let mut reading = self.begin(&info).await?;
        let state = self.all(&mut reading).await?;
        // Before it is told: who hears of it may put at once.
        self.driver.set_away(None);
        self.sink.told(state);
        let later = std::mem::take(&mut reading.later);
        let put_again = async {
            later.put_again(self.driver, &self.client).await;
            std::future::pending().await
        };
        tokio::select! {
            end = self.rest(&mut reading) => end,
            never = put_again => never,
        }
    }

    /// What the stream is; it is made if there is none.
    async fn stream(&self) -> Result<Value, String> {
        let stream = streams::refs_stream(&self.driver.config.fleet);
        let what = format!("STREAM.INFO.{stream}");
        let info = match api::call(&self.client, &what, Value::Null).await {
            Err(e) if e.code() == Some(api::STREAM_NOT_FOUND) => self.make(&stream).await,
            other => other,
        };
        let info = info.map_err(|failure| failure.text())?;
        let verdict = streams::judge_refs(&info["config"], &self.driver.config.fleet);
        match verdict.refusal() {
            Some(why) => {
                let text = format!("the references' stream {stream}: {why}");
                self.driver.link.complain(&text);
                Err(text)
            }
            None => Ok(info),
        }
    }

    async fn make(&self, stream: &str) -> Result<Value, Failure> {
        let config = json!({
            "name": stream,
            "subjects": [streams::refs_subjects(&self.driver.config.fleet)],
            "retention": "limits",
            "storage": "file",
            "discard": "old",
            "max_msgs_per_subject": 1,
            "num_replicas": self.driver.config.replicas.max(1),
            "allow_msg_ttl": true,
            "subject_delete_marker_ttl": MARKER_NANOS,
            "allow_rollup_hdrs": true,
        });
        let what = format!("STREAM.CREATE.{stream}");
        match api::call(&self.client, &what, config).await {
            // Another pod was faster.
            Err(e) if e.code() == Some(api::STREAM_NAME_IN_USE) => {
                api::call(&self.client, &format!("STREAM.INFO.{stream}"), Value::Null).await
            }
            other => other,
        }
    }

    async fn begin(&self, info: &Value) -> Result<Reading, String> {
        let random = crate::entropy::jitter(Duration::from_secs(1 << 30)).as_nanos();
        let which = json!({ "deliver_policy": "last_per_subject", "filter_subjects": [
            streams::refs_subjects(&self.driver.config.fleet)
        ] });
        let stream = streams::refs_stream(&self.driver.config.fleet);
        let name = format!("refs-{random:x}");
        let (consumer, made) = Consumer::create(&self.client, stream, name, which).await?;
        let began = made["ts"].as_str().or(info["ts"].as_str());
        Ok(Reading {
            consumer,
            count: 0,
            is_empty: made["num_pending"] == 0,
            // Not the stream's last one: a consumer's server may be behind it.
            sequence: 0,
            began: began.and_then(time::nanos).unwrap_or(0),
            since: Instant::now(),
            later: Later::default(),
        })
    }

    /// Everything that is there.
    async fn all(&self, reading: &mut Reading) -> Result<Event, String> {
        let (mut present, mut gone) = (Vec::new(), Vec::new());
        // What ended meanwhile is not delivered: a heartbeat tells that nothing more
        // comes.
        while !reading.is_empty
            && let Some(arrived) = reading.next().await?
        {
            let is_last = arrived.pending == 0;
            let age = Duration::from_nanos(reading.began.saturating_sub(arrived.nanos));
            match self.said(&arrived, age) {
                Said::Present(said) => {
                    let now = reading.now();
                    reading.later.note(now, &arrived);
                    present.push(said);
                }
                Said::Gone(said) => gone.push(said),
                Said::Nothing => {}
            }
            if is_last {
                break;
            }
        }
        Ok(Event::State {
            present,
            gone,
            sequence: reading.sequence,
        })
    }

    /// Everything that comes then.
    async fn rest(&self, reading: &mut Reading) -> Result<std::convert::Infallible, String> {
        let mut expected = 0;
        loop {
            if let Some(arrived) = reading.next().await? {
                match self.said(&arrived, Duration::ZERO) {
                    Said::Present(said) => self.sink.told(Event::Present(said)),
                    Said::Gone(said) => self.sink.told(Event::Gone(said)),
                    Said::Nothing => {}
                }
                continue;
            }
            // A whole heartbeat ago it had been acknowledged.
            if expected > reading.sequence {
                return Err("an own record did not come back".to_owned());
            }
            expected = self.driver.acked.load(Ordering::Acquire);
        }
    }

    fn said(&self, arrived: &Arrived, age: Duration) -> Said {
        let Some(id) = self.id(&arrived.message.subject) else {
            return Said::Nothing;
        };
        let sequence = arrived.sequence;
        let record = Record::decode(&arrived.message.payload);
        let of = record.and_then(|record| Some((record.reference()?, record)));
        match of.filter(|(reference, _)| reference.id() == id) {
            Some((reference, record)) if !record.released => Said::Present(Present {
                sequence,
                reference,
                left: record.term().saturating_sub(age),
            }),
            of => Said::Gone(Gone {
                sequence,
                id,
                reference: of.map(|(reference, _)| reference),
            }),
        }
    }

    fn id(&self, subject: &str) -> Option<ReferenceId> {
        let mut parts = subject.rsplit('.');
        let mut hash = || u128::from_str_radix(parts.next()?, 16).ok();
        let (owner, key) = (hash()?, hash()?);
        let key = NameHash(key);
        let id = ReferenceId { key, owner };
        (self.driver.subject(id) == subject).then_some(id)
    }
}

impl Reading {
    /// The server's time, in nanoseconds; zero: it is not known.
    fn now(&self) -> u64 {
        let since = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        match self.began {
            0 => 0,
            began => began.saturating_add(since),
        }
    }

    /// The next record; none: all there is was delivered.
    async fn next(&mut self) -> Result<Option<Arrived>, String> {
        match self.consumer.next().await? {
            Heard::Record(arrived) if arrived.consumer_sequence == self.count + 1 => {
                self.count += 1;
                self.sequence = self.sequence.max(arrived.sequence);
                Ok(Some(arrived))
            }
            Heard::Heartbeat(last) if last == self.count => Ok(None),
            Heard::Record(_) | Heard::Heartbeat(_) => Err("a gap".to_owned()),
        }
    }
}
