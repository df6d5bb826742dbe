//! Keys that are written rather than loaded: STRONG reads, Sets and
//! CompareAndSets, which together must look like a register (I-8). An error or
//! a timeout is a call without an answer.

use super::{PACE, READ, within};
use crate::fleet::Fleet;
use fastrand::Rng;
use unstale_checker::linear::{Access, Call, Ended, Register};
use unstale_proto::v1::{
    Absent, CompareAndSetRequest, Freshness, GetRequest, ReadLevel, SetRequest,
    compare_and_set_request, compare_and_set_response, entry, get_response, set_request,
    set_response,
};

/// Registers at a time; few, so that pods meet.
pub(crate) const REGISTERS: usize = 3;

/// What a read found: the value and its version.
type Seen = Option<(u64, String)>;

/// Reads and writes for ever, except while nothing is promised (A1).
pub(super) async fn swaps(fleet: &Fleet, pod: usize, mut rng: Rng) {
    loop {
        tokio::time::sleep(PACE * 2).await;
        if fleet.checker.suspended() {
            continue;
        }
        let register = fleet.checker.registers().current(rng.usize(..REGISTERS));
        match rng.u8(..4) {
            0 => set(fleet, pod, register).await,
            1 => drop(read(fleet, pod, register).await),
            _ => swap(fleet, pod, register).await,
        }
    }
}

/// Nothing for an error.
async fn read(fleet: &Fleet, pod: usize, register: Register) -> Option<Seen> {
    let (call, key) = begin(fleet, pod, register, Access::Read)?;
    let request = GetRequest {
        key,
        level: ReadLevel::Strong.into(),
        ..GetRequest::default()
    };
    let answer = fleet.pods[pod].cache().get(within(request, READ)).await;
    let result = answer.ok().map(|answer| answer.into_inner().result);
    let seen = result.map(|result| seen(fleet, register, result));
    let ended = seen.as_ref().map(|seen| match seen {
        Some((value, _)) => Ended::Found(*value),
        None => Ended::Nothing,
    });
    end(fleet, &call, ended);
    seen
}

fn seen(fleet: &Fleet, register: Register, result: Option<get_response::Result>) -> Seen {
    let Some(get_response::Result::Found(found)) = result else {
        return None;
    };
    let text = match &found.value {
        Some(entry::Value::Text(text)) => text.as_str(),
        _ => "not a text",
    };
    let value = fleet.checker.registers().value(register, text);
    if value.is_none() {
        let what = format!("{text:?} was returned for {register:?}");
        fleet.checker.broke("I-11 wrong key", None, what);
    }
    let fresh = found.freshness() == Freshness::Fresh;
    value.filter(|_| fresh).map(|value| (value, found.version))
}

async fn set(fleet: &Fleet, pod: usize, register: Register) {
    let Some((call, key)) = begin(fleet, pod, register, Access::Set) else {
        return;
    };
    let text = fleet.checker.registers().text(register, call.value);
    let request = SetRequest {
        key,
        value: Some(set_request::Value::Text(text)),
        ..SetRequest::default()
    };
    let answer = fleet.pods[pod].cache().set(within(request, READ)).await;
    let result = answer.ok().map(|answer| answer.into_inner().result);
    let stored = result.map(|r| matches!(r, Some(set_response::Result::Stored(_))));
    end(fleet, &call, stored.map(wrote));
}

/// A read, and a compare-and-set on what it found.
async fn swap(fleet: &Fleet, pod: usize, register: Register) {
    let Some(seen) = read(fleet, pod, register).await else {
        return;
    };
    let access = Access::Swap(seen.as_ref().map(|(value, _)| *value));
    let Some((call, key)) = begin(fleet, pod, register, access) else {
        return;
    };
    let text = fleet.checker.registers().text(register, call.value);
    use compare_and_set_request::Expected;
    let request = CompareAndSetRequest {
        key,
        value: Some(compare_and_set_request::Value::Text(text)),
        expected: Some(seen.map_or(Expected::Absent(Absent {}), |(_, version)| {
            Expected::Version(version)
        })),
        ..CompareAndSetRequest::default()
    };
    let mut cache = fleet.pods[pod].cache();
    let answer = cache.compare_and_set(within(request, READ)).await;
    let result = answer.ok().map(|answer| answer.into_inner().result);
    let stored = result.map(|r| matches!(r, Some(compare_and_set_response::Result::Stored(_))));
    end(fleet, &call, stored.map(wrote));
}

fn wrote(stored: bool) -> Ended {
    if stored { Ended::Wrote } else { Ended::Nothing }
}

/// A call begins; none when the register is full.
fn begin(fleet: &Fleet, pod: usize, of: Register, access: Access) -> Option<(Call, String)> {
    let now = fleet.checker.now();
    let mut registers = fleet.checker.registers();
    let call = registers.begin(of, pod, access, now)?;
    fleet.history.count(1);
    Some((call, registers.key(of)))
}

fn end(fleet: &Fleet, call: &Call, ended: Option<Ended>) {
    let now = fleet.checker.now();
    fleet.checker.registers().end(call, ended, now);
}
