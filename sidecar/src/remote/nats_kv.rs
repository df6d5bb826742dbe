//! The remote tier on NATS: one subject per key, in a stream of its own.
//!
//! Guarantees: a put is conditional on exactly the state named, and stored with
//! its ttl in the same step; one that was sent and not answered is reported as
//! unknown. Reads are direct gets and may be old. Does not use the KV interface:
//! it discards new records when full and knows no ttl per put.

pub mod check;

use crate::nats::api::{self, Failure};
use crate::nats::link::{Link, State};
use crate::nats::{NatsConfig, hints, streams, version};
use async_nats::{Client, HeaderMap, StatusCode};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use unstale_engine::key::NameHash;
use unstale_engine::remote::{Expect, PutOutcome, Remote, RemoteError, Revision, Stored};

/// JetStream is not available to this account, or not at all.
const NO_JETSTREAM: [u64; 2] = [10039, 10076];
/// What a delete of a message that is not there is answered with.
const GONE: [u64; 3] = [api::NO_MESSAGE_FOUND, 10043, 10057];

/// The tier's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsKvConfig {
    /// The connection.
    pub connection: NatsConfig,
    /// The fleet's name: pods of one name share one tier.
    pub fleet: String,
    /// Replicas of a new stream.
    pub replicas: u8,
    /// Keeps a new stream in memory instead of files.
    pub memory: bool,
    /// The most bytes a new stream keeps; the oldest records go first.
    pub max_bytes: Option<u64>,
}

impl Default for NatsKvConfig {
    fn default() -> Self {
        Self {
            connection: NatsConfig::default(),
            fleet: "default".to_owned(),
            replicas: 1,
            memory: false,
            max_bytes: None,
        }
    }
}

/// The tier. [`NatsKv::run`] keeps its connection up.
pub struct NatsKv {
    config: NatsKvConfig,
    link: Link,
}

impl NatsKv {
    /// Connects nowhere yet, and never fails.
    pub fn new(config: NatsKvConfig) -> Arc<Self> {
        let link = Link::new(config.connection.clone(), "remote");
        Arc::new(Self { config, link })
    }

    /// Keeps the connection up until `cancel`.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        self.link.run(cancel).await;
    }

    fn stream(&self) -> String {
        streams::data_stream(&self.config.fleet)
    }

    fn subject(&self, key: NameHash) -> String {
        format!("unstale.{}.data.{:032x}", self.config.fleet, key.0)
    }

    fn client(&self) -> Result<Client, RemoteError> {
        match self.link.state() {
            State::Up(client) => {
                let version = client.server_info().version;
                version::check(&version).map_err(RemoteError::Misconfigured)?;
                Ok(client)
            }
            State::Down(why) => Err(RemoteError::Unavailable(why)),
            State::Refused(why) => Err(RemoteError::Misconfigured(why)),
        }
    }

    fn error(&self, failure: Failure) -> RemoteError {
        if let Some(denied) = self.link.denied() {
            return RemoteError::Misconfigured(denied);
        }
        match failure.code() {
            Some(code) if NO_JETSTREAM.contains(&code) => {
                RemoteError::Misconfigured(failure.text())
            }
            Some(_) => RemoteError::Refused(failure.text()),
            None => RemoteError::Unavailable(failure.text()),
        }
    }

    /// The error of a put or delete by `subject`. Without an answer it may have
    /// happened, unless the server denied that very subject; an error that the
    /// server answers with says that it did not.
    fn change_error(&self, failure: Failure, subject: &str) -> RemoteError {
        let denied = self.link.denied().filter(|text| text.contains(subject));
        match failure {
            Failure::NoAnswer(text) if denied.is_none() => RemoteError::Unknown(text),
            Failure::NoAnswer(_) => RemoteError::Misconfigured(denied.unwrap_or_default()),
            Failure::NotSent(_) | Failure::NobodyThere | Failure::Refused { .. } => {
                self.error(failure)
            }
        }
    }

    /// Makes the stream; one that is there is fine if it can be used.
    async fn ensure(&self, client: &Client) -> Result<(), RemoteError> {
        let config = json!({
            "name": self.stream(),
            "subjects": [streams::data_subjects(&self.config.fleet)],
            "retention": "limits",
            "storage": if self.config.memory { "memory" } else { "file" },
            "discard": "old",
            "max_msgs_per_subject": 1,
            "max_bytes": self.config.max_bytes.map_or(-1, |n| i64::try_from(n).unwrap_or(i64::MAX)),
            "num_replicas": self.config.replicas.max(1),
            "allow_direct": true,
            "allow_msg_ttl": true,
        });
        let what = format!("STREAM.CREATE.{}", self.stream());
        match api::call(client, &what, config).await {
            Ok(_) => Ok(()),
            Err(e) if e.code() == Some(api::STREAM_NAME_IN_USE) => self.judge(client).await,
            // No replicas, no space: the server's text says what is missing.
            Err(e) => Err(self.error(e)),
        }
    }

    /// Refuses a stream that somebody made otherwise.
    async fn judge(&self, client: &Client) -> Result<(), RemoteError> {
        let what = format!("STREAM.INFO.{}", self.stream());
        let info = api::call(client, &what, Value::Null).await;
        let info = info.map_err(|e| self.error(e))?;
        match streams::judge_data(&info["config"], &self.config.fleet).refusal() {
            Some(why) => {
                let text = format!("the remote tier's stream {}: {why}", self.stream());
                self.link.complain(&text);
                Err(RemoteError::Misconfigured(text))
            }
            None => Ok(()),
        }
    }

    async fn read(&self, client: &Client, key: NameHash) -> Result<Option<Stored>, Failure> {
        let subject = format!("$JS.API.DIRECT.GET.{}.{}", self.stream(), self.subject(key));
        let message = api::request(client, subject, HeaderMap::new(), Bytes::new()).await?;
        match message.status {
            None => {}
            Some(StatusCode::NOT_FOUND) => return Ok(None),
            Some(status) => return Err(Failure::NoAnswer(format!("status {status}"))),
        }
        let headers = message.headers.unwrap_or_default();
        let sequence = headers.get("Nats-Sequence");
        let sequence = sequence.and_then(|s| s.as_str().parse().ok());
        let odd = || Failure::NoAnswer("a record without sequence".to_owned());
        Ok(Some(Stored {
            revision: Revision(sequence.ok_or_else(odd)?),
            record: message.payload,
        }))
    }
}

