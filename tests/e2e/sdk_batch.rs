//! Batches and conditions of the Rust client on real sidecars.

use crate::fleet::Fleet;
use crate::sdk::client;
use std::collections::HashSet;
use unstale::{
    Ack, CasOutcome, Content, EntryOptions, Error, Expected, Invalidate, LeaseOptions, Leased,
    Lookup, NotStoredReason, ReadLevel, ReadOptions, SetItem, SetOptions, SetOutcome,
};
use unstale_tests::Sidecar;

#[tokio::test]
async fn of_a_batch_each_write_is_decided_by_itself() {
    let fleet = Fleet::of(2).await;
    let (one, two) = (client(&fleet.pods[0]).await, client(&fleet.pods[1]).await);
    one.set("present", "here").await.expect("stored");
    let before = one.get("covered").await.expect("Get answers").position;
    let covered = one.invalidate(Invalidate::default().key("covered")).await;
    covered.expect("OK");
    let items = [
        SetItem::new("a", "1"),
        SetItem::new("covered", "old").position(before),
        SetItem::new("present", "other").if_absent(),
        SetItem::new("nothing", Content::NotFound),
    ];
    let written = one
        .set_many(items, Ack::Log)
        .await
        .expect("BatchSet answers");
    let reason = |outcome: &Result<SetOutcome, Error>| match outcome {
        Ok(SetOutcome::Stored { .. }) => None,
        Ok(SetOutcome::NotStored { reason, .. }) => Some(reason.clone()),
        Err(error) => panic!("{error:?}"),
    };
    let reasons: Vec<_> = written.result.iter().map(reason).collect();
    let (covered, present) = (NotStoredReason::Covered, NotStoredReason::Present);
    assert_eq!(reasons, [None, Some(covered), Some(present), None]);
    let reads = two.after(written.position);
    let read = reads.get_many(["a", "covered", "present", "nothing"]).await;
    let read = read.expect("BatchGet answers").result;
    assert!(matches!(
        &read[..],
        [
            Lookup::Hit(_),
            Lookup::Miss,
            Lookup::Hit(_),
            Lookup::Negative(_)
        ]
    ));
}

#[tokio::test]
async fn a_batch_of_leases_has_a_token_for_each_key() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    cache.set("hit", "v").await.expect("stored");
    let keys = ["a", "hit", "b", "c"];
    let leased = cache.lease_many(keys, LeaseOptions::default()).await;
    let leased = leased.expect("BatchLease answers").result;
    assert!(matches!(leased[1], Leased::Hit(_)), "{leased:?}");
    let granted = leased.into_iter().filter_map(|leased| match leased {
        Leased::Granted(grant) => Some(grant.token),
        _ => None,
    });
    let tokens: HashSet<_> = granted.collect();
    assert_eq!(tokens.len(), 3);
    for token in &tokens {
        let filled = cache.fill(token, "v", EntryOptions::default()).await;
        filled.expect("Fill answers");
    }
    let all = cache.get_many(keys).await.expect("BatchGet answers").result;
    assert!(
        all.iter().all(|one| matches!(one, Lookup::Hit(_))),
        "{all:?}"
    );
}

#[tokio::test]
async fn what_is_held_is_not_sent_again_and_can_be_replaced_by_its_etag() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    cache.set("k", "v").await.expect("stored");
    let Lookup::Hit(entry) = cache.get("k").await.expect("Get answers").result else {
        panic!("a hit");
    };
    let held = || ReadOptions::default().if_none_match(entry.etag.as_str());
    let read = cache.get_with("k", held().level(ReadLevel::Strong)).await;
    let read = read.expect("Get answers").result;
    assert!(matches!(read, Lookup::NotModified(_)), "{read:?}");
    let batch = cache.get_many_with(["k"], held()).await;
    assert!(matches!(batch, Err(Error::Invalid { .. })), "{batch:?}");
    let swap = |value| {
        let expected = Expected::Etag(entry.etag.clone());
        cache.compare_and_set("k", expected, value, EntryOptions::default(), Ack::Log)
    };
    let first = swap("w").await.expect("CompareAndSet answers").result;
    assert!(matches!(first, CasOutcome::Stored { .. }), "{first:?}");
    let second = swap("x").await.expect("CompareAndSet answers").result;
    let conflict = matches!(second, CasOutcome::Conflict { reason: None, .. });
    assert!(conflict, "{second:?}");
}

#[tokio::test]
async fn a_position_of_the_future_is_refused_with_its_reason() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    let position = cache.get("k").await.expect("Get answers").position;
    let (epoch, _) = position.split_once('-').expect("a position");
    let far = SetOptions::default().position(format!("{epoch}-1000000"));
    let set = cache.set_with("k", "v", far).await.expect("Set answers");
    let unknown = NotStoredReason::PositionUnknown;
    assert!(
        matches!(&set.result, SetOutcome::NotStored { reason, .. } if *reason == unknown),
        "{set:?}"
    );
}
