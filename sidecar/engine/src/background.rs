//! What goes on without a caller: the machine's timers and own appends, writes
//! whose caller went away before their outcome was known, and cleaning up.
//!
//! All of it runs inside one future, [`run`]; nothing is spawned. A permit is
//! held by every append under way, so the queue of jobs never overflows;
//! cleaning has a queue of its own and is left out when that is full.

use crate::adaptive;
use crate::clock::Moment;
use crate::engine::{Engine, lock};
use crate::error::Error;
use crate::log::Append;
use crate::tier;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

type Job = BoxFuture<'static, ()>;

/// Clean-ups that may wait, and how many run at once.
const CLEANING: (usize, usize) = (1024, 8);
/// Leases are swept this often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// A remote tier that did not answer is asked again this often.
const PING_EVERY: Duration = Duration::from_secs(2);
/// A Leave that is not in the log is said again after this.
const LEAVE_AGAIN: Duration = Duration::from_millis(250);

/// The receiving ends of the jobs; taken once by [`run`].
pub(crate) struct JobQueues {
    jobs: mpsc::Receiver<Job>,
    cleaning: mpsc::Receiver<Job>,
}

pub(crate) struct Background {
    jobs: mpsc::Sender<Job>,
    cleaning: mpsc::Sender<Job>,
    queues: Mutex<Option<JobQueues>>,
    permits: Arc<Semaphore>,
    max: usize,
    /// The machine's own appends; it keeps at most a few under way.
    own: Mutex<Vec<Append>>,
    own_under_way: AtomicUsize,
    wake: Notify,
    settled: Notify,
    done: AtomicBool,
}

impl Background {
    pub(crate) fn new(max: usize) -> Self {
        // A job holds a permit, so there is room for every job.
        let (jobs, jobs_queue) = mpsc::channel(max);
        let (cleaning, cleaning_queue) = mpsc::channel(CLEANING.0);
        let queues = JobQueues {
            jobs: jobs_queue,
            cleaning: cleaning_queue,
        };
        Self {
            jobs,
            cleaning,
            queues: Mutex::new(Some(queues)),
            permits: Arc::new(Semaphore::new(max)),
            max,
            own: Mutex::default(),
            own_under_way: AtomicUsize::new(0),
            wake: Notify::new(),
            settled: Notify::new(),
            done: AtomicBool::new(false),
        }
    }

    pub(crate) fn take_queues(&self) -> JobQueues {
        let queues = lock(&self.queues).take();
        queues.expect("Engine::run is called once")
    }

    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) fn append_own(&self, append: Append) {
        self.own_under_way.fetch_add(1, Ordering::AcqRel);
        lock(&self.own).push(append);
        self.wake();
    }

    /// Room for one more append, or a refusal at once.
    pub(crate) fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        let retry_after = Duration::from_millis(100);
        Arc::clone(&self.permits)
            .try_acquire_owned()
            .map_err(|_| Error::Overloaded { retry_after })
    }

    /// Room for one more append, waiting for it.
    pub(crate) async fn permit_wait(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    /// Hands a job to [`run`], which ends it before the permit is free again.
    pub(crate) fn hand(&self, permit: OwnedSemaphorePermit, job: Job) {
        let job = Box::pin(async move {
            job.await;
            drop(permit);
        });
        // Closed only when the engine has ended.
        let _ = self.jobs.try_send(job);
    }

    /// Hands over a clean-up that nothing depends on; false: it is left out.
    pub(crate) fn clean(&self, job: Job) -> bool {
        self.cleaning.try_send(job).is_ok()
    }
}

