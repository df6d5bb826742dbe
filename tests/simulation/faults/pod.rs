//! Faults of one pod and its links.

use crate::fleet::Fleet;
use crate::ports::Point;
use crate::world::Link;
use std::time::Duration;

/// Which links are cut: to the log, to the remote tier.
pub(super) type Links = (u32, u32);
pub(super) const LOG: Links = (1, 0);
pub(super) const TIER: Links = (0, 1);
pub(super) const ALL: Links = (1, 1);

/// What is lost: what the pod sends, what it would receive.
pub(super) type Ways = (u32, u32);
pub(super) const BOTH_WAYS: Ways = (1, 1);
pub(super) const SENDS: Ways = (1, 0);
pub(super) const RECEIVES: Ways = (0, 1);

pub(super) async fn cut(
    fleet: &Fleet,
    number: usize,
    length: u64,
    (log, tier): Links,
    (sends, receives): Ways,
) {
    let shared = &fleet.shared;
    shared.link(number, |link| {
        link.no_sends += log * sends;
        link.no_receives += log * receives;
        link.tier_no_sends += tier * sends;
        link.tier_no_receives += tier * receives;
    });
    shared.handle.sleep(length).await;
    shared.link(number, |link| {
        link.no_sends -= log * sends;
        link.no_receives -= log * receives;
        link.tier_no_sends -= tier * sends;
        link.tier_no_receives -= tier * receives;
    });
    if log > 0 {
        fleet.pod(number).reconnect();
    }
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
    start_again(fleet, number).await;
}

/// A pod that was killed starts again after a while.
async fn start_again(fleet: &Fleet, number: usize) {
    let shared = &fleet.shared;
    shared.delay(1_000, 500_000).await;
    shared.handle.pause(number, false);
    fleet.start(number);
    shared.link(number, |link| link.down = false);
}

/// The pod dies at one of its next actions, if it comes to that.
pub(super) async fn crash_at(fleet: &Fleet, number: usize, length: u64) {
    let shared = &fleet.shared;
    let some = [
        None,
        Some(Point::Append),
        Some(Point::Append),
        Some(Point::Put),
        Some(Point::Get),
        Some(Point::Event),
        Some(Point::Command),
        Some(Point::Timer),
    ];
    let (at, most) = (some[shared.draw(some.len())], [4, 12, 60, 300]);
    let nth = 1 + shared.draw(most[shared.draw(most.len())]) as u64;
    let pod = fleet.pod(number);
    let blown = pod.fuse.arm(at, nth);
    tokio::select! {
        biased;
        Ok(()) = blown => {}
        () = shared.handle.sleep(length) => return pod.fuse.disarm(),
    }
    // One that is being drained is started again by that.
    if !shared.link(number, |link| std::mem::replace(&mut link.down, true)) {
        start_again(fleet, number).await;
    }
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
    start_again(fleet, number).await;
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
