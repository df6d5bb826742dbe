//! Opening the log: the server's version, the stream, what it says.
//!
//! Whoever comes first makes the stream; everybody else adopts what its
//! metadata says. A stream that could lose records in the middle, or that says
//! no terms, is refused: [`streams`] judges.

use super::NatsLogConfig;
use super::names::Names;
use crate::nats::api::{self, Failure};
use crate::nats::streams::{self, RETENTION, SESSION_TTL, Terms};
use async_nats::Client;
use serde_json::{Value, json};
use std::time::Duration;
use unstale_engine::coherence::record::Record;
use unstale_engine::log::{Opened, Subject};
use unstale_engine::position::Epoch;

/// Why the log cannot be opened.
pub(super) enum Why {
    /// It may work later.
    Away(String),
    /// Somebody has to change something.
    Wrong(String),
}

/// Opens the log, making it if there is none; also what is unwise about it.
pub(super) async fn open(
    client: &Client,
    names: &Names,
    config: &NatsLogConfig,
) -> Result<(Opened, Vec<String>), Why> {
    let info = match info(client, names).await {
        Err(e) if e.code() == Some(api::STREAM_NOT_FOUND) => create(client, names, config).await?,
        other => other.map_err(|e| Why::Away(e.text()))?,
    };
    let (terms, unwise) = check(&info["config"], names).map_err(Why::Wrong)?;
    let (first, last) = range(&info);
    let told = epoch(client, names, first).await;
    let (epoch, epoch_told) = told.map_err(|e| Why::Away(e.text()))?;
    let opened = Opened {
        epoch,
        epoch_told,
        first,
        last,
        session_ttl: terms.session_ttl,
        retention: terms.retention,
        alone: false,
    };
    Ok((opened, unwise))
}

/// The first retained sequence, by the stream's leader.
pub(super) async fn first(client: &Client, names: &Names) -> Result<u64, Failure> {
    Ok(range(&info(client, names).await?).0)
}

/// The epoch that the newest readable record names. One that cannot be read (a
/// newer version's, or none at all) must not hide what was told before it:
/// whoever processes it raises the floor of everything.
async fn epoch(
    client: &Client,
    names: &Names,
    first: u64,
) -> Result<(Option<Epoch>, u64), Failure> {
    let (stream, subject) = (names.stream(), names.subject(Subject::Epochs));
    let Some((newest, payload)) = api::newest(client, &stream, &subject).await? else {
        return Ok((None, 0));
    };
    let mut epoch = epoch_of(&payload);
    if epoch.is_some() {
        return Ok((epoch, newest));
    }
    // Only forwards can be asked for. There are few: a pod tells its epoch
    // again after a quarter of the retention.
    let mut from = first;
    while from < newest
        && let Some((sequence, payload)) = api::next(client, &stream, &subject, from).await?
    {
        epoch = epoch_of(&payload).or(epoch);
        from = sequence + 1;
    }
    Ok((epoch, newest))
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
        "max_age": nanos(config.retention),
        "num_replicas": config.replicas.max(1),
        "duplicate_window": nanos(streams::DUPLICATE_WINDOW),
        "deny_delete": true,
        "deny_purge": true,
        "allow_msg_ttl": true,
        "metadata": { SESSION_TTL: ms(config.session_ttl), RETENTION: ms(config.retention) },
    })
}

/// Refuses a stream that is not as it must be.
fn check(config: &Value, names: &Names) -> Result<(Terms, Vec<String>), String> {
    let told = |why: String| format!("the log's stream {}: {why}", names.stream());
    let verdict = streams::judge_log(config, names.fleet());
    if let Some(why) = verdict.refusal() {
        return Err(told(why));
    }
    let terms = streams::terms(config).map_err(told)?;
    Ok((terms, verdict.unwise.into_iter().map(told).collect()))
}

fn range(info: &Value) -> (u64, u64) {
    let number = |field: &str| info["state"][field].as_u64().unwrap_or(0);
    (number("first_seq").max(1), number("last_seq"))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn epoch_of(payload: &[u8]) -> Option<Epoch> {
    Record::decode(payload).ok()?.epoch()
}
