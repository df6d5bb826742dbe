//! A deterministic executor: one thread, virtual time, and a seeded choice of
//! which ready task runs next. Tasks belong to a process that can be paused
//! (its clock goes on, as with SIGSTOP) or killed.
//!
//! Guarantees: the same seed runs the same tasks in the same order. Tasks and
//! timers live in slots that are used again, and a task has one waker for life.

mod rng;
mod timers;

pub(crate) use rng::Rng;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use timers::{Timer, Timers};

pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The queue of tasks that may run, kept between two steps.
#[derive(Default)]
struct Queues {
    timers: Timers,
    ready: Vec<Arc<TaskWaker>>,
    /// Ready tasks of paused processes.
    held: Vec<Arc<TaskWaker>>,
    spawned: Vec<(usize, Task)>,
    paused: Vec<usize>,
    killed: Vec<usize>,
}

#[derive(Default)]
struct Core {
    now: AtomicU64,
    /// Something was spawned or killed since the last step.
    unsettled: AtomicBool,
    queues: Mutex<Queues>,
}

impl Core {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().expect("no panic under the lock")
    }
}

/// A handle to the executor, for tasks.
#[derive(Clone, Default)]
pub(crate) struct Handle(Arc<Core>);

impl Handle {
    /// Virtual time in microseconds.
    pub(crate) fn now(&self) -> u64 {
        self.0.now.load(Ordering::Relaxed)
    }

    /// Starts a task of `process`.
    pub(crate) fn spawn(&self, process: usize, task: impl Future<Output = ()> + Send + 'static) {
        self.0.queues().spawned.push((process, Box::pin(task)));
        self.0.unsettled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn pause(&self, process: usize, paused: bool) {
        let mut queues = self.0.queues();
        queues.paused.retain(|of| *of != process);
        if paused {
            queues.paused.push(process);
        }
        // Who is held still is held again.
        let mut held = std::mem::take(&mut queues.held);
        queues.ready.append(&mut held);
    }

    /// Drops every task of a process before anything else runs.
    pub(crate) fn kill(&self, process: usize) {
        self.0.queues().killed.push(process);
        self.0.unsettled.store(true, Ordering::Relaxed);
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

    /// Moves the clock to the next timer and wakes all who wait for that
    /// moment; false when there is none until `end`.
    fn advance(&self, end: u64) -> bool {
        let mut queues = self.0.queues();
        let Some(at) = queues.timers.next().filter(|at| *at <= end) else {
            return false;
        };
        self.0.now.fetch_max(at, Ordering::Relaxed);
        let due = queues.timers.due(at);
        // A waker takes the lock itself.
        drop(queues);
        due.into_iter().for_each(Waker::wake);
        true
    }
}

pub(crate) struct Until {
    handle: Handle,
    at: u64,
    timer: Option<Timer>,
}

impl Future for Until {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.handle.now() >= self.at {
            return Poll::Ready(());
        }
        let mut queues = self.handle.0.queues();
        let timer = queues.timers.set(self.timer, self.at, cx.waker());
        drop(queues);
        self.timer = Some(timer);
        Poll::Pending
    }
}

impl Drop for Until {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            let waker = self.handle.0.queues().timers.cancel(timer);
            // It may own a task, whose end takes the lock.
            drop(waker);
        }
    }
}

struct TaskWaker {
    core: Arc<Core>,
    /// The task's number and slot; a slot is used again under another number.
    number: u64,
    slot: usize,
    process: usize,
    queued: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            let core = Arc::clone(&self.core);
            core.queues().ready.push(self);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.core.queues().ready.push(Arc::clone(self));
        }
    }
}

/// A task that has not ended.
struct Live {
    task: Task,
    waker: Arc<TaskWaker>,
}

/// All tasks of one run.
struct Tasks {
    core: Arc<Core>,
    slots: Vec<Option<Live>>,
    free: Vec<usize>,
    begun: u64,
}

