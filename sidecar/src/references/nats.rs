//! The references of a fleet on NATS: one record per key and owner, on a subject
//! of its own, in a stream beside the log.
//!
//! Guarantees: a record ends with its term by the server's own clock, whatever
//! becomes of its owner and of the pods; every pod is told of all of them in the
//! stream's order. After any doubt everything is read anew and replaces what was
//! told before. Decides nothing: the engine does.

mod later;
mod record;
mod session;
mod time;

use crate::nats::api::{self, Failure};
use crate::nats::link::{Link, State};
use crate::nats::{NatsConfig, streams};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use record::Record;
use serde::Deserialize;
use session::Session;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use unstale_engine::references::{Event, Reference, ReferenceId, References, Sink};

/// How long it is remembered who released: longer than a pod takes to read anew,
/// shorter than the log recognises a repeated record.
const REMEMBERED: Duration = Duration::from_secs(60);
/// The header that makes a put conditional on its subject's last sequence.
const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";
/// A release that keeps meeting renewals gives up after this many tries.
const TRIES: usize = 8;

/// The references' configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsReferencesConfig {
    /// The connection.
    pub connection: NatsConfig,
    /// The fleet's name: pods of one name share the references.
    pub fleet: String,
    /// Replicas of a new stream.
    pub replicas: u8,
}

impl Default for NatsReferencesConfig {
    fn default() -> Self {
        Self {
            connection: NatsConfig::default(),
            fleet: "default".to_owned(),
            replicas: 1,
        }
    }
}

/// The driver. [`NatsReferences::run`] keeps it up.
pub struct NatsReferences {
    config: NatsReferencesConfig,
    link: Link,
    /// Why the records are not followed; none while they are.
    away: Mutex<Option<String>>,
    /// The highest sequence that a put or removal was acknowledged with.
    acked: AtomicU64,
}

impl NatsReferences {
    /// Connects nowhere yet, and never fails.
    pub fn new(config: NatsReferencesConfig) -> Arc<Self> {
        let link = Link::new(config.connection.clone(), "references");
        Arc::new(Self {
            config,
            link,
            away: Mutex::new(Some("they are not followed yet".to_owned())),
            acked: AtomicU64::new(0),
        })
    }

    /// Follows the records and feeds `sink` until `cancel`.
    pub async fn run(self: Arc<Self>, sink: Arc<dyn Sink>, cancel: CancellationToken) {
        tokio::select! {
            () = self.link.run(cancel) => {}
            () = self.follow(&sink) => {}
        }
    }

    /// One session per connection and doubt, for ever.
    async fn follow(&self, sink: &Arc<dyn Sink>) {
        let mut watch = self.link.watch();
        loop {
            let state = watch.borrow_and_update().clone();
            let why = match state {
                State::Up(client) => {
                    let session = Session {
                        driver: self,
                        client,
                        sink,
                    };
                    tokio::select! {
                        why = session.run() => why,
                        _ = watch.changed() => "the connection was lost".to_owned(),
                    }
                }
                State::Down(why) | State::Refused(why) => {
                    self.is_away(sink, why);
                    if watch.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            self.is_away(sink, self.link.denied().unwrap_or(why));
            tokio::time::sleep(crate::entropy::jitter(Duration::from_secs(1))).await;
        }
    }

    fn is_away(&self, sink: &Arc<dyn Sink>, why: String) {
        let before = self.set_away(Some(why.clone()));
        if before.as_ref() != Some(&why) {
            sink.told(Event::Away(why));
        }
    }

    fn set_away(&self, why: Option<String>) -> Option<String> {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *away, why)
    }

    /// The client, while the records are followed: what is put must come back.
    fn client(&self) -> Result<Client, String> {
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.link.state(), away.as_ref()) {
            (State::Up(client), None) => Ok(client),
            (State::Up(_), Some(why)) => Err(why.clone()),
            (State::Down(why) | State::Refused(why), _) => Err(why),
        }
    }

    fn subject(&self, id: ReferenceId) -> String {
        format!(
            "unstale.{}.refs.{:032x}.{:032x}",
            self.config.fleet, id.key.0, id.owner
        )
    }

    async fn publish(
        &self,
        client: &Client,
        id: ReferenceId,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<u64, Failure> {
        let subject = self.subject(id);
        let sequence = api::publish(client, subject, headers, payload).await?;
        self.acked.fetch_max(sequence, Ordering::AcqRel);
        Ok(sequence)
    }

    fn text(&self, failure: &Failure) -> String {
        self.link.denied().unwrap_or_else(|| failure.text())
    }
}

#[async_trait::async_trait]
impl References for NatsReferences {
    fn name(&self) -> &'static str {
        "nats"
    }

    async fn put(&self, reference: Reference, term: Duration) -> Result<u64, String> {
        let client = self.client()?;
        let record = Record::of(&reference, term).encode();
        let put = self.publish(&client, reference.id(), kept(term), record);
        put.await.map_err(|failure| self.text(&failure))
    }

    async fn remove(&self, reference: Reference) -> Result<Option<u64>, String> {
        let client = self.client()?;
        let id = reference.id();
        let (stream, subject) = (streams::refs_stream(&self.config.fleet), self.subject(id));
        for _ in 0..TRIES {
            let newest = api::newest(&client, &stream, &subject).await;
            let there = newest.map_err(|failure| self.text(&failure))?;
            let Some((sequence, payload)) = there else {
                return Ok(None);
            };
            // What the server says of a term that passed has nothing in it.
            let Some(record) = Record::decode(&payload).filter(|record| !record.released) else {
                return Ok(None);
            };
            let mut headers = kept(REMEMBERED);
            headers.insert(EXPECTED, sequence.to_string());
            let released = record.released().encode();
            match self.publish(&client, id, headers, released).await {
                Ok(sequence) => return Ok(Some(sequence)),
                // Renewed or released meanwhile.
                Err(e) if e.code().is_some_and(|code| api::CONFLICTS.contains(&code)) => {}
                Err(e) => return Err(self.text(&e)),
            }
        }
        Err("the reference is renewed faster than it can be released".to_owned())
    }
}

/// Whole seconds: the server counts no others.
fn kept(term: Duration) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-TTL", format!("{}s", term.as_secs().max(1)));
    headers
}
