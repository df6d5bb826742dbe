//! For `unstale check`: asks the servers what they are and how the fleet's
//! streams are set, and judges them as `serve` does ([`streams`]). Reads only.

use super::link::{Link, State};
use super::streams::{self, Verdict};
use super::{NatsConfig, api, version};
use crate::findings::Findings;
use async_nats::Client;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use unstale_engine::limits;

/// How long the servers may take to be reached.
const PATIENCE: Duration = Duration::from_secs(5);

/// What `serve` would use of the servers.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The fleet's name.
    pub fleet: String,
    /// SESSION_TTL of a log that this pod would make.
    pub session_ttl: Duration,
    /// Whether the remote tier is there, too.
    pub remote: bool,
}

/// Connects, looks at the version and at the fleet's streams.
pub async fn check(config: NatsConfig, wanted: &Wanted) -> Findings {
    let mut found = Findings::default();
    let link = Link::new(config, "check");
    let cancel = CancellationToken::new();
    tokio::select! {
        () = link.run(cancel.clone()) => {}
        () = look(&link, wanted, &mut found) => {}
    }
    found
}

async fn look(link: &Link, wanted: &Wanted, found: &mut Findings) {
    let mut states = link.watch();
    let settled = states.wait_for(|state| !matches!(state, State::Down(_)));
    // What matters is the state afterwards, whether it came in time or not.
    let _ = tokio::time::timeout(PATIENCE, settled).await;
    let client = match link.state() {
        State::Up(client) => client,
        State::Down(why) | State::Refused(why) => {
            found.errors.push(format!("nats: {why}"));
            return;
        }
    };
    let server = client.server_info().version;
    match version::check(&server) {
        Ok(None) => found.good.push(format!("nats: server {server}")),
        Ok(Some(warning)) => found.warnings.push(format!("nats: {warning}")),
        Err(error) => return found.errors.push(format!("nats: {error}")),
    }
    payload(&client, found);
    let fleet = &wanted.fleet;
    let log = (streams::log_stream(fleet), streams::log_subjects(fleet));
    if let Some(config) = stream(link, &client, &log, found).await {
        report(&log.0, streams::judge_log(&config, fleet), found);
        agree(&log.0, &config, wanted, found);
    }
    let refs = (streams::refs_stream(fleet), streams::refs_subjects(fleet));
    if let Some(config) = stream(link, &client, &refs, found).await {
        report(&refs.0, streams::judge_refs(&config, fleet), found);
    }
    let data = (streams::data_stream(fleet), streams::data_subjects(fleet));
    if wanted.remote
        && let Some(config) = stream(link, &client, &data, found).await
    {
        report(&data.0, streams::judge_data(&config, fleet), found);
    }
}

/// The server counts headers, too.
fn payload(client: &Client, found: &mut Findings) {
    let (has, safe) = (client.max_payload(), limits::RECORD_BYTES + 1024);
    if has < limits::RECORD_BYTES {
        found.warnings.push(format!(
            "nats: max_payload is {has} bytes, so that larger values and invalidations fail; {safe} is safe"
        ));
    }
}

/// The configuration of a stream; none when it does not exist or the answer
/// is a finding itself.
async fn stream(
    link: &Link,
    client: &Client,
    (name, subjects): &(String, String),
    found: &mut Findings,
) -> Option<Value> {
    let failure = match api::call(client, &format!("STREAM.INFO.{name}"), Value::Null).await {
        Ok(mut info) => return Some(info["config"].take()),
        Err(failure) => failure,
    };
    if failure.code() != Some(api::STREAM_NOT_FOUND) {
        let why = link.denied().unwrap_or_else(|| failure.text());
        found.errors.push(format!("{name}: {why}"));
        return None;
    }
    match owner(client, subjects).await {
        Some(other) => found.errors.push(format!(
            "{name}: cannot be made: the stream {other} has its subject {subjects}"
        )),
        None => found
            .good
            .push(format!("{name}: not made yet; serve makes it")),
    }
    None
}

/// Another stream that takes `subjects`. A server that does not say so is no
/// finding: making the stream would tell.
async fn owner(client: &Client, subjects: &str) -> Option<String> {
    let asked = api::call(client, "STREAM.NAMES", json!({ "subject": subjects })).await;
    let names = asked.ok()?;
    names["streams"][0].as_str().map(str::to_owned)
}

fn report(stream: &str, verdict: Verdict, found: &mut Findings) {
    if verdict.wrong.is_empty() && verdict.unwise.is_empty() {
        found.good.push(format!("{stream}: safe"));
    }
    let name = |what: String| format!("{stream}: {what}");
    found.errors.extend(verdict.wrong.into_iter().map(name));
    found.warnings.extend(verdict.unwise.into_iter().map(name));
}

/// The log's own word counts: a setting that differs does nothing.
fn agree(stream: &str, config: &Value, wanted: &Wanted, found: &mut Findings) {
    if let Ok(terms) = streams::terms(config)
        && terms.session_ttl != wanted.session_ttl
    {
        found.warnings.push(format!(
            "{stream}: says session_ttl {:?}, which counts; the setting's {:?} does nothing",
            terms.session_ttl, wanted.session_ttl
        ));
    }
}
