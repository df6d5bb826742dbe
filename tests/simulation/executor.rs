//! A deterministic executor: one thread, virtual time, and a seeded choice of
//! which ready task runs next. Tasks belong to a process that can be paused
//! (its clock goes on, as with SIGSTOP) or killed.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// SplitMix64: small, seeded, good enough to choose schedules.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From `low` up to, not including, `high`.
    pub(crate) fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

#[derive(Default)]
struct Shared {
    now: u64,
    timers: BinaryHeap<std::cmp::Reverse<(u64, u64)>>,
    wakers: HashMap<u64, Waker>,
    next_timer: u64,
    ready: Vec<u64>,
    spawned: Vec<(usize, Task)>,
    paused: HashSet<usize>,
    killed: Vec<usize>,
}

/// A handle to the executor, for tasks.
#[derive(Clone, Default)]
pub(crate) struct Handle(Arc<Mutex<Shared>>);

impl Handle {
    /// Virtual time in microseconds.
    pub(crate) fn now(&self) -> u64 {
        self.0.lock().expect("no panic under the lock").now
    }

    /// Starts a task of `process`.
    pub(crate) fn spawn(&self, process: usize, task: impl Future<Output = ()> + Send + 'static) {
        self.0
            .lock()
            .expect("no panic under the lock")
            .spawned
            .push((process, Box::pin(task)));
    }

    pub(crate) fn pause(&self, process: usize, paused: bool) {
        let mut shared = self.0.lock().expect("no panic under the lock");
        if paused {
            shared.paused.insert(process)
        } else {
            shared.paused.remove(&process)
        };
    }

    /// Drops every task of a process.
    pub(crate) fn kill(&self, process: usize) {
        self.0
            .lock()
            .expect("no panic under the lock")
            .killed
            .push(process);
    }

    /// Returns at virtual time `at` (µs).
    pub(crate) fn until(&self, at: u64) -> Until {
        Until {
            handle: self.clone(),
            at,
            timer: None,
        }
    }

    pub(crate) fn sleep(&self, micros: u64) -> Until {
        self.until(self.now() + micros)
    }
}

pub(crate) struct Until {
    handle: Handle,
    at: u64,
    timer: Option<u64>,
}

impl Future for Until {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let handle = self.handle.clone();
        let mut shared = handle.0.lock().expect("no panic under the lock");
        if shared.now >= self.at {
            return Poll::Ready(());
        }
        let timer = self.timer.unwrap_or_else(|| {
            shared.next_timer += 1;
            let timer = shared.next_timer;
            shared.timers.push(std::cmp::Reverse((self.at, timer)));
            timer
        });
        shared.wakers.insert(timer, cx.waker().clone());
        drop(shared);
        self.timer = Some(timer);
        Poll::Pending
    }
}

impl Drop for Until {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            self.handle
                .0
                .lock()
                .expect("no panic under the lock")
                .wakers
                .remove(&timer);
        }
    }
}

struct TaskWaker {
    id: u64,
    handle: Handle,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.handle
            .0
            .lock()
            .expect("no panic under the lock")
            .ready
            .push(self.id);
    }
}

/// Runs tasks until `end` (µs) or until `over` says so. Returns the number of
/// steps and a hash of the order in which tasks ran.
pub(crate) fn run(handle: &Handle, rng: &mut Rng, end: u64, over: impl Fn() -> bool) -> (u64, u64) {
    let mut tasks: HashMap<u64, (usize, Task)> = HashMap::new();
    let (mut next_id, mut steps, mut trace) = (0_u64, 0_u64, 0_u64);
    let mut ready: Vec<u64> = Vec::new();
    let mut held: Vec<u64> = Vec::new();
    loop {
        {
            let mut shared = handle.0.lock().expect("no panic under the lock");
            for process in std::mem::take(&mut shared.killed) {
                let mut gone: Vec<u64> = tasks
                    .iter()
                    .filter(|(_, t)| t.0 == process)
                    .map(|(id, _)| *id)
                    .collect();
                gone.sort_unstable();
                let dropped: Vec<_> = gone.iter().filter_map(|id| tasks.remove(id)).collect();
                shared.spawned.retain(|(p, _)| *p != process);
                drop(shared);
                drop(dropped);
                shared = handle.0.lock().expect("no panic under the lock");
            }
            for (process, task) in std::mem::take(&mut shared.spawned) {
                next_id += 1;
                tasks.insert(next_id, (process, task));
                ready.push(next_id);
            }
            ready.append(&mut shared.ready);
            ready.append(&mut held);
            ready.sort_unstable();
            ready.dedup();
            let paused = |id: &u64| tasks.get(id).is_some_and(|t| shared.paused.contains(&t.0));
            held = ready.iter().copied().filter(|id| paused(id)).collect();
            ready.retain(|id| tasks.contains_key(id) && !paused(id));
        }
        if ready.is_empty() {
            if over() || !advance(handle, end) {
                return (steps, trace);
            }
            continue;
        }
        let id = ready.swap_remove((rng.next() % ready.len() as u64) as usize);
        steps += 1;
        trace = trace.rotate_left(5) ^ id.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ handle.now();
        let waker = Waker::from(Arc::new(TaskWaker {
            id,
            handle: handle.clone(),
        }));
        let Some((_, task)) = tasks.get_mut(&id) else {
            continue;
        };
        if task
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            tasks.remove(&id);
        }
    }
}

/// Moves the clock to the next timer and wakes who waits for it; false when
/// there is none until `end`.
fn advance(handle: &Handle, end: u64) -> bool {
    let mut shared = handle.0.lock().expect("no panic under the lock");
    let Some(std::cmp::Reverse((at, timer))) = shared.timers.pop() else {
        return false;
    };
    if at > end {
        return false;
    }
    shared.now = shared.now.max(at);
    let waker = shared.wakers.remove(&timer);
    // The waker takes the lock itself.
    drop(shared);
    if let Some(waker) = waker {
        waker.wake();
    }
    true
}