#[async_trait::async_trait]
impl Remote for NatsKv {
    fn name(&self) -> &'static str {
        "nats"
    }

    async fn get(&self, key: NameHash) -> Result<Option<Stored>, RemoteError> {
        let client = self.client()?;
        match self.read(&client, key).await {
            Err(Failure::NobodyThere) => self.ensure(&client).await?,
            other => return other.map_err(|e| self.error(e)),
        }
        let again = self.read(&client, key).await;
        again.map_err(|e| self.error(e))
    }

    async fn put(
        &self,
        key: NameHash,
        expect: Expect,
        record: Bytes,
        ttl: Duration,
    ) -> Result<PutOutcome, RemoteError> {
        let client = self.client()?;
        let (subject, headers) = (self.subject(key), put_headers(expect, ttl));
        let first = api::publish(&client, subject.clone(), headers.clone(), record.clone()).await;
        let outcome = match first {
            // Nobody took it, so that repeating it is safe.
            Err(Failure::NobodyThere) => {
                self.ensure(&client).await?;
                api::publish(&client, subject.clone(), headers, record).await
            }
            other => other,
        };
        match outcome {
            Ok(sequence) => Ok(PutOutcome::Stored(Revision(sequence))),
            Err(e) if e.code().is_some_and(|c| api::CONFLICTS.contains(&c)) => {
                Ok(PutOutcome::Conflict)
            }
            Err(e) => Err(self.change_error(e, &subject)),
        }
    }

    async fn delete(&self, _key: NameHash, revision: Revision) -> Result<(), RemoteError> {
        let client = self.client()?;
        let what = format!("STREAM.MSG.DELETE.{}", self.stream());
        let body = json!({ "seq": revision.0, "no_erase": true });
        match api::call(&client, &what, body).await {
            Ok(_) => Ok(()),
            Err(e) if e.code().is_some_and(|c| GONE.contains(&c)) => Ok(()),
            Err(e) if e.code() == Some(api::STREAM_NOT_FOUND) => Ok(()),
            Err(e) => Err(self.change_error(e, &what)),
        }
    }

    async fn ping(&self) -> Result<(), RemoteError> {
        let client = self.client()?;
        let what = format!("STREAM.INFO.{}", self.stream());
        match api::call(&client, &what, Value::Null).await {
            Ok(_) => Ok(()),
            Err(e) if e.code() == Some(api::STREAM_NOT_FOUND) => self.ensure(&client).await,
            Err(e) => Err(self.error(e)),
        }
    }

    fn hint(&self, key: NameHash) {
        hints::hint(&self.link, &self.config.fleet, key);
    }

    async fn hinted(&self, key: NameHash) {
        hints::hinted(&self.link, &self.config.fleet, key).await;
    }
}

fn put_headers(expect: Expect, ttl: Duration) -> HeaderMap {
    let expected = match expect {
        Expect::Absent => 0,
        Expect::Revision(revision) => revision.0,
    };
    // The server counts whole seconds; a record must not go too early.
    let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
    let mut headers = HeaderMap::new();
    headers.insert("Nats-TTL", format!("{}s", seconds.max(1)));
    headers.insert("Nats-Expected-Last-Subject-Sequence", expected.to_string());
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_rounded_up_to_whole_seconds() {
        let ttl = |ms| {
            let headers = put_headers(Expect::Absent, Duration::from_millis(ms));
            headers.get("Nats-TTL").unwrap().as_str().to_owned()
        };
        assert_eq!([ttl(1), ttl(1000), ttl(1001)], ["1s", "1s", "2s"]);
    }
}
