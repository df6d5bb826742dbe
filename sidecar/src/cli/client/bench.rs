//! `unstale bench`: how fast a running sidecar answers a client on this machine.
//!
//! One kind of call after the other, with 1, 16 and 64 under way, at a bounded rate
//! and for a bounded time. It touches one namespace only, and empties it at the end.
//! It judges nothing: `unstale verify` does.

mod calls;
mod cell;
mod pace;
mod report;

use super::exit::{Ended, Failure, note};
use super::interrupts::Interrupts;
use super::target::{self, duration};
use super::{output, own_namespace};
use crate::config::units;
use calls::Call;
use cell::Cell;
use clap::Args;
use report::Report;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use unstale::{Cache, DEFAULT_ENDPOINT, Error};

/// Calls under way at a time.
const IN_FLIGHT: [usize; 3] = [1, 16, 64];
/// A shorter run would measure its beginning only.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// A batch of them has to fit into one message.
const LARGEST: u64 = 32 << 10;

/// Measure a running sidecar: get, set and batches, 1, 16 and 64 at a time.
#[derive(Debug, Args)]
pub struct Bench {
    /// Where the sidecar listens: http://HOST:PORT or unix:PATH
    #[arg(
        long, env = "UNSTALE_ENDPOINT", value_name = "URL",
        default_value = DEFAULT_ENDPOINT
    )]
    endpoint: String,
    /// The namespace, which is invalidated as a whole at the end
    #[arg(long, value_name = "NAME", default_value = "unstale-bench")]
    namespace: String,
    /// Keys read a second at most; a tenth of it is written
    #[arg(
        long, value_name = "NUMBER", default_value = "100000",
        value_parser = clap::value_parser!(u32).range(10..=1_000_000)
    )]
    rate: u32,
    /// How long in all, 1s to 5m; Ctrl-C ends it early, with the figures so far
    #[arg(long = "for", value_name = "DURATION", value_parser = time, default_value = "12s")]
    time: Duration,
    /// Size of a value, 8 to 32KiB
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "1KiB")]
    bytes: usize,
    /// Answer with JSON on stdout
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(super) async fn run(self) -> Result<Ended, Failure> {
        own_namespace::check(&self.namespace)?;
        let mut interrupts = Interrupts::new()?;
        let (stream, unary) = self.connect().await?;
        let fleet = stream.status().await?.fleet;
        let mut report = Report::new(fleet, &self.endpoint, &self.namespace, self.bytes);
        let kinds = Call::all(&stream, &unary, self.bytes);
        let measured = tokio::select! {
            prepared = kinds[0].prepare() => prepared.map(|()| true),
            () = interrupts.next() => Ok(false),
        };
        if let Ok(true) = measured {
            self.measure(&kinds, &mut report, &mut interrupts).await;
        }
        tokio::select! {
            () = own_namespace::empty(std::iter::once(&unary), "unstale bench has ended") => {}
            () = interrupts.next() => own_namespace::not_emptied(),
        }
        measured?;
        self.tell(&report)
    }

    /// The stream, where the sidecar offers one, and calls by themselves.
    async fn connect(&self) -> Result<(Cache, Cache), Failure> {
        let builder = Cache::builder().endpoint(self.endpoint.as_str()).strict();
        let builder = builder.namespace(self.namespace.as_str());
        let named = |failure| match failure {
            Error::Unreachable(why) => Error::Unreachable(format!("{}: {why}", self.endpoint)),
            other => other,
        };
        let unary = builder.clone().unary().connect().await.map_err(named)?;
        target::answers(&unary).await.map_err(named)?;
        Ok((builder.connect().await.map_err(named)?, unary))
    }

    /// Every kind of call in every number, for as long, or until it is interrupted.
    async fn measure(&self, kinds: &[Call], report: &mut Report, interrupts: &mut Interrupts) {
        let share = self.time / u32::try_from(kinds.len() * IN_FLIGHT.len()).unwrap_or(u32::MAX);
        for (call, in_flight) in kinds.iter().flat_map(|call| IN_FLIGHT.map(|n| (call, n))) {
            let cell = Cell::new(call, in_flight, self.rate);
            let begin = Instant::now();
            // Calls that are under way then are given up, and not counted.
            let is_whole = tokio::select! {
                () = cell.drive() => true,
                () = sleep_until(begin + share) => true,
                () = interrupts.next() => false,
            };
            let row = cell.measured(begin.elapsed());
            // What was interrupted at once says nothing of the sidecar.
            if is_whole || row.spread.count > 0 {
                report.add(row);
            }
            if !is_whole {
                return;
            }
        }
    }

    fn tell(&self, report: &Report) -> Result<Ended, Failure> {
        match self.json {
            true => output::object(&report.json())?,
            false => output::write(report.text().as_bytes())?,
        }
        let silent = report.without_answers();
        silent
            .iter()
            .for_each(|row| note(&format!("no call was answered as it should be: {row}")));
        Ok(match silent.is_empty() {
            true => Ended::Done,
            false => Ended::Failed(4),
        })
    }
}

fn time(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        time if (SHORTEST..=LONGEST).contains(&time) => Ok(time),
        _ => Err("at least 1s and at most 5m".to_owned()),
    }
}

fn size(text: &str) -> Result<usize, String> {
    let size = units::size(text).filter(|size| (8..=LARGEST).contains(size));
    let size = size.and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| "write 8 to 32KiB: a whole number, alone or with KiB".to_owned())
}
