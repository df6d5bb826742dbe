//! The pages for people and Kubernetes, and what they must not cost the cache.

use crate::calls::{get, invalidate, set};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
use unstale_proto::v1::admin_service_client::AdminServiceClient;
use unstale_proto::v1::{Ack, StatusRequest};
use unstale_tests::{Nats, PATIENCE, Sidecar, Signal, eventually};

/// Status code and body of a page.
async fn page(pod: &Sidecar, path: &str) -> Result<(u16, String), String> {
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", pod.admin_port())).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = exchange.await.map_err(|e| e.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(&answer[..])?;
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((code.ok_or(head)?, body.to_owned()))
}

/// The number of a metric, labels included in its name.
fn number(metrics: &str, name: &str) -> Option<f64> {
    let lines = metrics.lines();
    let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values.next()?.parse().ok()
}

#[tokio::test]
async fn a_whole_sidecar_is_healthy_and_ready() {
    let pod = Sidecar::builder().fresh().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            page(&pod, path).await,
            Ok((200, "ok\n".to_owned())),
            "{path}"
        );
    }
    assert_eq!(page(&pod, "/nope").await.map(|(code, _)| code), Ok(404));
}

#[tokio::test]
async fn metrics_count_what_was_done_and_name_no_key() {
    let pod = Sidecar::builder().fresh().await;
    set(&pod, "secret-key", "secret-value").await;
    assert_eq!(
        get(&pod, "secret-key").await.as_deref(),
        Some("secret-value")
    );
    assert_eq!(get(&pod, "secret-other").await, None);
    invalidate(&pod, "secret-key", Ack::Log).await.expect("OK");
    let (code, metrics) = page(&pod, "/metrics").await.expect("an answer");
    assert_eq!(code, 200);
    for (name, least) in [
        ("unstale_hits_l1_total", 1.0),
        ("unstale_misses_total", 1.0),
        ("unstale_log_appended_total", 1.0),
        ("unstale_session_fresh", 1.0),
        ("unstale_log_connected", 1.0),
        (r#"unstale_requests_total{rpc="Set",code="Ok"}"#, 1.0),
        (r#"unstale_requests_total{rpc="Get",code="Ok"}"#, 2.0),
    ] {
        let value = number(&metrics, name);
        assert!(value >= Some(least), "{name} is {value:?} in:\n{metrics}");
    }
    assert!(!metrics.contains("secret"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"), "whole: {metrics}");
}

#[tokio::test]
async fn a_sidecar_without_its_log_is_ready_and_says_what_is_degraded() {
    let nats = Nats::stopped();
    let pod = Sidecar::builder().nats(&nats.url()).serving().await;
    let degraded = || async {
        let (code, body) = page(&pod, "/readyz").await?;
        assert_eq!(code, 200, "{body}");
        let whole = body.contains("degraded: log: ") && body.contains("degraded: session: ");
        whole.then_some(()).ok_or(body)
    };
    eventually("a page that says so", PATIENCE, degraded).await;
    let (_, metrics) = page(&pod, "/metrics").await.expect("an answer");
    assert_eq!(number(&metrics, "unstale_log_connected"), Some(0.0));
    assert_eq!(number(&metrics, "unstale_session_fresh"), Some(0.0));
}

#[tokio::test]
async fn silent_connections_leave_the_other_listeners_their_descriptors() {
    let pod = Sidecar::builder().files(256).fresh().await;
    set(&pod, "k", "v").await;
    let mut silent = Vec::new();
    for port in [pod.admin_port(), pod.port()] {
        for _ in 0..300 {
            let opening = TcpStream::connect(("127.0.0.1", port));
            let opened = tokio::time::timeout(Duration::from_millis(200), opening).await;
            // A full queue of the kernel: as many as can wait do wait.
            let Ok(Ok(stream)) = opened else { break };
            silent.push(stream);
        }
    }
    assert!(silent.len() > 256, "{} connections", silent.len());
    let unix = Endpoint::from_shared(format!("unix:{}", pod.uds().display()));
    let channel = unix.expect("an endpoint").connect().await;
    let mut over_unix = AdminServiceClient::new(channel.expect("it accepts"));
    let answer = over_unix.status(StatusRequest {}).await;
    answer.expect("the Unix socket answers, whatever TCP does");
    let healthy = || async { page(&pod, "/healthz").await };
    drop(silent);
    let (code, _) = eventually("the pages", PATIENCE, healthy).await;
    assert_eq!(code, 200);
    let served = || async { get(&pod, "k").await.ok_or("a miss".to_owned()) };
    assert_eq!(eventually("the value", PATIENCE, served).await, "v");
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let pod = Sidecar::builder().serving().await;
    let mut silent = TcpStream::connect(("127.0.0.1", pod.admin_port()))
        .await
        .expect("it listens");
    let mut said = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut said)).await;
    // However it is closed: what matters is that it is.
    let _ = closed.expect("it is closed");
}

#[tokio::test]
async fn whoever_watches_health_is_told_of_the_drain_and_does_not_hold_it_up() {
    let mut pod = Sidecar::builder().fresh().await;
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", pod.port()));
    let channel = endpoint.expect("an endpoint").connect().await;
    let mut health = HealthClient::new(channel.expect("it accepts"));
    let watch = health.watch(HealthCheckRequest::default()).await;
    let mut told = watch.expect("a stream").into_inner();
    let first = told.message().await.expect("no error").expect("a state");
    assert_eq!(first.status(), ServingStatus::Serving);
    pod.signal(Signal::TERM);
    let next = tokio::time::timeout(PATIENCE, told.message()).await;
    let next = next.expect("soon").expect("no error").expect("a state");
    assert_eq!(next.status(), ServingStatus::NotServing);
    // The stream has no end of its own; the drain may take 10 s.
    let status = pod.ended(Duration::from_secs(5)).await;
    assert_eq!(status.code(), Some(0), "{}", pod.log());
}
