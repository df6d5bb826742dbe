//! Renew: a lease lasts as long as its holder renews it, and not longer than
//! the key stays as it was at the grant.

use crate::calls::{duration, get, invalidate, patient, reason, text};
use crate::fleet::Fleet;
use crate::lease::{fill, granted};
use std::time::Duration;
use tonic::{Code, Status};
use unstale_proto::v1::{
    Ack, Granted, LeaseRequest, RenewRequest, VoidedReason, fill_response, lease_response,
    renew_response,
};
use unstale_tests::Sidecar;

/// Short beside the waits, long beside a busy machine's hiccups.
const TERM: Duration = Duration::from_secs(1);
/// Renewals in a row.
const RENEWALS: u32 = 12;

async fn lease(pod: &Sidecar, wait: Duration) -> lease_response::Result {
    let request = LeaseRequest {
        key: "k".into(),
        term: Some(duration(TERM)),
        wait: Some(duration(wait)),
        ..LeaseRequest::default()
    };
    let answer = pod.cache().lease(patient(request)).await;
    let answer = answer.expect("Lease answers").into_inner();
    answer.result.expect("a result")
}

async fn renew(pod: &Sidecar, token: &str) -> Result<renew_response::Result, Status> {
    let request = RenewRequest {
        lease_token: token.into(),
    };
    let answer = pod.cache().renew(patient(request)).await?.into_inner();
    Ok(answer.result.expect("a result"))
}

fn renewed(result: renew_response::Result) {
    match result {
        renew_response::Result::Renewed(renewed) => assert_eq!(renewed.term, Some(duration(TERM))),
        other => panic!("not renewed: {other:?}"),
    }
}

fn voided(result: renew_response::Result) -> VoidedReason {
    match result {
        renew_response::Result::Voided(voided) => voided.reason(),
        other => panic!("not voided: {other:?}"),
    }
}

#[tokio::test]
async fn a_renewed_lease_outlives_its_term_and_the_second_caller_stays_busy() {
    let fleet = Fleet::of(2).await;
    let [holder, other] = &fleet.pods[..] else {
        panic!("two pods");
    };
    let token = granted(lease(holder, Duration::ZERO).await);
    let renewing = async {
        // The pace of a holder that works: four renewals in a term.
        let mut pace = tokio::time::interval(TERM / 4);
        for _ in 0..RENEWALS {
            pace.tick().await;
            renewed(renew(holder, &token).await.expect("Renew answers"));
        }
    };
    let waiting = lease(other, TERM / 4 * (RENEWALS - 1));
    let ((), waited) = tokio::join!(renewing, waiting);
    assert!(
        matches!(waited, lease_response::Result::Busy(_)),
        "{waited:?}"
    );
    let filled = fill(holder, &token, "late").await.expect("Fill answers");
    assert!(
        matches!(filled, fill_response::Result::Stored(_)),
        "{filled:?}"
    );
    match lease(other, TERM).await {
        lease_response::Result::Hit(entry) => assert_eq!(text(&entry), "late"),
        other => panic!("no hit: {other:?}"),
    }
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_goes_to_who_waits_and_is_lost_for_its_holder() {
    let fleet = Fleet::of(2).await;
    let [first, second] = &fleet.pods[..] else {
        panic!("two pods");
    };
    let lost = granted(lease(first, Duration::ZERO).await);
    let waited = lease(second, TERM * 10).await;
    let lease_response::Result::Granted(Granted { lease_token, .. }) = waited else {
        panic!("not granted after the term: {waited:?}");
    };
    let late = renew(first, &lost).await.expect("Renew answers");
    assert_eq!(voided(late), VoidedReason::Expired);
    let filled = fill(second, &lease_token, "second").await;
    let filled = filled.expect("Fill answers");
    assert!(
        matches!(filled, fill_response::Result::Stored(_)),
        "{filled:?}"
    );
    assert_eq!(get(second, "k").await.as_deref(), Some("second"));
}

#[tokio::test]
async fn after_an_invalidation_renew_says_voided_and_so_does_fill() {
    let fleet = Fleet::of(2).await;
    let [holder, other] = &fleet.pods[..] else {
        panic!("two pods");
    };
    let token = granted(lease(holder, Duration::ZERO).await);
    renewed(renew(holder, &token).await.expect("Renew answers"));
    invalidate(other, "k", Ack::Fleet).await.expect("OK");
    for _ in 0..2 {
        let result = renew(holder, &token).await.expect("Renew answers");
        assert_eq!(voided(result), VoidedReason::Invalidated);
    }
    match fill(holder, &token, "stale").await.expect("Fill answers") {
        fill_response::Result::Voided(voided) => {
            assert_eq!(voided.reason(), VoidedReason::Invalidated);
        }
        other => panic!("not voided: {other:?}"),
    }
    let used = renew(holder, &token).await.expect_err("it was used");
    let expected = (Code::FailedPrecondition, "UNKNOWN_LEASE".to_owned());
    assert_eq!(reason(&used), expected);
    assert_eq!(get(holder, "k").await, None);
}

#[tokio::test]
async fn a_renew_whose_caller_goes_away_leaves_the_lease_to_its_holder() {
    let fleet = Fleet::of(1).await;
    let holder = &fleet.pods[0];
    let token = granted(lease(holder, Duration::ZERO).await);
    // Keeps the renewal under way, for less than the session or the term lasts.
    fleet.nats.pause();
    tokio::select! {
        result = renew(holder, &token) => panic!("without a server: {result:?}"),
        // Answered after the renewal arrived, which is dropped then.
        _ = holder.status() => {}
    }
    holder.status().await;
    fleet.nats.go_on();
    let filled = fill(holder, &token, "v").await.expect("Fill answers");
    assert!(
        matches!(
            filled,
            fill_response::Result::Stored(_) | fill_response::Result::Voided(_)
        ),
        "{filled:?}"
    );
}

#[tokio::test]
async fn a_fill_while_a_renew_is_under_way_knows_the_lease() {
    let fleet = Fleet::of(1).await;
    let holder = &fleet.pods[0];
    let token = granted(lease(holder, Duration::ZERO).await);
    fleet.nats.pause();
    let filling = async {
        holder.status().await;
        let filling = fill(holder, &token, "v");
        let go_on = async {
            holder.status().await;
            fleet.nats.go_on();
        };
        tokio::join!(filling, go_on).0
    };
    let (_renewed, filled) = tokio::join!(renew(holder, &token), filling);
    let filled = filled.expect("Fill answers");
    assert!(
        matches!(
            filled,
            fill_response::Result::Stored(_) | fill_response::Result::Voided(_)
        ),
        "{filled:?}"
    );
}
