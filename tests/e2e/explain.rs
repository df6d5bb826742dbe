//! Explain across pods: what one is told to invalidate, another names with the
//! pod that asked, its reason and its trace, and by which floor the entry fell.

use crate::calls::{found, get_after, invalidate, patient, set};
use crate::fleet::Fleet;
use crate::sdk::client;
use std::time::Duration;
use unstale::{Ack as ClientAck, Cache, Invalidate, Judgement, SetOptions};
use unstale::{Decider, EntryOptions, Explained, ExplainedRemote, Explanation, FloorKind};
use unstale_proto::v1::{Ack, ExplainRequest, ExplainResponse, InvalidateRequest};
use unstale_tests::{PATIENCE, Redis, Sidecar, eventually};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn traceparent() -> String {
    format!("00-{TRACE}-00f067aa0ba902b7-01")
}

async fn explain(pod: &Sidecar, key: &str) -> ExplainResponse {
    let request = ExplainRequest {
        namespace: String::new(),
        key: key.into(),
    };
    let told = pod.admin().explain(patient(request)).await;
    told.expect("Explain answers").into_inner()
}

#[track_caller]
fn entry(told: &Explanation) -> &Explained {
    match &told.remote {
        ExplainedRemote::Entry(held) => held,
        other => panic!("{other:?}"),
    }
}

fn sequence(position: &str) -> u64 {
    let (_, sequence) = position.split_once('-').expect("a position");
    sequence.parse().expect("a number")
}

/// A tagged entry, held in L1 by both pods.
async fn held_by_both(one: &Cache, two: &Cache, text: &str) {
    let long = Duration::from_secs(600);
    let options = SetOptions::from(EntryOptions::default().ttl(long).tag("red").tag("blue"));
    let stored = one.set_with("k:1", text, options).await;
    let position = stored.expect("Set answers").position;
    let read = two.after(position).get("k:1").await;
    read.expect("Get answers");
}

#[tokio::test]
async fn a_pod_names_the_other_that_asked_and_the_floor_that_decides() {
    let redis = Redis::start();
    let config = format!("remote = \"{}\"\n", redis.url());
    let fleet = Fleet::configured(2, &config).await;
    let clients = fleet.clients().await;
    let [one, two] = &clients[..] else {
        panic!("two pods")
    };
    held_by_both(one, two, "sesame").await;
    let told = two.explain("k:1").await.expect("Explain answers");
    let held = told.l1.as_ref().expect("it was read here");
    assert_eq!(held.judged.judgement, Judgement::Fresh);
    assert_eq!(entry(&told).judged, held.judged);
    assert_eq!(told.changes[0].origin.pod, "pod-0", "who wrote it");
    // By itself, with metadata.
    let mut request = patient(InvalidateRequest {
        tags: vec!["red".into()],
        ack: Ack::Fleet.into(),
        reason: "repainted".into(),
        ..InvalidateRequest::default()
    });
    let metadata = traceparent().parse().expect("plain ASCII");
    request.metadata_mut().insert("traceparent", metadata);
    let done = fleet.pods[0].cache().invalidate(request).await;
    let at = sequence(&done.expect("it holds").into_inner().position);
    let told = two.explain("k:1").await.expect("Explain answers");
    for held in [told.l1.as_ref().expect("tags drop nothing"), entry(&told)] {
        assert_eq!(held.judged.judgement, Judgement::Dead);
        assert_eq!(held.judged.decider, Decider::Floor);
        let floor = held.judged.floor.as_ref().expect("a floor decides");
        assert_eq!((floor.kind, floor.name.as_str()), (FloorKind::Tag, "red"));
        assert_eq!(floor.hard, at);
    }
    let last = &told.changes[0];
    assert_eq!((last.sequence, last.origin.pod.as_str()), (at, "pod-0"));
    assert_eq!(
        (last.reason.as_str(), last.trace_id.as_str()),
        ("repainted", TRACE)
    );
    assert_eq!(last.touches, [(FloorKind::Tag, "red".to_owned())]);
    let raw = format!("{:?}", explain(&fleet.pods[1], "k:1").await);
    assert!(!raw.contains("sesame"), "{raw}");
    // A pod that comes later reads it in the log.
    let late = client(&fleet.late_with(&config).await)
        .await
        .explain("k:1")
        .await;
    let late = late.expect("Explain answers");
    let last = &late.changes[0];
    assert_eq!((last.sequence, last.origin.pod.as_str()), (at, "pod-0"));
    assert_eq!(
        (last.reason.as_str(), last.trace_id.as_str()),
        ("repainted", TRACE)
    );
}

