//! The contract's fields over the wire against a real sidecar: each is decoded,
//! reaches the engine, and what the engine says comes back.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
mod serving;

use serving::Serving;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use unstale_proto::v1::compare_and_set_request::{Expected, Value as CasValue};
use unstale_proto::v1::fill_request::Value as FillValue;
use unstale_proto::v1::{
    self, conflict::Current, get_response::Result as Got, lease_response::Result as Leased,
    set_request::Value, set_response::Result as Wrote, watch_response::Event,
};

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn text(key: &str, text: &str) -> v1::SetRequest {
    v1::SetRequest {
        key: key.into(),
        value: Some(Value::Text(text.into())),
        ..v1::SetRequest::default()
    }
}

fn key(key: &str) -> v1::GetRequest {
    v1::GetRequest {
        key: key.into(),
        ..v1::GetRequest::default()
    }
}

fn loading(key: &str) -> v1::LeaseRequest {
    v1::LeaseRequest {
        key: key.into(),
        ..v1::LeaseRequest::default()
    }
}

/// A sidecar that was asked for nothing yet.
async fn start() -> Serving {
    Serving::start::<&str>([]).await
}

async fn set(sidecar: &mut Serving, request: v1::SetRequest) -> Wrote {
    let answer = sidecar.cache.set(request).await.unwrap();
    answer.into_inner().result.unwrap()
}

async fn get(sidecar: &mut Serving, request: v1::GetRequest) -> Got {
    let answer = sidecar.cache.get(request).await.unwrap();
    answer.into_inner().result.unwrap()
}

async fn lease(sidecar: &mut Serving, request: v1::LeaseRequest) -> Leased {
    let answer = sidecar.cache.lease(request).await.unwrap();
    answer.into_inner().result.unwrap()
}

async fn invalidate(sidecar: &mut Serving, request: v1::InvalidateRequest) {
    sidecar.cache.invalidate(request).await.unwrap();
}

