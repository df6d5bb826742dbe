//! Opening the log: the server's version, the stream, what it says.
//!
//! Whoever comes first makes the stream; everybody else adopts what its
//! metadata says. A stream that could lose records in the middle is refused.

use super::NatsLogConfig;
use super::names::Names;
use crate::nats::api::{self, Failure};
use async_nats::Client;
use serde_json::{Value, json};
use std::time::Duration;
use unstale_engine::coherence::record::{Body, Record};
use unstale_engine::log::{Opened, Subject};
use unstale_engine::position::Epoch;

const SESSION_TTL: &str = "unstale-session-ttl-ms";
const RETENTION: &str = "unstale-retention-ms";

/// Why the log cannot be opened.
pub(super) enum Why {
    /// It may work later.
    Away(String),
    /// Somebody has to change something.
    Wrong(String),
}

/// Opens the log, making it if there is none.
pub(super) async fn open(
    client: &Client,
    names: &Names,
    config: &NatsLogConfig,
) -> Result<Opened, Why> {
    let info = match info(client, names).await {
        Err(e) if e.code() == Some(api::STREAM_NOT_FOUND) => create(client, names, config).await?,
        other => other.map_err(|e| Why::Away(e.text()))?,
    };
    check(&info["config"]).map_err(Why::Wrong)?;
    let metadata = &info["config"]["metadata"];
    let (first, last) = range(&info);
    let epoch = api::newest(client, &names.stream(), &names.subject(Subject::Epochs)).await;
    Ok(Opened {
        epoch: epoch
            .map_err(|e| Why::Away(e.text()))?
            .and_then(|(_, payload)| epoch_of(&payload)),
        first,
        last,
        session_ttl: millis(&metadata[SESSION_TTL]).unwrap_or(config.session_ttl),
        retention: millis(&metadata[RETENTION]).unwrap_or(config.retention),
    })
}

/// The first retained sequence, by the stream's leader.
pub(super) async fn first(client: &Client, names: &Names) -> Result<u64, Failure> {
    Ok(range(&info(client, names).await?).0)
}

async fn info(client: &Client, names: &Names) -> Result<Value, Failure> {
    let what = format!("STREAM.INFO.{}", names.stream());
    api::call(client, &what, Value::Null).await
}

async fn create(client: &Client, names: &Names, config: &NatsLogConfig) -> Result<Value, Why> {
    let what = format!("STREAM.CREATE.{}", names.stream());
    match api::call(client, &what, wanted(names, config)).await {
        // Another pod, configured differently, was faster: its word counts.
        Err(e) if e.code() == Some(api::STREAM_NAME_IN_USE) => {
            info(client, names).await.map_err(|e| Why::Away(e.text()))
        }
        Err(e @ Failure::Refused { .. }) => Err(Why::Wrong(format!(
            "the log's stream cannot be made: {}",
            e.text()
        ))),
        other => other.map_err(|e| Why::Away(e.text())),
    }
}

fn wanted(names: &Names, config: &NatsLogConfig) -> Value {
    let ms = |d: Duration| d.as_millis().to_string();
    json!({
        "name": names.stream(),
        "subjects": [names.all()],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_age": u64::try_from(config.retention.as_nanos()).unwrap_or(u64::MAX),
        "num_replicas": config.replicas.max(1),
        "duplicate_window": 120_000_000_000_u64,
        "deny_delete": true,
        "deny_purge": true,
        "allow_msg_ttl": true,
        "metadata": { SESSION_TTL: ms(config.session_ttl), RETENTION: ms(config.retention) },
    })
}

/// Refuses a stream from which records can vanish unnoticed.
fn check(config: &Value) -> Result<(), String> {
    for field in ["deny_delete", "deny_purge", "allow_msg_ttl"] {
        if config[field] != true {
            return Err(format!(
                "the log's stream must have {field}; delete it or set it"
            ));
        }
    }
    match config["max_msgs_per_subject"].as_i64() {
        Some(n) if n > 0 => Err("the log's stream must not have max_msgs_per_subject".to_owned()),
        _ => Ok(()),
    }
}

fn range(info: &Value) -> (u64, u64) {
    let number = |field: &str| info["state"][field].as_u64().unwrap_or(0);
    (number("first_seq").max(1), number("last_seq"))
}

fn millis(value: &Value) -> Option<Duration> {
    value.as_str()?.parse().ok().map(Duration::from_millis)
}

fn epoch_of(payload: &[u8]) -> Option<Epoch> {
    match Record::decode(payload).ok()?.body {
        Body::NewEpoch(epoch) => Some(epoch),
        _ => None,
    }
}
