//! Calls in rounds that take turns, so that a slow moment of the machine hits all
//! who are compared.

use crate::contender::{Contender, Length};
use crate::figure::{Figure, micros};
use crate::processes::Usage;
use crate::samples::Samples;
use crate::{ROUNDS, Result};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long a round lasts where nothing else is said.
const ROUND: Length = Length::Time(Duration::from_millis(200));
/// What other work a round leaves behind, or its preparation: a fleet is still
/// applying what it was told.
const SETTLE: Duration = Duration::from_millis(30);
/// And of the rounds that are compared one by one.
const SHORT: Length = Length::Time(Duration::from_millis(40));

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
            let mut measured = Measured::of(&contender.servers);
            measured.round(contender, in_flight, SHORT, None).await?;
            if round > 0 {
                all.push(measured.as_round());
            }
        }
    }
    Ok(all)
}

/// What was measured of one.
pub(crate) struct Measured {
    servers: Vec<u32>,
    pub(crate) samples: Samples,
    elapsed: Duration,
    cpu: Duration,
    rss_kib: u64,
}

/// When some calls began, and what their servers had used until then.
pub(crate) struct Began(Instant, Usage);

impl Measured {
    /// Nothing yet, of who is served by these processes.
    pub(crate) fn of(servers: &[u32]) -> Self {
        Self {
            servers: servers.into(),
            samples: Samples::default(),
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
            rss_kib: 0,
        }
    }

    /// Calls begin.
    pub(crate) fn begin(&self) -> Result<Began> {
        let usage = Usage::of(&self.servers)?;
        Ok(Began(Instant::now(), usage))
    }

    /// They have ended, and took so long each.
    pub(crate) fn end(
        &mut self,
        Began(begin, before): Began,
        times: impl IntoIterator<Item = Duration>,
    ) -> Result<()> {
        self.elapsed += begin.elapsed();
        let after = Usage::of(&self.servers)?;
        self.samples.extend(times);
        self.cpu += after.cpu.saturating_sub(before.cpu);
        self.rss_kib = after.rss_kib;
        Ok(())
    }

    async fn round(
        &mut self,
        of: &Contender,
        in_flight: usize,
        length: Length,
        settle: Option<Duration>,
    ) -> Result<()> {
        let numbers = of.ready(length).await?;
        if let Some(settle) = settle {
            tokio::time::sleep(settle).await;
        }
        let began = self.begin()?;
        let (times, elapsed) = of.round(in_flight, length, numbers).await?;
        let before = self.elapsed;
        self.end(began, times)?;
        self.elapsed = before + elapsed;
        Ok(())
    }

    fn as_round(&self) -> Round {
        Round {
            calls: self.samples.len(),
            p50_us: micros(self.samples.p50()),
            cpu_us: micros(self.cpu),
            elapsed: self.elapsed,
        }
    }

    /// Of so many under way at a time, each of which was so many operations.
    pub(crate) fn figure(&self, row: &str, what: &str, in_flight: usize, each: usize) -> Figure {
        let operations = (self.samples.len() * each) as f64;
        let has_server = !self.servers.is_empty();
        Figure {
            in_flight: Some(in_flight),
            per_second: Some(operations / self.elapsed.as_secs_f64()),
            cpu_us: has_server.then(|| micros(self.cpu) / operations),
            rss_kib: has_server.then_some(self.rss_kib),
            ..Figure::of(row, what, &self.samples)
        }
    }
}

/// A figure for each contender, in their order: `each` operations a call. The
/// round before the first warms up.
pub(crate) async fn compared(
    row: &str,
    contenders: &[Contender],
    in_flight: usize,
    each: usize,
) -> Result<Vec<Figure>> {
    in_rounds((ROUND, None), row, contenders, in_flight, each).await
}

/// The same in rounds of this length, before each of which whoever is measured may
/// end what is left of the last one.
pub(crate) async fn compared_for(
    length: Length,
    row: &str,
    contenders: &[Contender],
    in_flight: usize,
    each: usize,
) -> Result<Vec<Figure>> {
    in_rounds((length, Some(SETTLE)), row, contenders, in_flight, each).await
}

async fn in_rounds(
    (length, settle): (Length, Option<Duration>),
    row: &str,
    contenders: &[Contender],
    in_flight: usize,
    each: usize,
) -> Result<Vec<Figure>> {
    let length = length.now();
    let new = |contender: &Contender| Measured::of(&contender.servers);
    let mut all: Vec<Measured> = contenders.iter().map(new).collect();
    for round in 0..=ROUNDS {
        for (contender, measured) in contenders.iter().zip(&mut all) {
            if round == 1 {
                *measured = new(contender);
            }
            measured.round(contender, in_flight, length, settle).await?;
        }
    }
    let all = contenders.iter().zip(&all);
    let figure = |(of, is): (&Contender, &Measured)| is.figure(row, &of.name, in_flight, each);
    Ok(all.map(figure).collect())
}