#[track_caller]
fn found(got: Got) -> v1::Entry {
    match got {
        Got::Found(entry) => entry,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn granted(leased: Leased) -> v1::Granted {
    match leased {
        Leased::Granted(granted) => granted,
        other => panic!("{other:?}"),
    }
}

fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let named = details.bad_request().map(|bad| &bad.field_violations);
    let named = named.into_iter().flatten();
    named.map(|violation| violation.field.clone()).collect()
}

#[tokio::test]
async fn what_the_caller_holds_is_not_sent_again() {
    let mut sidecar = start().await;
    set(&mut sidecar, text("k", "Ada")).await;
    let entry = found(get(&mut sidecar, key("k")).await);
    assert_eq!(entry.etag.len(), 32);
    assert_eq!(entry.freshness(), v1::Freshness::Fresh);
    let held = v1::GetRequest {
        if_none_match: entry.etag.clone(),
        ..key("k")
    };
    let got = get(&mut sidecar, held.clone()).await;
    let Got::NotModified(same) = got else {
        panic!("{got:?}")
    };
    assert_eq!((same.etag, same.version), (entry.etag, entry.version));
    set(&mut sidecar, text("k", "Bob")).await;
    found(get(&mut sidecar, held).await);
    let other = v1::GetRequest {
        if_none_match: "no etag".into(),
        ..key("k")
    };
    found(get(&mut sidecar, other).await);
}

#[tokio::test]
async fn every_read_level_is_understood() {
    let mut sidecar = start().await;
    set(&mut sidecar, text("k", "Ada")).await;
    for level in 0..=3 {
        let read = v1::GetRequest { level, ..key("k") };
        found(get(&mut sidecar, read).await);
    }
    let bounded = v1::GetRequest {
        max_staleness: seconds(60),
        ..key("k")
    };
    found(get(&mut sidecar, bounded.clone()).await);
    let contradictory = v1::GetRequest {
        level: v1::ReadLevel::Strong.into(),
        ..bounded
    };
    let status = sidecar.cache.get(contradictory).await.unwrap_err();
    assert_eq!(fields(&status), ["max_staleness"]);
}

#[tokio::test]
async fn not_found_is_an_entry_of_its_own() {
    let mut sidecar = start().await;
    let nothing = v1::SetRequest {
        value: Some(Value::NotFound(v1::NotFound {})),
        source_version: Some(7),
        tags: vec!["t".into()],
        ..text("k", "")
    };
    set(&mut sidecar, nothing).await;
    let got = get(&mut sidecar, key("k")).await;
    let Got::Negative(negative) = got else {
        panic!("{got:?}")
    };
    assert_eq!(negative.source_version, Some(7));
    assert_eq!(negative.tags, ["t"]);
    let leased = lease(&mut sidecar, loading("k")).await;
    assert!(matches!(leased, Leased::Negative(_)), "{leased:?}");
}

#[tokio::test]
async fn an_older_source_version_is_refused_and_told_the_least() {
    let mut sidecar = start().await;
    let version = |version| v1::SetRequest {
        source_version: Some(version),
        ..text("k", "Ada")
    };
    set(&mut sidecar, version(9)).await;
    let etag = found(get(&mut sidecar, key("k")).await).etag;
    let wrote = set(&mut sidecar, version(8)).await;
    let Wrote::NotStored(not) = wrote else {
        panic!("{wrote:?}")
    };
    assert_eq!(not.reason(), v1::NotStoredReason::OlderSourceVersion);
    assert_eq!(not.min_source_version, Some(9));
    assert_eq!(not.current.unwrap().source_version, Some(9));
    let swap = v1::CompareAndSetRequest {
        key: "k".into(),
        expected: Some(Expected::Etag(etag)),
        value: Some(CasValue::Text("Ada".into())),
        source_version: Some(8),
        ..v1::CompareAndSetRequest::default()
    };
    let answer = sidecar.cache.compare_and_set(swap).await.unwrap();
    let answer = answer.into_inner().result.unwrap();
    let v1::compare_and_set_response::Result::Conflict(conflict) = answer else {
        panic!("{answer:?}")
    };
    // It is what was expected that is there: that is not why.
    assert_eq!(conflict.reason(), v1::NotStoredReason::OlderSourceVersion);
    assert_eq!(conflict.min_source_version, Some(9));
    let raised = v1::InvalidateRequest {
        keys: vec!["k".into()],
        min_source_version: Some(20),
        ..v1::InvalidateRequest::default()
    };
    invalidate(&mut sidecar, raised).await;
    let granted = granted(lease(&mut sidecar, loading("k")).await);
    let fill = v1::FillRequest {
        lease_token: granted.lease_token,
        value: Some(FillValue::Text("old".into())),
        source_version: Some(19),
        ..v1::FillRequest::default()
    };
    let answer = sidecar.cache.fill(fill).await.unwrap().into_inner();
    let Some(v1::fill_response::Result::Voided(voided)) = answer.result else {
        panic!("{answer:?}")
    };
    assert_eq!(voided.reason(), v1::VoidedReason::OlderSourceVersion);
    assert_eq!(voided.min_source_version, Some(20));
}

#[tokio::test]
async fn an_entry_is_swapped_by_its_content() {
    let mut sidecar = start().await;
    set(&mut sidecar, text("k", "Ada")).await;
    let entry = found(get(&mut sidecar, key("k")).await);
    let swap = |etag: &str| v1::CompareAndSetRequest {
        key: "k".into(),
        expected: Some(Expected::Etag(etag.into())),
        value: Some(CasValue::NotFound(v1::NotFound {})),
        ..v1::CompareAndSetRequest::default()
    };
    let answer = sidecar.cache.compare_and_set(swap("other")).await.unwrap();
    let answer = answer.into_inner().result.unwrap();
    let v1::compare_and_set_response::Result::Conflict(conflict) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(conflict.reason(), v1::NotStoredReason::Unspecified);
    assert!(matches!(conflict.current, Some(Current::Found(_))));
    let answer = sidecar.cache.compare_and_set(swap(&entry.etag)).await;
    let answer = answer.unwrap().into_inner().result.unwrap();
    assert!(
        matches!(answer, v1::compare_and_set_response::Result::Stored(_)),
        "{answer:?}"
    );
    let answer = sidecar.cache.compare_and_set(swap(&entry.etag)).await;
    let answer = answer.unwrap().into_inner().result.unwrap();
    let v1::compare_and_set_response::Result::Conflict(conflict) = answer else {
        panic!("{answer:?}")
    };
    assert!(matches!(conflict.current, Some(Current::Negative(_))));
    let status = sidecar.cache.compare_and_set(swap("")).await.unwrap_err();
    assert_eq!(fields(&status), ["etag"]);
}

#[tokio::test]
async fn a_soft_invalidation_leaves_a_flagged_entry_for_who_wants_it() {
    let mut sidecar = start().await;
    let kept = v1::SetRequest {
        stale_for: seconds(60),
        ..text("user:1", "Ada")
    };
    set(&mut sidecar, kept).await;
    let soft = v1::InvalidateRequest {
        prefixes: vec!["user:".into()],
        mode: v1::InvalidateMode::Soft.into(),
        ..v1::InvalidateRequest::default()
    };
    invalidate(&mut sidecar, soft.clone()).await;
    let got = get(&mut sidecar, key("user:1")).await;
    assert!(matches!(got, Got::Missing(_)), "{got:?}");
    let stale_ok = v1::GetRequest {
        level: v1::ReadLevel::StaleOk.into(),
        ..key("user:1")
    };
    let stale = found(get(&mut sidecar, stale_ok.clone()).await);
    assert_eq!(stale.freshness(), v1::Freshness::Stale);
    assert_eq!(stale.stale_reason(), v1::StaleReason::SoftInvalidated);
    let granted = granted(lease(&mut sidecar, loading("user:1")).await);
    assert_eq!(granted.stale.unwrap().version, stale.version);
    // Somebody else is told to wait, and what may be served meanwhile.
    let busy = lease(&mut sidecar, loading("user:1")).await;
    assert!(
        matches!(&busy, Leased::Busy(busy) if busy.stale.is_some()),
        "{busy:?}"
    );
    let failed = v1::AbandonRequest {
        lease_token: granted.lease_token,
        serve_stale_for: seconds(60),
        retry_after: seconds(30),
    };
    sidecar.cache.abandon(failed).await.unwrap();
    let busy = lease(&mut sidecar, loading("user:1")).await;
    assert!(
        matches!(&busy, Leased::Busy(busy) if busy.stale.is_some()),
        "{busy:?}"
    );
    let hard = v1::InvalidateRequest { mode: 0, ..soft };
    invalidate(&mut sidecar, hard).await;
    let got = get(&mut sidecar, stale_ok).await;
    assert!(matches!(got, Got::Missing(_)), "{got:?}");
}

#[tokio::test]
async fn a_watch_is_spared_what_its_filter_excludes() {
    let mut sidecar = start().await;
    let filter = v1::WatchRequest {
        prefixes: vec!["user:".into()],
        tags: vec!["t".into()],
        ..v1::WatchRequest::default()
    };
    let mut events = sidecar.cache.watch(filter).await.unwrap().into_inner();
    let started = events.message().await.unwrap().unwrap();
    assert!(matches!(started.event, Some(Event::Started(_))));
    let of = |keys: &[&str], tags: &[&str], prefixes: &[&str]| {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        v1::InvalidateRequest {
            keys: texts(keys),
            tags: texts(tags),
            prefixes: texts(prefixes),
            ..v1::InvalidateRequest::default()
        }
    };
    for request in [
        of(&["order:1"], &[], &[]),
        of(&[], &["other"], &[]),
        of(&[], &[], &["order:"]),
        of(&[], &[], &["us"]),
    ] {
        invalidate(&mut sidecar, request).await;
    }
    let event = events.message().await.unwrap().unwrap().event;
    let Some(Event::Invalidation(invalidation)) = event else {
        panic!("{event:?}")
    };
    assert_eq!(invalidation.prefixes, ["us"]);
    assert_eq!(invalidation.mode(), v1::InvalidateMode::Hard);
}

async fn explain(sidecar: &mut Serving, key: &str) -> v1::ExplainResponse {
    let request = v1::ExplainRequest {
        namespace: String::new(),
        key: key.into(),
    };
    sidecar.admin.explain(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn an_explanation_says_where_why_and_who_and_never_the_value() {
    let mut sidecar = start().await;
    let given = v1::SetRequest {
        ttl: seconds(60),
        valid_for: seconds(30),
        tags: vec!["red".into()],
        source_version: Some(7),
        ..text("a:k", "sesame")
    };
    set(&mut sidecar, given).await;
    let told = explain(&mut sidecar, "a:k").await;
    assert!(!format!("{told:?}").contains("sesame"));
    assert_eq!(told.session_state(), v1::SessionState::Fresh);
    let held = told.l1.unwrap();
    let judged = held.judgement.unwrap();
    assert_eq!(judged.judgement(), v1::Judgement::Fresh);
    assert_eq!((held.value_bytes, held.source_version), (6, Some(7)));
    let life = held.life.unwrap();
    assert_eq!((life.ttl, life.given_ttl), (seconds(30), seconds(60)));
    assert_eq!(life.valid_for, seconds(30));
    let by = (life.ttl_by(), life.stale_for_by());
    assert_eq!(by, (v1::Giver::Writer, v1::Giver::Namespace));
    let written = &told.changes[0];
    assert!(written.write && held.as_of.ends_with(&format!("-{}", written.sequence)));
    let mut soft = tonic::Request::new(v1::InvalidateRequest {
        tags: vec!["red".into()],
        mode: v1::InvalidateMode::Soft.into(),
        reason: "repainted".into(),
        ..v1::InvalidateRequest::default()
    });
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    soft.metadata_mut()
        .insert("traceparent", trace.parse().unwrap());
    let done = sidecar.cache.invalidate(soft).await.unwrap().into_inner();
    let told = explain(&mut sidecar, "a:k").await;
    let judged = told.l1.unwrap().judgement.unwrap();
    assert_eq!(judged.judgement(), v1::Judgement::Stale);
    assert_eq!(judged.decider(), v1::Decider::Floor);
    let floor = judged.floor.unwrap();
    assert_eq!(
        (floor.kind(), floor.name.as_str()),
        (v1::FloorKind::Tag, "red")
    );
    assert!(
        done.position.ends_with(&format!("-{}", floor.soft)),
        "{floor:?}"
    );
    let last = &told.changes[0];
    assert_eq!(
        (last.sequence, last.reason.as_str()),
        (floor.soft, "repainted")
    );
    assert_eq!(last.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(last.origin, sidecar.status().await.session);
}

#[tokio::test]
async fn a_trace_is_read_from_the_request_before_the_metadata_and_bad_metadata_is_none() {
    let mut sidecar = start().await;
    let trace =
        |first: &str| format!("00-{first}bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    for (field, metadata, expected) in [
        (trace("1"), trace("2"), "1bf92f3577b34da6a3ce929d0e0e4736"),
        (
            String::new(),
            trace("2"),
            "2bf92f3577b34da6a3ce929d0e0e4736",
        ),
        (String::new(), "garbage".into(), ""),
    ] {
        let mut request = tonic::Request::new(v1::InvalidateRequest {
            keys: vec!["k".into()],
            traceparent: field,
            ..v1::InvalidateRequest::default()
        });
        request
            .metadata_mut()
            .insert("traceparent", metadata.parse().unwrap());
        sidecar.cache.invalidate(request).await.unwrap();
        let told = explain(&mut sidecar, "k").await;
        assert_eq!(told.changes[0].trace_id, expected);
    }
}

#[tokio::test]
async fn what_was_never_there_is_an_answer_and_a_bad_name_is_refused() {
    let mut sidecar = start().await;
    let told = explain(&mut sidecar, "never").await;
    assert_eq!((told.l1, told.remote.unwrap().holds), (None, None));
    assert_eq!(told.changes, []);
    let request = v1::ExplainRequest {
        namespace: "No Namespace".into(),
        key: "k".repeat(513),
    };
    let status = sidecar.admin.explain(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(fields(&status), ["namespace", "key"]);
    let told = explain(&mut sidecar, "never").await;
    assert_eq!(told.changes, [], "asking leaves no trace");
}

#[tokio::test]
async fn absurd_requests_are_refused_with_every_field() {
    let mut sidecar = start().await;
    let abandon = v1::AbandonRequest {
        lease_token: "nonsense".into(),
        serve_stale_for: seconds(0),
        retry_after: seconds(301),
    };
    let status = sidecar.cache.abandon(abandon).await.unwrap_err();
    assert_eq!(fields(&status), ["serve_stale_for", "retry_after"]);
    let invalidate = v1::InvalidateRequest {
        prefixes: vec![String::new()],
        tags: vec!["t".into(); 10_000],
        mode: 9,
        traceparent: "00-garbage".into(),
        ..v1::InvalidateRequest::default()
    };
    let status = sidecar.cache.invalidate(invalidate).await.unwrap_err();
    let wrong = ["tags", "prefixes[0]", "mode", "traceparent"];
    assert_eq!(fields(&status), wrong);
    let watch = v1::WatchRequest {
        keys: vec!["k".into(); 257],
        tags: vec![String::new()],
        ..v1::WatchRequest::default()
    };
    let status = sidecar.cache.watch(watch).await.unwrap_err();
    assert_eq!(fields(&status), ["keys", "tags[0]"]);
    let set = v1::SetRequest {
        if_absent: Some(v1::IfAbsent {}),
        ack: v1::Ack::Local.into(),
        jitter: seconds(-1),
        ..text("k", "v")
    };
    let status = sidecar.cache.set(set).await.unwrap_err();
    assert_eq!(fields(&status), ["jitter", "if_absent"]);
    assert_eq!(status.code(), Code::InvalidArgument);
    // A fleet does not end at a position that nobody gave out.
    let future = v1::SetRequest {
        position: format!("{:016x}-{}", 1, u64::MAX),
        ..text("k", "v")
    };
    let wrote = set_outcome(&mut sidecar, future).await;
    assert_eq!(wrote, v1::NotStoredReason::PositionTooOld, "another epoch");
}

async fn set_outcome(sidecar: &mut Serving, request: v1::SetRequest) -> v1::NotStoredReason {
    match set(sidecar, request).await {
        Wrote::NotStored(not) => not.reason(),
        other => panic!("{other:?}"),
    }
}
