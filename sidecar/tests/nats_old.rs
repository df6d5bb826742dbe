//! A NATS server from before per-message ttl: refused with both versions, by
//! the log and by the remote tier, and nothing is made on it.

#![allow(clippy::disallowed_methods, reason = "tests spawn for themselves")]
#![allow(clippy::unwrap_used)]

mod nats_support;

use nats_support::{PATIENCE, Server, append, log_config, run};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use unstale_engine::log::{Appended, Log, Subject};
use unstale_engine::remote::{Remote, RemoteError};
use unstale_sidecar::nats::check::{Wanted, check};
use unstale_sidecar::remote::nats_kv::{NatsKv, NatsKvConfig};

fn names_both(text: &str) {
    assert!(text.contains("2.10.") && text.contains("2.11.0"), "{text}");
}

#[tokio::test]
async fn the_log_says_which_version_is_there_and_which_is_needed() {
    let server = Server::too_old();
    let on = run(log_config(server.connection()));
    names_both(&on.events.lost("is version").await);
    // Definitely not: a caller is told at once, and nothing is repeated.
    match on.log.append(append(1, Subject::Records)).await {
        Appended::NotSent(why) => names_both(&why),
        other => panic!("{other:?}"),
    }
    let admin = async_nats::connect(server.url()).await.unwrap();
    let names = admin.request("$JS.API.STREAM.NAMES", "".into()).await;
    let names: serde_json::Value = serde_json::from_slice(&names.unwrap().payload).unwrap();
    assert_eq!(names["total"], 0, "{names}");
}

#[tokio::test]
async fn the_remote_tier_is_misconfigured_and_names_both_versions() {
    let server = Server::too_old();
    let kv = NatsKv::new(NatsKvConfig {
        connection: server.connection(),
        fleet: "test".to_owned(),
        ..NatsKvConfig::default()
    });
    let cancel = CancellationToken::new();
    tokio::spawn(kv.clone().run(cancel.clone()));
    let _stop = cancel.drop_guard();
    let refused = async {
        loop {
            if let Err(RemoteError::Misconfigured(text)) = kv.ping().await {
                return text;
            }
            tokio::task::yield_now().await;
        }
    };
    names_both(&tokio::time::timeout(PATIENCE, refused).await.unwrap());
}

#[tokio::test]
async fn check_counts_it_as_an_error() {
    let server = Server::too_old();
    let wanted = Wanted {
        fleet: "test".to_owned(),
        session_ttl: Duration::from_secs(15),
        remote: true,
    };
    let found = check(server.connection(), &wanted).await;
    assert_eq!(found.errors.len(), 1, "{found:?}");
    names_both(&found.errors[0]);
}
