//! What goes on without a caller: the machine's timers and own appends, and
//! writes whose caller went away before their outcome was known.
//!
//! All of it runs inside one future, [`run`]; nothing is spawned. A permit is
//! held by every append under way, so the queue of jobs never overflows.

use crate::clock::Moment;
use crate::engine::{Engine, lock};
use crate::error::Error;
use crate::log::{Append, Appended};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

type Job = BoxFuture<'static, ()>;
/// The receiving end of the jobs; taken once by [`run`].
pub(crate) type JobQueue = mpsc::Receiver<Job>;

pub(crate) struct Background {
    jobs: mpsc::Sender<Job>,
    queue: Mutex<Option<JobQueue>>,
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
        // Twice the permits: a write and the hygiene after it.
        let (jobs, queue) = mpsc::channel(max * 2 + 16);
        Self {
            jobs,
            queue: Mutex::new(Some(queue)),
            permits: Arc::new(Semaphore::new(max)),
            max,
            own: Mutex::default(),
            own_under_way: AtomicUsize::new(0),
            wake: Notify::new(),
            settled: Notify::new(),
            done: AtomicBool::new(false),
        }
    }

    pub(crate) fn take_queue(&self) -> JobQueue {
        lock(&self.queue)
            .take()
            .expect("Engine::run is called once")
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

    /// Hands a job to [`run`]. False: the queue is full, or run has ended.
    pub(crate) fn hand(&self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }
}

/// Runs until [`leave`] is done.
pub(crate) async fn run(engine: Arc<Engine>, mut queue: JobQueue) {
    let mut jobs: FuturesUnordered<Job> = FuturesUnordered::new();
    let background = &engine.background;
    while !background.done.load(Ordering::Acquire) {
        let own = std::mem::take(&mut *lock(&background.own));
        jobs.extend(
            own.into_iter()
                .map(|append| append_own(Arc::clone(&engine), append)),
        );
        let next = engine.ask(|machine, now| machine.next_tick(now));
        tokio::select! {
            biased;
            Some(()) = jobs.next(), if !jobs.is_empty() => {}
            Some(job) = queue.recv() => jobs.push(job),
            () = background.wake.notified() => {}
            () = engine.ports.clock.sleep_until(next) => {}
        }
        let due = engine.now() >= next;
        if due {
            engine.with(|machine, now| machine.tick(now));
            engine.leases.sweep(engine.now());
        }
    }
}

fn append_own(engine: Arc<Engine>, append: Append) -> Job {
    Box::pin(async move {
        let id = append.id;
        let outcome = engine.ports.log.append(append).await;
        engine.with(|machine, now| machine.appended(id, &outcome, now));
        engine
            .background
            .own_under_way
            .fetch_sub(1, Ordering::AcqRel);
        engine.background.settled.notify_waiters();
    })
}

/// Repeats an append, with the same id, until it is processed here or is
/// definitely not in the log.
pub(crate) async fn append_until_definite(
    engine: Arc<Engine>,
    append: Append,
    permit: OwnedSemaphorePermit,
) {
    let _permit = permit;
    let mut wait = Duration::from_millis(50);
    while engine.ask(|machine, _| machine.is_open(append.id)) {
        match engine.ports.log.append(append.clone()).await {
            Appended::At(sequence) => {
                crate::append::acked(&engine, append.id, sequence);
                return;
            }
            Appended::Conflict => {
                crate::append::give_up(&engine, append.id);
                return;
            }
            // An earlier attempt may be in the log: only a definite answer ends it.
            Appended::NotSent(_) | Appended::Unknown(_) => {}
        }
        let jitter = Duration::from_millis((engine.ports.random.bits() % 50) as u64);
        engine
            .ports
            .clock
            .sleep_until(engine.now().plus(wait + jitter))
            .await;
        wait = (wait * 2).min(Duration::from_secs(2));
    }
}

/// Drains, then says Leave.
pub(crate) async fn leave(engine: &Engine, deadline: Moment) {
    let background = &engine.background;
    let all = u32::try_from(background.max).unwrap_or(u32::MAX);
    tokio::select! {
        _ = background.permits.acquire_many(all) => {}
        () = engine.ports.clock.sleep_until(deadline) => {}
    }
    engine.with(|machine, _| machine.leave());
    let settled = async {
        loop {
            let notified = background.settled.notified();
            if background.own_under_way.load(Ordering::Acquire) == 0 {
                return;
            }
            notified.await;
        }
    };
    tokio::select! {
        () = settled => {}
        () = engine.ports.clock.sleep_until(deadline) => {}
    }
    background.done.store(true, Ordering::Release);
    background.wake();
}
