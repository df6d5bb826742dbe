//! For `unstale check`: reads from the fleet's stream as `serve` would. Makes
//! none, and does not say what is wrong with one: [`crate::nats::check`] does.

use super::{NatsKv, NatsKvConfig};
use crate::entropy::OsRandom;
use crate::findings::Findings;
use crate::nats::link::State;
use crate::nats::{api, streams};
use crate::remote::check::reads;
use serde_json::Value;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the servers may take to be reached.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects, and reads if there is a stream that can be used.
pub async fn check(config: NatsKvConfig) -> Findings {
    let mut found = Findings::default();
    let tier = NatsKv::new(config);
    let reading = async {
        if is_there(&tier).await {
            reads(&*tier, &OsRandom, &mut found).await;
        }
    };
    tokio::select! {
        () = tier.clone().run(CancellationToken::new()) => {}
        () = reading => {}
    }
    found
}

/// Whether there is a stream that can be used: a read without one makes it.
async fn is_there(tier: &NatsKv) -> bool {
    let mut states = tier.link.watch();
    let settled = states.wait_for(|state| !matches!(state, State::Down(_)));
    // What matters is the state afterwards, whether it came in time or not.
    let _ = tokio::time::timeout(PATIENCE, settled).await;
    let Ok(client) = tier.client() else {
        return false;
    };
    let what = format!("STREAM.INFO.{}", tier.stream());
    match api::call(&client, &what, Value::Null).await {
        Ok(info) => {
            let judged = streams::judge_data(&info["config"], &tier.config.fleet);
            judged.refusal().is_none()
        }
        Err(_) => false,
    }
}
