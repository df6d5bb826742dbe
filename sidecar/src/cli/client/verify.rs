//! `unstale verify`: whether a live fleet keeps its promise.
//!
//! It is an application with an origin of its own (a counter per key in this
//! process): it loads, reads in every way, writes and invalidates through each
//! sidecar that it is given, at a bounded rate, and has every answer judged by
//! the rules that the project's own tests use (unstale-checker). It touches one
//! namespace only, and empties it at the end.
//!
//! What goes wrong with the fleet is counted and is no violation; an answer
//! that breaks a promise is.

mod changes;
mod drive;
mod endpoints;
mod figures;
mod gaps;
mod judge;
mod loads;
mod pace;
mod probe;
mod reads;
mod registers;
mod report;

use super::exit::{Ended, Failure, note};
use super::interrupts::Interrupts;
use super::target::duration;
use super::{output, own_namespace};
use clap::Args;
use drive::Run;
use std::time::Duration;
use unstale::DEFAULT_ENDPOINT;

/// Drive a live fleet and judge every answer; exit 1 on a broken promise.
#[derive(Debug, Args)]
pub struct Verify {
    /// Where a sidecar listens: http://HOST:PORT or unix:PATH; give one per pod
    #[arg(
        long = "endpoint", env = "UNSTALE_ENDPOINT", value_name = "URL",
        default_value = DEFAULT_ENDPOINT
    )]
    endpoints: Vec<String>,
    /// The namespace, which is invalidated as a whole at the end
    #[arg(long, value_name = "NAME", default_value = "unstale-verify")]
    namespace: String,
    /// Calls a second, through all sidecars together
    #[arg(
        long, value_name = "NUMBER", default_value = "200",
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    rate: u32,
    /// How long; Ctrl-C ends it early, with the figures so far
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "60s")]
    time: Duration,
    /// Answer with JSON on stdout
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) async fn run(self) -> Result<Ended, Failure> {
        self.check()?;
        let mut interrupts = Interrupts::new()?;
        let endpoints = endpoints::connect(&self.endpoints, &self.namespace).await?;
        endpoints.warnings().iter().for_each(|text| note(text));
        let run = Run::new(endpoints, self.rate);
        tokio::select! {
            () = run.drive() => {}
            () = tokio::time::sleep(self.time) => {}
            () = interrupts.next() => {}
        }
        run.finish();
        tokio::select! {
            () = run.clean_up() => {}
            () = interrupts.next() => own_namespace::not_emptied(),
        }
        self.tell(&run)
    }

    /// What would touch what is not ours.
    fn check(&self) -> Result<(), Failure> {
        own_namespace::check(&self.namespace)?;
        if self.time.is_zero() {
            return Err(Failure::Usage("--for must be longer than 0".to_owned()));
        }
        Ok(())
    }

    fn tell(&self, run: &Run) -> Result<Ended, Failure> {
        let report = run.report(&self.namespace);
        match self.json {
            true => output::object(&report.json())?,
            false => output::write(report.text().as_bytes())?,
        }
        if report.is_broken() {
            return Ok(Ended::Not);
        }
        let gaps = report.gaps();
        gaps.iter()
            .for_each(|what| note(&format!("not judged: {what}")));
        Ok(match gaps.is_empty() {
            true => Ended::Done,
            false => Ended::Failed(3),
        })
    }
}