/// Runs until [`leave`] is done.
pub(crate) async fn run(engine: Arc<Engine>, mut queues: JobQueues) {
    let mut jobs: FuturesUnordered<Job> = FuturesUnordered::new();
    let mut cleaning: FuturesUnordered<Job> = FuturesUnordered::new();
    let mut due = Due::default();
    let background = &engine.background;
    while !background.done.load(Ordering::Acquire) {
        tick(&engine, &mut due);
        let own = std::mem::take(&mut *lock(&background.own));
        jobs.extend(
            own.into_iter()
                .map(|append| append_own(Arc::clone(&engine), append)),
        );
        let next = engine.ask(|machine, _| machine.next_tick());
        let next = due.learned.map_or(next, |due| next.min(due));
        tokio::select! {
            biased;
            () = background.wake.notified() => {}
            Some(job) = queues.jobs.recv() => jobs.push(job),
            Some(()) = jobs.next(), if !jobs.is_empty() => {}
            Some(job) = queues.cleaning.recv(), if cleaning.len() < CLEANING.1 => {
                cleaning.push(job);
            }
            Some(()) = cleaning.next(), if !cleaning.is_empty() => {}
            () = engine.ports.clock.sleep_until(next) => {}
        }
    }
}

/// When what is done now and then is done next.
#[derive(Default)]
struct Due {
    sweep: Moment,
    ping: Moment,
    /// None: nobody asks for it.
    learned: Option<Moment>,
}

/// Looks at the timers that are due, however busy the rest is.
fn tick(engine: &Arc<Engine>, due: &mut Due) {
    let now = engine.now();
    if now >= engine.ask(|machine, _| machine.next_tick()) {
        engine.with(|machine, now| machine.tick(now));
    }
    if now >= due.sweep {
        due.sweep = now.plus(SWEEP_EVERY);
        engine.leases.sweep(now);
        crate::retained::sweep(engine, now);
    }
    if now >= due.ping {
        due.ping = now.plus(PING_EVERY);
        ping(engine);
    }
    due.learned = adaptive::tick(engine, due.learned);
}

/// Status and metrics tell of a tier that is back without waiting for a caller.
fn ping(engine: &Arc<Engine>) {
    if lock(&engine.remote_error).is_none() {
        return;
    }
    let engine = Arc::clone(engine);
    let background = Arc::clone(&engine);
    background.background.clean(Box::pin(async move {
        let remote = tier::remote(&engine);
        let deadline = engine.now().plus(engine.options.remote_timeout);
        // The outcome is remembered by the call.
        let _ = tier::call(&engine, deadline, remote.ping()).await;
    }));
}

fn append_own(engine: Arc<Engine>, append: Append) -> Job {
    Box::pin(async move {
        let id = append.id;
        let outcome = engine.ports.log.append(append).await;
        engine.with(|machine, now| machine.appended(id, &outcome, now));
        let background = &engine.background;
        background.own_under_way.fetch_sub(1, Ordering::AcqRel);
        background.settled.notify_waiters();
    })
}

/// Drains, then says Leave.
pub(crate) async fn leave(engine: &Engine, deadline: Moment) {
    let background = &engine.background;
    let all = u32::try_from(background.max).unwrap_or(u32::MAX);
    // Some of the time is kept for saying Leave.
    let left = deadline.since(engine.now());
    let patience = deadline.minus((left / 4).min(Duration::from_secs(2)));
    tokio::select! {
        biased;
        _ = background.permits.acquire_many(all) => {}
        () = engine.ports.clock.sleep_until(patience) => {}
    }
    tokio::select! {
        biased;
        () = adaptive::keep_all(engine) => {}
        () = engine.ports.clock.sleep_until(patience) => {}
    }
    engine.with(|machine, _| machine.leave());
    tokio::select! {
        biased;
        () = say_leave(engine) => {}
        () = engine.ports.clock.sleep_until(deadline) => {}
    }
    background.done.store(true, Ordering::Release);
    background.wake();
}

/// Says Leave until it is in the log.
async fn say_leave(engine: &Engine) {
    let background = &engine.background;
    while engine.with(|machine, _| machine.say_leave()) {
        let settled = async {
            loop {
                let notified = background.settled.notified();
                if background.own_under_way.load(Ordering::Acquire) == 0 {
                    return;
                }
                notified.await;
            }
        };
        settled.await;
        if engine.ask(|machine, _| machine.has_left()) {
            return;
        }
        let again = engine.now().plus(LEAVE_AGAIN);
        engine.ports.clock.sleep_until(again).await;
    }
}
