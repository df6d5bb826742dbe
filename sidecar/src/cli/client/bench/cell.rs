//! One kind of call with so many under way: driven, and measured.

use super::calls::{Call, Kind};
use super::pace::Pace;
use crate::cli::client::spread::{Spread, kind};
use futures::future::join_all;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// What was seen so far.
#[derive(Default)]
struct Seen {
    times: Vec<Duration>,
    errors: BTreeMap<&'static str, u64>,
}

/// A row of the table, while it is measured.
pub(super) struct Cell<'a> {
    call: &'a Call,
    in_flight: usize,
    pace: Pace,
    seen: Mutex<Seen>,
}

/// A row of the table.
pub(super) struct Measured {
    pub(super) kind: Kind,
    pub(super) transport: &'static str,
    pub(super) in_flight: usize,
    /// Calls that were answered as they should be.
    pub(super) spread: Spread,
    pub(super) per_second: f64,
    /// Other calls, by what became of them.
    pub(super) errors: BTreeMap<&'static str, u64>,
    /// Whether the rate held it back.
    pub(super) is_limited: bool,
}

impl<'a> Cell<'a> {
    /// `rate` keys are read a second at most; a tenth of it is written.
    pub(super) fn new(call: &'a Call, in_flight: usize, rate: u32) -> Self {
        let keys = match call.kind {
            Kind::Set => rate / 10,
            Kind::Get | Kind::Batch => rate,
        };
        Self {
            call,
            in_flight,
            pace: Pace::new(f64::from(keys) / f64::from(call.keys())),
            seen: Mutex::default(),
        }
    }

    /// Makes calls for ever.
    pub(super) async fn drive(&self) {
        join_all((0..self.in_flight).map(|_| self.client())).await;
    }

    async fn client(&self) {
        loop {
            self.pace.turn().await;
            let begin = Instant::now();
            let done = self.call.make().await;
            let took = begin.elapsed();
            let mut seen = self.seen.lock().expect("no panic");
            let error = match done {
                Ok(true) => {
                    seen.times.push(took);
                    continue;
                }
                Ok(false) => "missing",
                Err(error) => kind(&error),
            };
            *seen.errors.entry(error).or_default() += 1;
        }
    }

    /// What was seen in this time.
    pub(super) fn measured(self, took: Duration) -> Measured {
        let is_limited = self.pace.has_limited();
        let seen = self.seen.into_inner().expect("no panic");
        Measured {
            kind: self.call.kind,
            transport: self.call.transport,
            in_flight: self.in_flight,
            spread: Spread::of(&seen.times),
            per_second: seen.times.len() as f64 / took.as_secs_f64(),
            errors: seen.errors,
            is_limited,
        }
    }
}
