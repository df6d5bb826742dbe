//! Changing the origin, and saying so afterwards.

use super::read::saw;
use super::{rest, within};
use crate::checker::{Began, GROUPS, KEYS, Reached, name};
use crate::fleet::Fleet;
use fastrand::Rng;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use unstale_proto::v1::{Ack, InvalidateRequest, InvalidateResponse};

/// Changes and invalidates for ever.
pub(super) async fn changes(fleet: &Fleet, pod: usize, mut rng: Rng) {
    loop {
        let changing = fleet.changing.read().await;
        let (keys, request) = drawn(&mut rng);
        let reached = match rng.u8(..8) {
            0 => Reached::Local,
            1..4 => Reached::Log,
            _ => Reached::Fleet,
        };
        // The outcome is in the history and the checker.
        let _ = change(fleet, pod, &keys, reached, request).await;
        drop(changing);
        rest(fleet, 3).await;
    }
}

/// One key, or all that share a tag and a prefix, named by either.
fn drawn(rng: &mut Rng) -> (Vec<usize>, InvalidateRequest) {
    let group = rng.usize(..GROUPS);
    let mut keys: Vec<_> = (group..KEYS).step_by(GROUPS).collect();
    let mut request = InvalidateRequest::default();
    match rng.u8(..8) {
        0 => request.tags = vec![format!("t{group}")],
        1 => request.prefixes = vec![format!("g{group}:")],
        _ => {
            keys = vec![keys[rng.usize(..keys.len())]];
            request.keys = vec![name(keys[0])];
        }
    }
    (keys, request)
}

/// Changes these keys in the origin and says so to a pod.
pub(crate) async fn change(
    fleet: &Fleet,
    pod: usize,
    keys: &[usize],
    reached: Reached,
    mut request: InvalidateRequest,
) -> Result<(), String> {
    let (ack, patience) = match reached {
        Reached::Local => (Ack::Local, Duration::ZERO),
        Reached::Log => (Ack::Log, Duration::ZERO),
        Reached::Fleet => (Ack::Fleet, fleet.checker.bound()),
    };
    request.ack = ack.into();
    let request = within(request, patience + Duration::from_secs(1));
    let changed = |&key: &usize| (key, fleet.checker.change(key));
    let values: Vec<_> = keys.iter().map(changed).collect();
    let began = fleet.checker.begin(pod);
    let answer = fleet.pods[pod].cache().invalidate(request).await;
    let answer = answer.map(tonic::Response::into_inner);
    if let Ok(done) = &answer {
        saw(fleet, &done.position);
        let position = &done.position;
        fleet.checker.promised(&began, &values, reached, position);
    }
    remember(fleet, &began, (&values, reached), &answer);
    answer.map(drop).map_err(|e| e.to_string())
}

fn remember(
    fleet: &Fleet,
    began: &Began,
    (values, reached): (&[(usize, u64)], Reached),
    answer: &Result<InvalidateResponse, tonic::Status>,
) {
    fleet.history.count(values.len());
    if answer.is_ok() && reached == Reached::Fleet {
        fleet.history.fleets.fetch_add(1, Relaxed);
    }
    let said = match answer {
        Ok(done) => format!("OK at {:?}", done.position),
        Err(e) => format!("{:?} {}", e.code(), e.message()),
    };
    let (pod, took) = (began.pod, began.at.elapsed());
    for (key, value) in values {
        let what = format!("pod {pod} invalidated for {value} ({reached:?}) in {took:?}: {said}");
        fleet.history.tell(Some(*key), what);
    }
}
