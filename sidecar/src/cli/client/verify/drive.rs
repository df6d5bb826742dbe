//! The run: a few clients of every sidecar, each doing one thing after another
//! at the pace of the whole.

use super::super::own_namespace;
use super::endpoints::Endpoints;
use super::figures::Figures;
use super::pace::Pace;
use crate::boottime::BootTime;
use crate::entropy::OsRandom;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use unstale_checker::linear::{Registers, Verdict};
use unstale_checker::{Checker, Names};
use unstale_engine::clock::{Clock as _, Moment};
use unstale_engine::random::Random as _;

/// Keys that are loaded, in groups of the same tag and prefix. The last group is
/// the probe's alone.
const KEYS: usize = 36;
const GROUPS: usize = 9;
/// The probe's group.
pub(super) const PROBED: usize = GROUPS - 1;
/// Registers at a time.
pub(super) const REGISTERS: usize = 4;
/// Clients of a sidecar: one that waits (for FLEET, for a pod that hangs) leaves
/// the others at work.
const CLIENTS: usize = 4;
/// Between two questions whether a sidecar is still the same process.
const ASK: Duration = Duration::from_secs(1);

/// A run.
pub(super) struct Run {
    pub(super) endpoints: Endpoints,
    pub(super) pace: Pace,
    pub(super) names: Names,
    pub(super) clock: BootTime,
    pub(super) since: Moment,
    rules: Mutex<Checker>,
    registers: Mutex<Registers>,
    figures: Mutex<Figures>,
}

impl Run {
    /// Nothing was done yet.
    pub(super) fn new(endpoints: Endpoints, rate: u32) -> Self {
        // Runs at the same time do not read each other's values.
        let run = format!("{:08x}-", OsRandom.bits() as u32);
        let names = Names::new(run.as_str(), KEYS, GROUPS);
        let pods = endpoints.0.len();
        let mut rules = Checker::new(names.clone(), pods, endpoints.bound());
        for position in endpoints.positions() {
            rules.saw(position, Duration::ZERO);
        }
        Self {
            rules: Mutex::new(rules),
            registers: Mutex::new(Registers::new(run, REGISTERS)),
            figures: Mutex::new(Figures::of(pods)),
            pace: Pace::new(rate),
            clock: BootTime,
            since: BootTime.now(),
            names,
            endpoints,
        }
    }

    /// Drives the fleet for ever.
    pub(super) async fn drive(&self) {
        let all = 0..self.endpoints.0.len();
        let clients = all.clone().flat_map(|e| (0..CLIENTS).map(move |_| e));
        let clients = clients.map(|endpoint| self.client(endpoint));
        tokio::join!(
            futures::future::join_all(clients),
            futures::future::join_all(all.map(|endpoint| self.ask(endpoint))),
            self.probe(),
        );
    }

    async fn client(&self, endpoint: usize) {
        loop {
            self.pace.turn().await;
            match self.draw(20) {
                0 => self.change(endpoint).await,
                1 | 2 => self.load_some(endpoint).await,
                3..7 => self.access(endpoint).await,
                _ => self.read(endpoint).await,
            }
        }
    }

    /// Asks now and then whether a sidecar is another process.
    async fn ask(&self, endpoint: usize) {
        loop {
            tokio::time::sleep(ASK).await;
            self.pace.turn().await;
            let another = self.endpoints.0[endpoint].is_another_process().await;
            if another.unwrap_or(false) {
                self.rules().restarted(endpoint);
            }
        }
    }

    /// Judges what was left to be judged.
    pub(super) fn finish(&self) {
        let broken = self.registers().finish();
        self.not_linearizable(broken);
    }

    /// Registers that no order explains.
    pub(super) fn not_linearizable(&self, broken: Vec<(String, Verdict)>) {
        for (key, verdict) in broken {
            if let Verdict::Illegal(illegal) = verdict {
                let what = format!("{key}: {illegal}");
                self.broke_register("I-8 not linearizable", None, what);
            }
        }
    }

    /// Empties the namespace, in bounded time.
    pub(super) async fn clean_up(&self) {
        let caches = self.endpoints.0.iter().map(|endpoint| &endpoint.cache);
        own_namespace::empty(caches, "unstale verify has ended").await;
    }

    /// A number below this one.
    pub(super) fn draw(&self, below: usize) -> usize {
        (OsRandom.bits() % below as u128) as usize
    }

    pub(super) fn rules(&self) -> MutexGuard<'_, Checker> {
        self.rules.lock().expect("no panic")
    }

    pub(super) fn registers(&self) -> MutexGuard<'_, Registers> {
        self.registers.lock().expect("no panic")
    }

    pub(super) fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().expect("no panic")
    }
}
