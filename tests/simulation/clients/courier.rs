//! Reads at one pod, loads for long, and sets at another with the position
//! that the first one gave. Belongs to no pod and outlives them all.

use super::key;
use super::setter::Setting;
use crate::fleet::Fleet;
use crate::origin;
use crate::table::Operation;
use crate::world::KEYS;
use std::time::Duration;
use unstale_engine::position::Position;
use unstale_engine::request::Get;

pub(crate) async fn run(fleet: Fleet) {
    let shared = fleet.shared.clone();
    loop {
        shared.delay(10_000, 400_000).await;
        if shared.with(|w| w.quiet) {
            return;
        }
        let number = shared.draw(KEYS);
        let Some(position) = position(&fleet, number).await else {
            continue;
        };
        let value = origin::read(&shared, number).await;
        if shared.chance(40) {
            shared.delay(100_000, 3_000_000).await;
        }
        set(&fleet, number, value, position).await;
    }
}

/// Where a pod that does not have the key is.
async fn position(fleet: &Fleet, number: usize) -> Option<Position> {
    fleet.shared.began(Operation::Get);
    let from = fleet.shared.draw(fleet.size());
    let get = move |engine: std::sync::Arc<unstale_engine::Engine>| async move {
        let deadline = engine.now().plus(Duration::from_millis(500));
        let get = Get::plain(key(number), deadline);
        engine.get(get).await
    };
    let answer = fleet.call(from, get).await?.ok()?;
    answer.result.found().is_none().then_some(answer.position)
}

async fn set(fleet: &Fleet, number: usize, value: u64, position: Position) {
    let to = fleet.shared.draw(fleet.size());
    let set = Setting::new(&fleet.shared, to, number, value, position);
    set.begins(&fleet.shared);
    let calling = set.clone();
    let call = move |engine: std::sync::Arc<unstale_engine::Engine>| async move {
        calling.call(&engine).await
    };
    let outcome = fleet.call(to, call).await;
    set.ended(&fleet.shared, outcome.flatten());
}
