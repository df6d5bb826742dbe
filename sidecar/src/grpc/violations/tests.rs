//! What a caller is told about a bad request.

use super::*;
use crate::grpc::depends::Dependent;
use crate::grpc::storing::Allowed;
use bytes::Bytes;
use prost_types::Duration as Given;
use tonic_types::StatusExt as _;
use unstale_engine::policy::Policy;

fn refused<T: std::fmt::Debug>(wrong: Violations, parts: Option<T>) -> (Status, Vec<String>) {
    let status = wrong.finish(parts).unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    let details = status.get_error_details();
    let named = &details
        .bad_request()
        .expect("a BadRequest")
        .field_violations;
    let fields = named.iter().map(|v| v.field.clone()).collect();
    (status, fields)
}

/// Of no known namespace.
const NOBODY: Dependent<'static> = Dependent {
    namespace: None,
    key: "own",
};

fn on(key: &str) -> v1::Dependency {
    v1::Dependency {
        key: key.into(),
        version: String::new(),
    }
}

fn seconds(seconds: i64) -> Option<Given> {
    Some(Given { seconds, nanos: 0 })
}

#[test]
fn every_violation_of_a_request_is_reported_at_once() {
    let mut wrong = Violations::default();
    let namespace = wrong.namespace("Bad Namespace");
    let key = wrong.key(namespace.as_ref(), "");
    let mut request = v1::SetRequest {
        content_type: "c".repeat(129),
        ttl: seconds(0),
        stale_for: seconds(-1),
        valid_for: seconds(0),
        jitter: seconds(i64::MAX),
        tags: vec!["t".into(); 17],
        depends_on: vec![on("a"), on("own"), on("a"), on("")],
        ..v1::SetRequest::default()
    };
    let entry = wrong.entry(&mut request, &Allowed::by(Policy::default()), &NOBODY);
    wrong.position("position", "nonsense");
    wrong.ack(99);
    wrong.level(99);
    wrong.mode(99);
    let (_, fields) = refused(wrong, key.zip(entry));
    let expected = "namespace key content_type value ttl stale_for valid_for jitter tags \
                    depends_on[1].key depends_on[2].key depends_on[3].key position ack level mode";
    assert_eq!(fields, expected.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn a_hopeless_batch_has_a_short_answer_that_counts_the_rest() {
    let mut wrong = Violations::default();
    let mut items = vec![
        v1::BatchSetItem {
            key: "k".repeat(513),
            tags: vec![String::new(); 16],
            ..v1::BatchSetItem::default()
        };
        256
    ];
    let allowed = Allowed::by(Policy::default());
    let writes = wrong.writes(&mut items, None, &allowed, None);
    let (status, fields) = refused(wrong, writes.map(|_| ()));
    // Some keys are named twice, and each item has 17 more violations.
    assert!(fields.len() <= NAMED, "{}", fields.len());
    assert_eq!(fields[0], "items[1].key");
    let all = 255 + 256 * 18;
    let more = format!("; and {} more", all - 8);
    assert!(status.message().ends_with(&more), "{}", status.message());
    assert!(status.message().len() + status.details().len() * 4 / 3 < 8 * 1024);
}

#[test]
fn the_fields_of_an_item_are_named_by_its_place() {
    let mut wrong = Violations::default();
    let shop = Namespace::new("shop").ok();
    let good = v1::BatchSetItem {
        key: "a".into(),
        value: Some(v1::batch_set_item::Value::NotFound(v1::NotFound {})),
        ..v1::BatchSetItem::default()
    };
    let bad = v1::BatchSetItem {
        content_type: "x".into(),
        position: "0000000000000001-1".into(),
        if_absent: Some(v1::IfAbsent {}),
        ..good.clone()
    };
    let allowed = Allowed::by(Policy::default());
    let ack = Some(Ack::Local);
    let writes = wrong.writes(&mut [good, bad], shop.as_ref(), &allowed, ack);
    let (_, fields) = refused(wrong, writes.map(|_| ()));
    let expected = "items[1].key items[1].content_type items[1].if_absent items[1].if_absent";
    assert_eq!(fields, expected.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn a_dependency_in_a_batch_is_named_by_its_place_in_both() {
    let mut wrong = Violations::default();
    let shop = Namespace::new("shop").ok();
    let item = v1::BatchSetItem {
        key: "a".into(),
        value: Some(v1::batch_set_item::Value::NotFound(v1::NotFound {})),
        depends_on: vec![on("b"), on("a")],
        ..v1::BatchSetItem::default()
    };
    let many = v1::BatchSetItem {
        key: "c".into(),
        depends_on: vec![on("b"); limits::DEPENDENCIES + 1],
        ..item.clone()
    };
    let long = v1::BatchSetItem {
        key: "d".into(),
        depends_on: vec![on(&"b".repeat(limits::KEY_BYTES + 1))],
        ..item.clone()
    };
    let allowed = Allowed::by(Policy::default());
    let writes = wrong.writes(&mut [item, many, long], shop.as_ref(), &allowed, None);
    let (_, fields) = refused(wrong, writes.map(|_| ()));
    let expected = "items[0].depends_on[1].key items[1].depends_on items[2].depends_on[0].key";
    assert_eq!(fields, expected.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn a_value_over_its_namespaces_limit_has_its_own_reason_with_the_limit() {
    let mut wrong = Violations::default();
    let mut request = v1::FillRequest {
        value: Some(v1::fill_request::Value::Data(Bytes::from(vec![0; 11]))),
        ttl: seconds(61),
        ..v1::FillRequest::default()
    };
    let allowed = Allowed::by(Policy {
        max_value_bytes: 10,
        max_ttl: Duration::from_secs(60),
        ..Policy::default()
    });
    let entry = wrong.entry(&mut request, &allowed, &NOBODY);
    let (status, fields) = refused(wrong, entry);
    assert_eq!(fields, ["data", "ttl"]);
    assert!(
        status
            .message()
            .contains("at most 10 are allowed in namespace default")
    );
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.reason, "VALUE_TOO_LARGE");
    let metadata = ["limit_bytes", "max_ttl", "namespace"].map(|name| &info.metadata[name]);
    assert_eq!(metadata, ["10", "60s", "default"]);
}

#[test]
fn values_that_are_too_much_together_are_refused_with_the_batch_limit() {
    let mut wrong = Violations::default();
    let shop = Namespace::new("shop").ok();
    let item = |key: u32| v1::BatchSetItem {
        key: key.to_string(),
        value: Some(v1::batch_set_item::Value::Data(vec![0; 1 << 19].into())),
        ..v1::BatchSetItem::default()
    };
    let allowed = Allowed::by(Policy::default());
    let mut nine: Vec<_> = (0..9).map(item).collect();
    let writes = wrong.writes(&mut nine, shop.as_ref(), &allowed, Some(Ack::Log));
    let (status, fields) = refused(wrong, writes.map(|_| ()));
    assert_eq!(fields, ["items"]);
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "BATCH_TOO_LARGE");
    let mut eight: Vec<_> = (0..8).map(item).collect();
    let mut wrong = Violations::default();
    let writes = wrong.writes(&mut eight, shop.as_ref(), &allowed, Some(Ack::Log));
    assert_eq!(wrong.finish(writes).unwrap().len(), 8);
}

#[test]
fn absurd_and_malformed_durations_are_refused() {
    let bounds = (limits::TTL_MIN, limits::TTL_MAX);
    let judged = |seconds, nanos| {
        let mut wrong = Violations::default();
        let ttl = Some(Given { seconds, nanos });
        wrong.duration("ttl", ttl, bounds)
    };
    let absurd = [
        (0, 0),
        (-1, 0),
        (0, -1),
        (0, 999_999),
        (31 * 86_400, 0),
        (i64::MAX, 999_999_999),
        (i64::MIN, i32::MIN),
        (1, -1),
        (-1, 1),
        (1, 1_000_000_000),
        (1, i32::MAX),
    ];
    for (seconds, nanos) in absurd {
        assert_eq!(judged(seconds, nanos), None, "{seconds} {nanos}");
    }
    assert_eq!(judged(0, 1_000_000), Some(limits::TTL_MIN));
    assert_eq!(judged(30 * 86_400, 0), Some(limits::TTL_MAX));
}

#[test]
fn a_repeated_tag_is_one_and_an_empty_prefix_is_told_about_all() {
    let mut wrong = Violations::default();
    let tags = ["a".to_owned(), "a".to_owned()];
    assert_eq!(wrong.tags(&tags, limits::TAGS).unwrap().len(), 1);
    let prefixes = wrong.prefixes(&["a:".into(), String::new()]);
    let (status, fields) = refused(wrong, prefixes);
    assert_eq!(fields, ["prefixes[1]"]);
    assert!(
        status.message().contains("give all"),
        "{}",
        status.message()
    );
    let mut wrong = Violations::default();
    assert_eq!(
        wrong.prefixes(&vec!["a".into(); limits::PREFIXES + 1]),
        None
    );
}
