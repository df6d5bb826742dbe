//! Faults of the remote tier.

use crate::clients;
use crate::fleet::Fleet;
use crate::timeline::Scope;
use crate::world::KEYS;

pub(super) async fn away(fleet: &Fleet, length: u64) {
    fleet.shared.with(|w| w.tier.away += 1);
    fleet.shared.handle.sleep(length).await;
    fleet.shared.with(|w| w.tier.away -= 1);
}

pub(super) async fn lags(fleet: &Fleet, length: u64) {
    fleet.shared.with(|w| w.tier.lagging += 1);
    fleet.shared.handle.sleep(length).await;
    fleet.shared.with(|w| w.tier.lagging -= 1);
}

pub(super) async fn mixes_up(fleet: &Fleet, length: u64) {
    fleet.shared.with(|w| w.tier.mixing_up += 1);
    fleet.shared.handle.sleep(length).await;
    fleet.shared.with(|w| w.tier.mixing_up -= 1);
}

pub(super) async fn refuses_puts(fleet: &Fleet, length: u64) {
    fleet.shared.with(|w| w.tier.full += 1);
    fleet.shared.handle.sleep(length).await;
    fleet.shared.with(|w| w.tier.full -= 1);
}

pub(super) async fn forgets(fleet: &Fleet, length: u64) {
    let shared = &fleet.shared;
    let end = shared.handle.now() + length;
    while shared.handle.now() < end {
        let number = shared.draw(KEYS + 1);
        let key = clients::key(number).hash();
        shared.note(Scope::Key(number), || "the tier forgets it".into());
        shared.with(|w| w.tier.forget(key));
        shared.delay(10_000, 500_000).await;
    }
}

pub(super) async fn fails_over(fleet: &Fleet, length: u64) {
    let now = fleet.shared.handle.now();
    fleet.shared.with(|w| {
        let age = w.rng.range(1_000, 3_000_000);
        w.tier
            .fail_over(now.saturating_sub(age), w.mix.revisions_repeat);
    });
    fleet.shared.handle.sleep(length).await;
}
