//! Reading, in every way that promises something, and judging the answers.

use super::{READ, rest, within};
use crate::checker::{Began, KEYS, Required, name};
use crate::fleet::Fleet;
use fastrand::Rng;
use unstale_proto::v1::{
    BatchGetRequest, Entry, Freshness, GetRequest, ReadLevel, batch_get_result, entry, get_response,
};

/// Reads for ever.
pub(super) async fn reads(fleet: &Fleet, pod: usize, mut rng: Rng) {
    loop {
        match rng.u8(..8) {
            0 => read_one(fleet, pod, &mut rng).await,
            1 => drop(read_all(fleet, pod, ReadLevel::StaleOk).await),
            _ => drop(read_all(fleet, pod, ReadLevel::Bounded).await),
        }
        rest(fleet, 1).await;
    }
}

/// Reads every key; which of them are fresh, and their values.
pub(crate) async fn read_all(
    fleet: &Fleet,
    pod: usize,
    level: ReadLevel,
) -> Option<Vec<Option<u64>>> {
    let keys: Vec<_> = (0..KEYS).collect();
    let began = fleet.checker.begin(pod);
    let required = fleet.checker.required(&began, &keys);
    let request = BatchGetRequest {
        keys: keys.iter().map(|&key| name(key)).collect(),
        level: level.into(),
        ..BatchGetRequest::default()
    };
    let answer = fleet.pods[pod]
        .cache()
        .batch_get(within(request, READ))
        .await;
    let answer = answer.ok()?.into_inner();
    saw(fleet, &answer.position);
    fleet.history.count(KEYS);
    let mut values = vec![None; KEYS];
    for (key, result) in answer.results.into_iter().enumerate() {
        if let Some(batch_get_result::Result::Found(entry)) = result.result {
            values[key] = judge(fleet, &began, (key, required[key]), &entry);
        }
    }
    Some(values)
}

/// An answer named this position.
pub(super) fn saw(fleet: &Fleet, position: &str) {
    if let Some(how) = fleet.checker.saw(position) {
        let what = format!("an epoch {how}: {position}");
        fleet.history.tell(None, what);
    }
}

/// The value, if it is called fresh.
pub(super) fn judge(
    fleet: &Fleet,
    began: &Began,
    of: (usize, Required),
    entry: &Entry,
) -> Option<u64> {
    let text = match &entry.value {
        Some(entry::Value::Text(text)) => text.as_str(),
        _ => "not a text",
    };
    let fresh = entry.freshness() == Freshness::Fresh;
    let value = fleet.checker.judge(began, of, text, fresh);
    fleet.history.read(began.pod, of.0, value, began.at);
    fresh.then_some(value)
}

/// One key, as of now or after a position.
async fn read_one(fleet: &Fleet, pod: usize, rng: &mut Rng) {
    let key = rng.usize(..KEYS);
    let began = fleet.checker.begin(pod);
    let mut required = fleet.checker.required(&began, &[key])[0];
    let mut request = GetRequest {
        key: name(key),
        level: ReadLevel::Strong.into(),
        ..GetRequest::default()
    };
    let after = fleet.checker.position(key).filter(|_| rng.bool());
    if let Some((position, more)) = after {
        required = required.and(more);
        request.min_position = position;
        request.level = ReadLevel::Bounded.into();
    }
    let answer = fleet.pods[pod].cache().get(within(request, READ)).await;
    let Ok(answer) = answer else { return };
    let answer = answer.into_inner();
    fleet.history.count(1);
    if let Some(get_response::Result::Found(entry)) = answer.result {
        judge(fleet, &began, (key, required), &entry);
    }
}