impl Tasks {
    fn begin(&mut self, process: usize, task: Task) -> Arc<TaskWaker> {
        self.begun += 1;
        let slot = self.free.pop().unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        let waker = Arc::new(TaskWaker {
            core: Arc::clone(&self.core),
            number: self.begun,
            slot,
            process,
            queued: AtomicBool::new(true),
        });
        self.slots[slot] = Some(Live {
            task,
            waker: Arc::clone(&waker),
        });
        waker
    }

    /// The tasks of a process, which are no more.
    fn end_all(&mut self, process: usize) -> Vec<Live> {
        let of = |live: &mut Live| live.waker.process == process;
        let ended = self.slots.iter_mut().filter_map(|slot| slot.take_if(of));
        let ended: Vec<_> = ended.collect();
        self.free.extend(ended.iter().map(|live| live.waker.slot));
        ended
    }

    /// Kills who is to be killed and begins what was spawned.
    fn settle(&mut self, core: &Core) {
        if !core.unsettled.swap(false, Ordering::Relaxed) {
            return;
        }
        while self.kill(core) {}
        let mut queues = core.queues();
        for (process, task) in std::mem::take(&mut queues.spawned) {
            let waker = self.begin(process, task);
            queues.ready.push(waker);
        }
    }

    /// Ends the tasks of killed processes; false: none was killed. What a task
    /// owns may spawn, wake and kill when it is dropped: not under the lock.
    fn kill(&mut self, core: &Core) -> bool {
        let mut queues = core.queues();
        let killed = std::mem::take(&mut queues.killed);
        if killed.is_empty() {
            return false;
        }
        let spawned = std::mem::take(&mut queues.spawned);
        let dead = |(process, _): &(usize, Task)| killed.contains(process);
        let (unborn, spawned): (Vec<_>, _) = spawned.into_iter().partition(dead);
        queues.spawned = spawned;
        drop(queues);
        drop(unborn);
        killed.iter().for_each(|of| drop(self.end_all(*of)));
        true
    }

    /// A ready task whose process is not paused, chosen by `rng`.
    fn choose(&self, core: &Core, rng: &mut Rng) -> Option<Arc<TaskWaker>> {
        let mut queues = core.queues();
        // tokio's watch wakes in an order of its own.
        queues.ready.sort_unstable_by_key(|task| task.number);
        while !queues.ready.is_empty() {
            let at = rng.next() % queues.ready.len() as u64;
            let chosen = queues.ready.remove(at as usize);
            let live = self.slots[chosen.slot].as_ref();
            if live.is_none_or(|live| live.waker.number != chosen.number) {
                continue;
            }
            if queues.paused.contains(&chosen.process) {
                queues.held.push(chosen);
                continue;
            }
            return Some(chosen);
        }
        None
    }

    fn step(&mut self, chosen: &Arc<TaskWaker>) {
        chosen.queued.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(chosen));
        let live = self.slots[chosen.slot].as_mut().expect("it was chosen");
        if live
            .task
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            drop(self.slots[chosen.slot].take());
            self.free.push(chosen.slot);
        }
    }
}

/// Runs tasks until `end` (µs) or until `over` says so. Returns the number of
/// steps and a hash of the order in which tasks ran.
pub(crate) fn run(handle: &Handle, rng: &mut Rng, end: u64, over: impl Fn() -> bool) -> (u64, u64) {
    let (mut steps, mut trace) = (0_u64, 0_u64);
    let mut tasks = Tasks {
        core: Arc::clone(&handle.0),
        slots: Vec::new(),
        free: Vec::new(),
        begun: 0,
    };
    loop {
        tasks.settle(&handle.0);
        let Some(chosen) = tasks.choose(&handle.0, rng) else {
            if over() || !handle.advance(end) {
                break;
            }
            continue;
        };
        steps += 1;
        let id = chosen.number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        trace = trace.rotate_left(5) ^ id ^ handle.now();
        tasks.step(&chosen);
    }
    // Tasks own handles, which own what is queued.
    drop(tasks);
    let left = std::mem::take(&mut *handle.0.queues());
    drop(left);
    (steps, trace)
}