#[tokio::test]
async fn a_trace_travels_from_a_session_stream_and_a_prefix_is_named() {
    let fleet = Fleet::of(2).await;
    let clients = fleet.clients().await;
    let [one, two] = &clients[..] else {
        panic!("two pods")
    };
    held_by_both(one, two, "v").await;
    let what = Invalidate::default().prefix("k:").soft();
    let what = what.reason("moved").traceparent(traceparent());
    let done = two.invalidate(what.ack(ClientAck::Fleet)).await;
    let at = sequence(&done.expect("it holds").position.expect("a position"));
    let told = one.explain("k:1").await.expect("Explain answers");
    let judged = &told.l1.as_ref().expect("soft: it is there").judged;
    assert_eq!(judged.judgement, Judgement::Stale);
    let floor = judged.floor.as_ref().expect("a floor decides");
    assert_eq!((floor.kind, floor.name.as_str()), (FloorKind::Prefix, "k:"));
    assert_eq!((floor.hard, floor.soft), (0, at));
    let last = &told.changes[0];
    assert_eq!(
        (last.origin.pod.as_str(), last.trace_id.as_str()),
        ("pod-1", TRACE)
    );
}

#[tokio::test]
async fn what_is_away_is_told_with_what_is_known() {
    let mut redis = Redis::start();
    let mut fleet = Fleet::configured(1, &format!("remote = \"{}\"\n", redis.url())).await;
    set(&fleet.pods[0], "k", "v").await;
    redis.stop();
    let cache = client(&fleet.pods[0]).await;
    let told = cache.explain("k").await.expect("Explain answers");
    assert!(matches!(told.remote, ExplainedRemote::Away(_)), "{told:?}");
    let held = told.l1.expect("L1 has it");
    assert_eq!(held.judged.judgement, Judgement::Fresh);
    let never = cache.explain("never").await.expect("Explain answers");
    assert_eq!(never.l1, None);
    fleet.nats.stop();
    let lapsed = || async {
        let told = cache.explain("k").await.map_err(|e| e.to_string())?;
        let held = told.l1.as_ref().ok_or("it is in L1")?;
        let judged = (held.judged.judgement, held.judged.decider);
        let stale = judged == (Judgement::Stale, Decider::Session);
        stale.then_some(()).ok_or(format!("{told:?}"))
    };
    eventually("a session that has lapsed", PATIENCE, lapsed).await;
}

#[tokio::test]
async fn asking_fills_no_l1_and_begins_no_load() {
    let fleet = Fleet::of(2).await;
    let [one, two] = &fleet.pods[..] else {
        panic!("two pods")
    };
    let position = set(one, "k", "v").await;
    let reached = get_after(two, ("", "other"), &position).await;
    reached.expect("it has processed the write");
    for key in ["k", "never"] {
        for _ in 0..3 {
            assert_eq!(explain(two, key).await.l1, None, "{key}");
        }
    }
    assert_eq!(two.status().await.l1_entries, 0);
    let answer = get_after(two, ("", "k"), &position).await;
    assert_eq!(found(&answer.expect("Get answers")).as_deref(), Some("v"));
    invalidate(one, "k", Ack::Fleet).await.expect("it holds");
    let told = explain(two, "k").await;
    assert_eq!(
        told.changes[0].origin.clone().map(|of| of.pod),
        Some("pod-0".into())
    );
}
