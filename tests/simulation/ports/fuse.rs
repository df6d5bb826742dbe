//! A crash at an action: a pod that is armed dies at its n-th next append, put,
//! read, event, command or timer, before it or after it. So every point between
//! two awaits of the ports can be its last.

use super::Pod;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use tokio::sync::oneshot;

/// Where a pod meets the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Before an append is sent, after it was committed, when it is answered.
    Append,
    /// The like for a put or delete in the remote tier.
    Put,
    /// The like for a read, of the tier or of the log's last sequence.
    Get,
    /// Before and after the engine is told an event of the log.
    Event,
    /// Before a command of the engine is carried out.
    Command,
    /// A timer has run out.
    Timer,
}

struct Armed {
    /// None: at any point.
    at: Option<Point>,
    left: u64,
    blown: oneshot::Sender<()>,
}

#[derive(Default)]
pub(crate) struct Fuse {
    /// Whether the rest is worth a look.
    lit: AtomicBool,
    dead: AtomicBool,
    armed: Mutex<Option<Armed>>,
}

impl Fuse {
    fn armed(&self) -> MutexGuard<'_, Option<Armed>> {
        self.armed.lock().expect("no panic under the lock")
    }

    /// Arms it; the receiver hears of the crash.
    pub(crate) fn arm(&self, at: Option<Point>, left: u64) -> oneshot::Receiver<()> {
        let (blown, hears) = oneshot::channel();
        *self.armed() = Some(Armed { at, left, blown });
        self.lit.store(true, Ordering::Relaxed);
        hears
    }

    pub(crate) fn disarm(&self) {
        *self.armed() = None;
    }

    /// Counts a point; the last one is returned.
    fn count(&self, point: Point) -> Option<Armed> {
        let mut armed = self.armed();
        let fuse = armed
            .as_mut()
            .filter(|fuse| fuse.at.is_none_or(|at| at == point))?;
        fuse.left = fuse.left.saturating_sub(1);
        armed.take_if(|fuse| fuse.left == 0)
    }
}

impl Pod {
    /// Whether the pod is dead from here on: nothing it does has an effect.
    pub(super) fn dies_at(&self, point: Point) -> bool {
        let fuse = &self.fuse;
        if !fuse.lit.load(Ordering::Relaxed) {
            return false;
        }
        if let Some(armed) = fuse.count(point) {
            fuse.dead.store(true, Ordering::Relaxed);
            let number = self.number;
            self.shared.note(crate::timeline::Scope::All, || {
                format!("pod {number} is killed at this {point:?}")
            });
            self.shared.handle.kill(number);
            // Whoever armed it may have given up.
            let _ = armed.blown.send(());
        }
        fuse.dead.load(Ordering::Relaxed)
    }

    /// Returns unless the pod dies here.
    pub(super) async fn passes(&self, point: Point) {
        if self.dies_at(point) {
            std::future::pending().await
        }
    }
}
