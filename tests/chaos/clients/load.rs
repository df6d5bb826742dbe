//! Loading what is missing: under a lease, or with the position of the miss.
//! The origin is read after that, as a loader must.

use super::read::judge;
use super::{READ, rest, within};
use crate::checker::{GROUPS, KEYS, name};
use crate::fleet::Fleet;
use fastrand::Rng;
use std::time::Instant;
use unstale_proto::v1::{
    BatchLeaseRequest, FillRequest, GetRequest, SetRequest, batch_lease_result, fill_request,
    get_response, set_request,
};

/// Loads for ever.
pub(super) async fn loads(fleet: &Fleet, pod: usize, mut rng: Rng) {
    loop {
        if rng.u8(..4) == 0 {
            let key = rng.usize(..KEYS);
            load_and_set(fleet, pod, key).await;
        } else {
            lease_and_fill(fleet, pod).await;
        }
        rest(fleet, 2).await;
    }
}

fn text(fleet: &Fleet, key: usize) -> String {
    let lie = u64::from(fleet.shape.lies);
    format!("{}:{}", name(key), fleet.checker.origin(key) - lie)
}

fn tags(key: usize) -> Vec<String> {
    vec![format!("t{}", key % GROUPS)]
}

/// Asks for the lease of every key, and fills those that are granted.
async fn lease_and_fill(fleet: &Fleet, pod: usize) {
    let keys: Vec<_> = (0..KEYS).collect();
    let began = fleet.checker.begin(pod);
    let required = fleet.checker.required(&began, &keys);
    let request = BatchLeaseRequest {
        keys: keys.iter().map(|&key| name(key)).collect(),
        term: Some(prost_types::Duration {
            seconds: 1,
            nanos: 0,
        }),
        ..BatchLeaseRequest::default()
    };
    let answer = fleet.pods[pod]
        .cache()
        .batch_lease(within(request, READ))
        .await;
    let Ok(answer) = answer else { return };
    fleet.history.count(KEYS);
    let mut granted = Vec::new();
    for (key, result) in answer.into_inner().results.into_iter().enumerate() {
        match result.result {
            Some(batch_lease_result::Result::Hit(entry)) => {
                judge(fleet, &began, (key, required[key]), &entry);
            }
            Some(batch_lease_result::Result::Granted(granted_one)) => {
                granted.push(fill(fleet, pod, key, granted_one.lease_token));
            }
            _ => {}
        }
    }
    futures::future::join_all(granted).await;
}

async fn fill(fleet: &Fleet, pod: usize, key: usize, token: String) {
    let value = text(fleet, key);
    let request = FillRequest {
        lease_token: token,
        value: Some(fill_request::Value::Text(value.clone())),
        tags: tags(key),
        ..FillRequest::default()
    };
    let asked = Instant::now();
    let answer = fleet.pods[pod].cache().fill(within(request, READ)).await;
    fleet.history.count(1);
    let result = answer.map(|answer| answer.into_inner().result);
    let result = result.map_err(|e| e.code());
    let took = asked.elapsed();
    let what = format!("pod {pod} filled {value} in {took:?}: {result:?}");
    fleet.history.tell(Some(key), what);
}

/// Get, and if it misses, Set with the position of that answer.
async fn load_and_set(fleet: &Fleet, pod: usize, key: usize) {
    let request = GetRequest {
        key: name(key),
        ..GetRequest::default()
    };
    let answer = fleet.pods[pod].cache().get(within(request, READ)).await;
    let Ok(answer) = answer else { return };
    let answer = answer.into_inner();
    fleet.history.count(1);
    let missed = matches!(answer.result, Some(get_response::Result::Missing(_)));
    if !missed || answer.position.is_empty() {
        return;
    }
    let value = text(fleet, key);
    let request = SetRequest {
        key: name(key),
        value: Some(set_request::Value::Text(value.clone())),
        tags: tags(key),
        position: answer.position,
        ..SetRequest::default()
    };
    let asked = Instant::now();
    let set = fleet.pods[pod].cache().set(within(request, READ)).await;
    fleet.history.count(1);
    let result = set.map(|answer| answer.into_inner().result);
    let result = result.map_err(|e| e.code());
    let took = asked.elapsed();
    let what = format!("pod {pod} set {value} in {took:?}: {result:?}");
    fleet.history.tell(Some(key), what);
}
