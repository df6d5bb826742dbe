//! For `unstale check`: asks the servers what they are and how the fleet's
//! streams are set. Reads only.

use super::link::{Link, State};
use super::{NatsConfig, api, version};
use serde_json::Value;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the servers may take to be reached.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found, in three lists of lines.
#[derive(Debug, Default)]
pub struct Findings {
    /// As it should be.
    pub good: Vec<String>,
    /// Works, but unsafe.
    pub warnings: Vec<String>,
    /// Does not work.
    pub errors: Vec<String>,
}

/// Connects, looks at the version and at the streams of `fleet`.
pub async fn check(config: NatsConfig, fleet: &str) -> Findings {
    let mut found = Findings::default();
    let link = Link::new(config, "check");
    let cancel = CancellationToken::new();
    tokio::select! {
        () = link.run(cancel.clone()) => {}
        () = look(&link, fleet, &mut found) => {}
    }
    found
}

async fn look(link: &Link, fleet: &str, found: &mut Findings) {
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
    for part in ["LOG", "DATA"] {
        let stream = format!("UNSTALE_{fleet}_{part}");
        match api::call(&client, &format!("STREAM.INFO.{stream}"), Value::Null).await {
            Ok(info) => judge(&stream, &info["config"], found),
            Err(failure) if failure.code() == Some(api::STREAM_NOT_FOUND) => {
                found
                    .good
                    .push(format!("{stream}: not made yet; serve makes it"));
            }
            Err(failure) => found.errors.push(format!("{stream}: {}", failure.text())),
        }
    }
}

fn judge(stream: &str, config: &Value, found: &mut Findings) {
    let before = found.warnings.len();
    if config["num_replicas"].as_u64() == Some(1) {
        let text = "has 1 replica: it is lost with its server; 3 is safe in production";
        found.warnings.push(format!("{stream}: {text}"));
    }
    if config["storage"] == "memory" {
        let text = "is kept in memory: a restart loses it; file is safe";
        found.warnings.push(format!("{stream}: {text}"));
    }
    if stream.ends_with("_LOG") && config["deny_delete"] != Value::Bool(true) {
        let text = "allows records to be deleted; deny_delete is safe";
        found.warnings.push(format!("{stream}: {text}"));
    }
    if found.warnings.len() == before {
        found.good.push(format!("{stream}: safe"));
    }
}
