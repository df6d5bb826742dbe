//! A lease token is good on the pod that granted it, and on no other.

use crate::calls::{get, patient, reason};
use crate::fleet::Fleet;
use tonic::Code;
use unstale_proto::v1::{
    AbandonRequest, FillRequest, LeaseRequest, RenewRequest, fill_request, fill_response,
    lease_response,
};

#[tokio::test]
async fn the_token_of_another_pod_is_unknown_and_stays_good_on_its_own() {
    let fleet = Fleet::of(2).await;
    let (mut granting, mut other) = (fleet.pods[0].cache(), fleet.pods[1].cache());
    let lease = granting.lease(patient(LeaseRequest {
        key: "k".into(),
        ..LeaseRequest::default()
    }));
    let leased = lease.await.expect("an answer").into_inner().result;
    let Some(lease_response::Result::Granted(grant)) = leased else {
        panic!("{leased:?}");
    };
    let lease_token = grant.lease_token;
    let fill = FillRequest {
        lease_token: lease_token.clone(),
        value: Some(fill_request::Value::Text("v".into())),
        ..FillRequest::default()
    };
    let expected = (Code::FailedPrecondition, "UNKNOWN_LEASE".to_owned());
    let filled = other.fill(patient(fill.clone())).await;
    assert_eq!(reason(&filled.expect_err("foreign")), expected);
    let renew = RenewRequest {
        lease_token: lease_token.clone(),
    };
    let renewed = other.renew(patient(renew)).await;
    assert_eq!(reason(&renewed.expect_err("foreign")), expected);
    let abandon = AbandonRequest {
        lease_token,
        ..AbandonRequest::default()
    };
    let abandoned = other.abandon(patient(abandon)).await;
    assert_eq!(reason(&abandoned.expect_err("foreign")), expected);
    let filled = granting.fill(patient(fill)).await.expect("an answer");
    let result = filled.into_inner().result;
    assert!(
        matches!(result, Some(fill_response::Result::Stored(_))),
        "{result:?}"
    );
    assert_eq!(get(&fleet.pods[1], "k").await.as_deref(), Some("v"));
}
