//! A NATS server that is too old: the sidecar says which version is there and
//! which is needed, wherever people look, and serves what it can.

use crate::calls::{found, get_after, invalidate, reason};
use std::process::{Command, Stdio};
use tonic::Code;
use unstale_proto::v1::{Ack, SessionState};
use unstale_tests::{Nats, PATIENCE, Sidecar, eventually, unstale};

fn names_both(text: &str) {
    assert!(text.contains("2.10.") && text.contains("2.11.0"), "{text}");
}

/// A pod that has met the server.
async fn pod(nats: &Nats) -> Sidecar {
    let pod = Sidecar::builder().nats(&nats.url()).serving().await;
    let ask = || async {
        let answer = get_after(&pod, ("", "k"), "").await;
        let answer = answer.map_err(|e| e.to_string())?;
        assert_eq!(found(&answer), None);
        assert!(answer.degraded.is_some(), "{answer:?}");
        let error = pod.status().await.log_error;
        (error.contains("is version")).then_some(()).ok_or(error)
    };
    eventually("the server's version", PATIENCE, ask).await;
    pod
}

#[tokio::test]
async fn reads_miss_and_say_degraded_and_writes_say_that_the_log_is_away() {
    let nats = Nats::too_old();
    let pod = pod(&nats).await;
    let status = pod.status().await;
    names_both(&status.log_error);
    assert_eq!(status.session_state(), SessionState::Joining);
    for ack in [Ack::Log, Ack::Fleet] {
        let refused = invalidate(&pod, "k", ack).await.expect_err("no log");
        let expected = (Code::Unavailable, "LOG_UNAVAILABLE".to_owned());
        assert_eq!(reason(&refused), expected);
        names_both(refused.message());
    }
    // The pod itself obeys; the log may come back.
    invalidate(&pod, "k", Ack::Local).await.expect("OK");
}

#[tokio::test]
async fn the_log_the_pages_and_the_metrics_tell_and_the_pod_stays_in_service() {
    let nats = Nats::too_old();
    let pod = pod(&nats).await;
    for path in ["/healthz", "/readyz"] {
        let (code, body) = pod.page(path).await;
        assert_eq!(code, 200, "{path}: {body}");
        let log = body
            .lines()
            .find(|line| line.starts_with("degraded: log: "));
        names_both(log.unwrap_or_else(|| panic!("{path}: {body}")));
    }
    let (_, metrics) = pod.page("/metrics").await;
    for down in ["log_connected", "session_fresh"] {
        assert!(
            metrics.contains(&format!("unstale_{down} 0\n")),
            "{metrics}"
        );
    }
    let log = pod.log();
    let told: Vec<_> = log.lines().filter(|l| l.contains("is version")).collect();
    assert_eq!(told.len(), 1, "once, not at every attempt: {told:?}");
    names_both(told[0]);
}

#[tokio::test]
async fn check_exits_1_and_names_both_versions() {
    let nats = Nats::too_old();
    let mut check = Command::new(unstale());
    check
        .args(["check", "--nats", &nats.url(), "--fleet", "test"])
        .stdin(Stdio::null());
    let checked = tokio::task::spawn_blocking(move || check.output());
    let checked = tokio::time::timeout(PATIENCE, checked).await;
    let checked = checked.expect("it ends").expect("a thread");
    let checked = checked.expect("it starts");
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    let said = [checked.stdout, checked.stderr].concat();
    names_both(&String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn the_remote_tier_says_so_too_although_no_call_needed_it() {
    let nats = Nats::too_old();
    let pod = pod(&nats).await;
    let ask = || async {
        let error = pod.status().await.remote_error;
        (error.contains("is version")).then_some(()).ok_or(error)
    };
    eventually("the remote tier's error", PATIENCE, ask).await;
}
