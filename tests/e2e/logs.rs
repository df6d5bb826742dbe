//! What the sidecar writes on stderr: whole JSON objects when that is asked
//! for, and never a key, a value or a secret at info or above.

use crate::calls::{get, invalidate, patient, set};
use serde_json::Value;
use tonic::Code;
use unstale_proto::v1::{
    Ack, ExplainRequest, FillRequest, InvalidateRequest, LeaseRequest, SetRequest, fill_request,
    lease_response, set_request,
};
use unstale_tests::{Nats, PATIENCE, Sidecar, Signal, eventually};

/// In everything that must not be logged.
const SECRET: &str = "sesame";

fn secret(what: &str) -> String {
    format!("{SECRET}-{what}")
}

/// Does a little of everything, right and wrong, with secrets everywhere.
async fn use_it(pod: &Sidecar) {
    let mut cache = pod.cache();
    let key = secret("key");
    set(pod, &key, &secret("value")).await;
    get(pod, &key).await;
    invalidate(pod, &key, Ack::Fleet).await.expect("OK");
    let leased = cache.lease(patient(LeaseRequest {
        key: secret("lease"),
        ..LeaseRequest::default()
    }));
    let leased = leased.await.expect("an answer").into_inner();
    let Some(lease_response::Result::Granted(grant)) = leased.result else {
        panic!("{leased:?}");
    };
    let fill = cache.fill(patient(FillRequest {
        lease_token: grant.lease_token,
        value: Some(fill_request::Value::Text(secret("fill"))),
        tags: vec![secret("tag")],
        ..FillRequest::default()
    }));
    fill.await.expect("an answer");
    let by_tag = cache.invalidate(patient(InvalidateRequest {
        tags: vec![secret("tag")],
        reason: secret("reason"),
        ..InvalidateRequest::default()
    }));
    by_tag.await.expect("an answer");
    let explain = ExplainRequest {
        namespace: String::new(),
        key: secret("lease"),
    };
    let told = pod.admin().explain(patient(explain)).await;
    told.expect("an answer");
    let wrong = cache.set(patient(SetRequest {
        key: secret(&"k".repeat(600)),
        namespace: "Sesame-namespace".into(),
        tags: vec![secret(&"t".repeat(200))],
        value: Some(set_request::Value::Text(secret("value"))),
        ..SetRequest::default()
    }));
    let refused = wrong.await.expect_err("it is refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn json_logs_are_whole_objects_without_keys_values_or_secrets() {
    let mut nats = Nats::start();
    let url = nats
        .url()
        .replace("nats://", &format!("nats://me:{SECRET}@"));
    let mut pod = Sidecar::builder()
        .nats(&url)
        .flag("--log-format", "json")
        .fresh()
        .await;
    use_it(&pod).await;
    nats.stop();
    let away = || async {
        let error = pod.status().await.log_error;
        (!error.is_empty())
            .then_some(())
            .ok_or("not yet".to_owned())
    };
    eventually("a pod that misses the log", PATIENCE, away).await;
    nats.restart();
    pod.is_fresh().await;
    use_it(&pod).await;
    pod.signal(Signal::TERM);
    assert_eq!(pod.ended(PATIENCE).await.code(), Some(0), "{}", pod.log());
    let log = pod.log();
    let mut messages = Vec::new();
    for line in log.lines() {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for field in ["timestamp", "level", "target", "message"] {
            assert!(object[field].is_string(), "{field}: {line}");
        }
        messages.push(object["message"].as_str().unwrap_or_default().to_owned());
    }
    for said in ["serving", "draining", "stopped"] {
        assert!(messages.iter().any(|m| m == said), "{said} in {messages:?}");
    }
    assert!(!log.to_lowercase().contains(SECRET), "{log}");
}
