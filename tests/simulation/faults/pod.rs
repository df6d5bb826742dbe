//! Faults of one pod and its links.

use crate::fleet::Fleet;
use crate::world::Link;
use std::time::Duration;

pub(super) async fn cut(fleet: &Fleet, number: usize, length: u64, (sends, receives): (u32, u32)) {
    let shared = &fleet.shared;
    shared.link(number, |link| {
        link.no_sends += sends;
        link.no_receives += receives;
    });
    shared.handle.sleep(length).await;
    shared.link(number, |link| {
        link.no_sends -= sends;
        link.no_receives -= receives;
    });
    fleet.pod(number).reconnect();
}

pub(super) async fn pause(fleet: &Fleet, number: usize, length: u64) {
    fleet.shared.handle.pause(number, true);
    fleet.shared.handle.sleep(length).await;
    fleet.shared.handle.pause(number, false);
}

pub(super) async fn crash(fleet: &Fleet, number: usize) {
    let shared = &fleet.shared;
    if shared.link(number, |link| std::mem::replace(&mut link.down, true)) {
        return;
    }
    shared.handle.kill(number);
    shared.delay(1_000, 500_000).await;
    shared.handle.pause(number, false);
    fleet.start(number);
    shared.link(number, |link| link.down = false);
}

pub(super) async fn drain(fleet: &Fleet, number: usize, length: u64) {
    let shared = &fleet.shared;
    if shared.link(number, |link| std::mem::replace(&mut link.down, true)) {
        return;
    }
    if let Some(engine) = fleet.engine(number) {
        shared.handle.spawn(number, async move {
            let deadline = engine.now().plus(Duration::from_secs(1));
            engine.leave(deadline).await;
        });
    }
    shared.handle.sleep(length.min(2_500_000)).await;
    shared.handle.kill(number);
    shared.delay(1_000, 500_000).await;
    shared.handle.pause(number, false);
    fleet.start(number);
    shared.link(number, |link| link.down = false);
}

/// Something about a pod's link is so for a while.
pub(super) async fn hold(
    fleet: &Fleet,
    number: usize,
    length: u64,
    what: fn(&mut Link) -> &mut u32,
) {
    fleet.shared.link(number, |link| *what(link) += 1);
    fleet.shared.handle.sleep(length).await;
    fleet.shared.link(number, |link| *what(link) -= 1);
}

pub(super) async fn lossy(fleet: &Fleet, length: u64) {
    fleet.shared.with(|w| w.lossy += 1);
    fleet.shared.handle.sleep(length).await;
    fleet.shared.with(|w| w.lossy -= 1);
}
