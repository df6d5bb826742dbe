//! Batches across pods: each part is decided by itself, and a bad batch is
//! refused as a whole with an answer that stays small.

use crate::calls::{patient, reason};
use crate::fleet::Fleet;
use crate::words::{gone, grant, put, read};
use std::collections::HashSet;
use tonic::Code;
use tonic_types::StatusExt as _;
use unstale::{
    Ack, EntryOptions, Filled, Invalidate, LeaseOptions, Leased, Lookup, NotStoredReason, SetItem,
    SetOutcome, Voided,
};
use unstale_proto::v1::{BatchSetItem, BatchSetRequest, batch_set_item};

/// Most keys of a batch.
const MOST: usize = 256;

#[tokio::test]
async fn of_a_full_batch_what_is_refused_does_not_touch_the_rest() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let known = EntryOptions::default().source_version(5);
    put(&pods[1], "k0", "known", known).await;
    let before = pods[1].get("k1").await.expect("Get answers").position;
    gone(&pods[1], Invalidate::default().key("k1")).await;
    put(&pods[1], "k2", "present", EntryOptions::default()).await;
    let position = gone(&pods[1], Invalidate::default().key("elsewhere")).await;
    assert_eq!(read(&pods[0].after(position), "k1").await, None);
    let items = (0..MOST).map(|i| {
        let item = SetItem::new(format!("k{i}"), format!("v{i}"));
        match i {
            0 => item.entry(EntryOptions::default().source_version(4)),
            1 => item.position(before.clone()),
            2 => item.if_absent(),
            _ => item,
        }
    });
    let written = pods[0].set_many(items, Ack::Log).await;
    let written = written.expect("BatchSet answers");
    let refusals = [
        NotStoredReason::OlderSourceVersion {
            min_source_version: 5,
        },
        NotStoredReason::Covered,
        NotStoredReason::Present,
    ];
    for (i, outcome) in written.result.iter().enumerate() {
        match (outcome.as_ref().expect("no error"), refusals.get(i)) {
            (SetOutcome::Stored { .. }, None) => {}
            (SetOutcome::NotStored { reason, .. }, Some(why)) => assert_eq!(reason, why),
            other => panic!("k{i}: {other:?}"),
        }
    }
    let keys = (0..MOST).map(|i| format!("k{i}"));
    let found = pods[1].after(written.position).get_many(keys).await;
    let found = found.expect("BatchGet answers").result;
    let missing = |l: &&Lookup| matches!(l, Lookup::Miss);
    assert_eq!(found.iter().filter(missing).count(), 1, "k1 alone");
}

#[tokio::test]
async fn each_key_of_a_batch_has_a_token_that_fills_that_key_alone() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let held = grant(&pods[1], "k7").await;
    let keys: Vec<_> = (0..MOST).map(|i| format!("k{i}")).collect();
    let leased = pods[0].lease_many(keys.clone(), LeaseOptions::default());
    let leased = leased.await.expect("BatchLease answers").result;
    let mut tokens = HashSet::from([held.token.clone()]);
    for (i, leased) in leased.iter().enumerate() {
        match (i, leased) {
            (7, Leased::Busy { .. }) => {}
            (_, Leased::Granted(grant)) => assert!(tokens.insert(grant.token.clone())),
            other => panic!("{other:?}"),
        }
    }
    let mut position = String::new();
    for (key, leased) in keys.iter().zip(&leased) {
        let Leased::Granted(grant) = leased else {
            continue;
        };
        let filled = pods[0].fill(&grant.token, key.as_str(), EntryOptions::default());
        let filled = filled.await.expect("Fill answers");
        assert!(matches!(filled.result, Filled::Stored { .. }), "{filled:?}");
        position = filled.position;
    }
    for key in keys.iter().filter(|key| *key != "k7") {
        let seen = read(&pods[1].after(&position), key).await;
        assert_eq!(seen.as_ref(), Some(key));
    }
}

#[tokio::test]
async fn of_a_batch_of_leases_one_invalidation_voids_one() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    let keys = ["a", "b", "c"];
    let leased = pods[0].lease_many(keys, LeaseOptions::default()).await;
    let leased = leased.expect("BatchLease answers").result;
    let position = gone(&pods[1], Invalidate::default().key("b")).await;
    assert_eq!(read(&pods[0].after(position), "b").await, None);
    for (key, leased) in keys.iter().zip(leased) {
        let Leased::Granted(grant) = leased else {
            panic!("{leased:?}");
        };
        let filled = pods[0].fill(&grant.token, "v", EntryOptions::default());
        let filled = filled.await.expect("Fill answers").result;
        match *key {
            "b" => assert_eq!(filled, Filled::Voided(Voided::Invalidated)),
            _ => assert!(matches!(filled, Filled::Stored { .. }), "{filled:?}"),
        }
    }
}

#[tokio::test]
async fn ten_thousand_tags_across_a_batch_are_refused_with_few_words() {
    let fleet = Fleet::of(1).await;
    let pod = &fleet.pods[0];
    let appended = pod.metric("unstale_log_appended_total").await;
    let item = |i: usize, tags: usize, tag: &str| BatchSetItem {
        key: format!("k{i}"),
        value: Some(batch_set_item::Value::Text("v".into())),
        tags: (0..tags).map(|t| format!("{tag}{t}")).collect(),
        ..BatchSetItem::default()
    };
    let long = "t".repeat(200);
    let batches = [
        // Too many of each.
        (0..MOST).map(|i| item(i, 40, "t")).collect(),
        // Each of them too long.
        (0..MOST).map(|i| item(i, 16, &long)).collect(),
        // Too many items as well.
        (0..10_000).map(|i| item(i, 1, "")).collect::<Vec<_>>(),
    ];
    for items in batches {
        let request = BatchSetRequest {
            items,
            ..BatchSetRequest::default()
        };
        let refused = pod.cache().batch_set(patient(request)).await;
        let refused = refused.expect_err("it must be refused");
        let expected = (Code::InvalidArgument, "INVALID_REQUEST".to_owned());
        assert_eq!(reason(&refused), expected, "{refused:?}");
        let details = refused.get_error_details();
        let bad = details.bad_request().expect("a BadRequest");
        let named = bad.field_violations.len();
        assert!((1..=64).contains(&named), "{named} violations");
        assert!(refused.message().len() < 4096, "{}", refused.message());
    }
    let now = pod.metric("unstale_log_appended_total").await;
    assert_eq!(now, appended, "nothing of it was done");
    // As many as are allowed: 4,096 tags.
    let items = (0..MOST).map(|i| item(i, 16, "t")).collect();
    let request = BatchSetRequest {
        items,
        ..BatchSetRequest::default()
    };
    let stored = pod.cache().batch_set(patient(request)).await;
    let stored = stored.expect("BatchSet answers").into_inner().results;
    assert_eq!(stored.len(), MOST);
}
