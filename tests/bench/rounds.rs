//! Calls in rounds that take turns, so that a slow moment of the machine hits all
//! who are compared.
//!
//! A round lasts a fixed time; a call begins as soon as one before it has ended,
//! and so many are under way at a time. Every call checks its answer, and one that
//! fails ends the run.

use crate::figure::{Figure, micros};
use crate::processes::Usage;
use crate::samples::Samples;
use crate::{ROUNDS, Result};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long a round lasts, and with `--quick`.
const ROUND: Duration = Duration::from_millis(200);
const QUICK: Duration = Duration::from_millis(20);
/// And of the rounds that are compared one by one.
const SHORT: Duration = Duration::from_millis(40);

static IS_QUICK: AtomicBool = AtomicBool::new(false);

/// From now on rounds are a tenth as long: to see that everything works.
pub(crate) fn quick() {
    IS_QUICK.store(true, Relaxed);
}

/// Whether [`quick`] was called.
pub(crate) fn is_quick() -> bool {
    IS_QUICK.load(Relaxed)
}

/// So many calls; with `--quick` a tenth.
pub(crate) fn some(calls: usize) -> usize {
    if is_quick() { calls / 10 } else { calls }
}

/// Makes the call with this number; numbers are given once.
type Call = dyn Fn(u64) -> BoxFuture<'static, Result<()>> + Send + Sync;

/// Who is compared: a client, and the processes that serve it.
pub(crate) struct Contender {
    name: String,
    servers: Vec<u32>,
    call: Arc<Call>,
    next: Arc<AtomicU64>,
}

impl Contender {
    /// `call` makes one call of the client.
    pub(crate) fn new<F>(
        name: &str,
        servers: &[u32],
        call: impl Fn(u64) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        Self {
            name: name.into(),
            servers: servers.into(),
            call: Arc::new(move |number| Box::pin(call(number))),
            next: Arc::default(),
        }
    }

    async fn round(&self, in_flight: usize, time: Duration) -> Result<(Vec<Duration>, Duration)> {
        let begin = Instant::now();
        let mut clients = JoinSet::new();
        for _ in 0..in_flight {
            let (call, next) = (self.call.clone(), self.next.clone());
            clients.spawn(client(call, next, begin + time));
        }
        let mut times = Vec::new();
        while let Some(ended) = clients.join_next().await {
            times.extend(ended??);
        }
        Ok((times, begin.elapsed()))
    }
}

async fn client(call: Arc<Call>, next: Arc<AtomicU64>, end: Instant) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    loop {
        let begin = Instant::now();
        if begin >= end {
            return Ok(times);
        }
        call(next.fetch_add(1, Relaxed)).await?;
        times.push(begin.elapsed());
    }
}

/// A round of one contender.
pub(crate) struct Round {
    pub(crate) calls: usize,
    pub(crate) p50_us: f64,
    /// Processor time of its servers; exact only when added up.
    pub(crate) cpu_us: f64,
    elapsed: Duration,
}

impl Round {
    /// Calls a second.
    pub(crate) fn rate(&self) -> f64 {
        self.calls as f64 / self.elapsed.as_secs_f64()
    }
}

/// So many short rounds of each contender, the first of which warms up and is not
/// among them.
pub(crate) async fn in_turns(
    contenders: &[Contender],
    in_flight: usize,
    rounds: usize,
) -> Result<Vec<Vec<Round>>> {
    let mut all: Vec<Vec<Round>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for (contender, all) in contenders.iter().zip(&mut all) {
            let before = Usage::of(&contender.servers)?;
            let (times, elapsed) = contender.round(in_flight, SHORT).await?;
            let after = Usage::of(&contender.servers)?;
            let mut samples = Samples::default();
            samples.extend(times);
            if round > 0 {
                all.push(Round {
                    calls: samples.len(),
                    p50_us: micros(samples.p50()),
                    cpu_us: micros(after.cpu.saturating_sub(before.cpu)),
                    elapsed,
                });
            }
        }
    }
    Ok(all)
}

/// What was measured of one.
#[derive(Default)]
struct Measured {
    samples: Samples,
    elapsed: Duration,
    cpu: Duration,
    rss_kib: u64,
}

/// A figure for each contender, in their order: `each` operations a call. The
/// round before the first warms up.
pub(crate) async fn compared(
    row: &str,
    contenders: &[Contender],
    in_flight: usize,
    each: usize,
) -> Result<Vec<Figure>> {
    let time = if is_quick() { QUICK } else { ROUND };
    let mut all: Vec<Measured> = contenders.iter().map(|_| Measured::default()).collect();
    for round in 0..=ROUNDS {
        for (contender, measured) in contenders.iter().zip(&mut all) {
            let before = Usage::of(&contender.servers)?;
            let done = contender.round(in_flight, time).await;
            let (times, elapsed) = done.map_err(|why| format!("{}: {why}", contender.name))?;
            let after = Usage::of(&contender.servers)?;
            if round > 0 {
                measured.samples.extend(times);
                measured.elapsed += elapsed;
                measured.cpu += after.cpu.saturating_sub(before.cpu);
                measured.rss_kib = after.rss_kib;
            }
        }
    }
    let all = contenders.iter().zip(&all);
    Ok(all
        .map(|(contender, measured)| figure(row, contender, measured, in_flight, each))
        .collect())
}

fn figure(row: &str, of: &Contender, is: &Measured, in_flight: usize, each: usize) -> Figure {
    let operations = (is.samples.len() * each) as f64;
    let has_server = !of.servers.is_empty();
    Figure {
        in_flight: Some(in_flight),
        per_second: Some(operations / is.elapsed.as_secs_f64()),
        cpu_us: has_server.then(|| micros(is.cpu) / operations),
        rss_kib: has_server.then_some(is.rss_kib),
        ..Figure::of(row, &of.name, &is.samples)
    }
}
