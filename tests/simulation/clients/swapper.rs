//! I-8: no two CompareAndSets succeed on one version, and in a calm no write
//! that answered OK is gone. All of them together are judged as one register
//! (recorder.rs).

use super::{Client, entry, key, recorder};
use crate::lives::Terms;
use crate::table::Operation;
use crate::timeline::Scope;
use crate::world::{D_US, SWAPPED};
use std::collections::BTreeSet;
use unstale_checker::linear::Intent;
use unstale_engine::error::Error;
use unstale_engine::request::*;

/// So long after the last fault a calm begins (µs).
const SETTLED: u64 = D_US + 1_000_000;

/// How long a write may come after its call ended without an answer (µs), and
/// where the log holds proposals.
const COMES: u64 = 3_000_000;
const HELD_COMES: u64 = 10_000_000;

/// What is known of the key that is swapped.
#[derive(Default)]
pub(crate) struct Swaps {
    /// Pods whose write is under way, since when at least one is, and whether
    /// all of them answered OK so far.
    under_way: BTreeSet<usize>,
    since: u64,
    all_stored: bool,
    begun: u64,
    /// When the writes began of which the newest stands; none: not known.
    stands_since: Option<u64>,
    unclear_until: u64,
    /// Whether the log holds proposals.
    pub(crate) held: bool,
}

impl Swaps {
    fn begin(&mut self, pod: usize, now: u64) {
        if self.under_way.is_empty() {
            (self.since, self.all_stored) = (now, true);
        }
        self.under_way.insert(pod);
        self.begun += 1;
        self.stands_since = None;
    }

    fn end(&mut self, pod: usize, stored: bool) {
        self.under_way.remove(&pod);
        // A refused write is in the log and covers what was there.
        self.all_stored &= stored;
        let stands = self.all_stored && self.under_way.is_empty();
        self.stands_since = stands.then_some(self.since);
    }

    /// A write without a definite answer may still come, or what takes its place.
    pub(crate) fn unclear(&mut self, pod: usize, now: u64) {
        self.end(pod, false);
        self.unclear_until = now + if self.held { HELD_COMES } else { COMES };
    }
}

impl Client {
    pub(super) async fn swap(self) {
        loop {
            self.shared.delay(1_000, 400_000).await;
            // With shared floors every write covers the keys that must hit now.
            if self.shared.with(|w| w.quiet && w.mix.shares_floors()) {
                return;
            }
            let Some(answer) = self.look().await else {
                continue;
            };
            self.shared.delay(100, 3_000).await;
            if self.shared.chance(25) {
                self.overwrite().await;
            } else {
                self.exchange(answer.result.found().cloned()).await;
            }
        }
    }

    /// Reads the key; a miss in a calm is a lost write.
    async fn look(&self) -> Option<Answer<GetOutcome>> {
        let before = self.shared.with(|w| w.judged.swaps.begun);
        let stands = self.stands();
        let answer = self.look_at_level(before).await?;
        let (pod, degraded) = (self.pod, answer.degraded);
        let found = answer.result.found().map(|f| f.version.to_string());
        self.shared
            .note(Scope::Key(SWAPPED), || format!("pod {pod} read {found:?}"));
        self.judge_position(answer.position);
        if let Some(entry) = answer.result.found()
            && self.content(entry).is_some_and(|(of, _)| of != SWAPPED)
        {
            let what = format!("pod {pod} returned what was stored for another key");
            self.shared.violate("I-11", Some(SWAPPED), what);
        }
        let same = self.shared.with(|w| w.judged.swaps.begun) == before;
        if stands && same && found.is_none() && degraded == Degraded::default() {
            let what = format!("pod {pod} misses a write that had answered OK");
            self.shared.violate("I-8", Some(SWAPPED), what);
        }
        Some(answer)
    }

    /// As of now, or what this pod has, in turn.
    async fn look_at_level(&self, turn: u64) -> Option<Answer<GetOutcome>> {
        let plain = Get::plain(key(SWAPPED), self.deadline(700));
        if turn.is_multiple_of(2) {
            self.shared.began(Operation::Get);
            return self.engine.get(plain).await.ok();
        }
        self.shared.began(Operation::GetStrong);
        let level = Level::Strong;
        let ticket = self.recorded(Intent::Read);
        let answer = self.engine.get(Get { level, ..plain }).await.ok()?;
        self.answered(ticket, recorder::found(answer.result.found()));
        Some(answer)
    }

    /// Whether a write stands that every pod must find now.
    fn stands(&self) -> bool {
        let now = self.shared.handle.now();
        self.shared.with(|w| {
            let swaps = &w.judged.swaps;
            let calm = w.calm_since.is_some_and(|since| {
                swaps
                    .stands_since
                    .is_some_and(|began| began > since + SETTLED)
            });
            // Where answers are mixed up all the time, any read may miss.
            let sure = !w.mix.shares_floors() && w.mix.extra.mixed_up == 0;
            calm && sure && swaps.under_way.is_empty() && now > swaps.unclear_until
        })
    }

    /// Directed schedules only: leaves markers where there is no value, and
    /// loads nothing.
    pub(super) async fn lease_swapped(self) {
        loop {
            self.shared.delay(500, 8_000).await;
            self.shared.began(Operation::Lease);
            let lease = Lease {
                key: key(SWAPPED),
                term: std::time::Duration::from_millis(200),
                wait: std::time::Duration::ZERO,
                min_position: None,
                may_refresh: true,
                deadline: self.deadline(300),
            };
            // Whatever the answer: who wants the value waits for the next write.
            let _ = self.engine.lease(lease).await;
        }
    }

    async fn overwrite(&self) {
        self.shared.began(Operation::Set);
        self.begin();
        let new = self.shared.with(|w| w.rng.next());
        let ticket = self.recorded(Intent::Set(new));
        let set = Set {
            key: key(SWAPPED),
            entry: entry(SWAPPED, new, Terms::LONG),
            position: None,
            if_absent: false,
            ack: Ack::Log,
            deadline: self.deadline(700),
        };
        let outcome = self.engine.set(set).await.map(|answer| answer.result);
        let stored = matches!(outcome, Ok(SetOutcome::Stored(_)));
        if outcome.is_ok() {
            self.answered(ticket, recorder::wrote(stored));
        }
        self.end(stored, &outcome);
    }

    async fn exchange(&self, found: Option<Found>) {
        let new = self.shared.with(|w| w.rng.next());
        let intent = recorder::swap(found.as_ref(), new);
        let expected = recorder::expected(found);
        self.shared.began(Operation::CompareAndSet);
        self.begin();
        let losses = self.shared.with(|w| w.judged.losses.len());
        let ticket = self.recorded(intent);
        let cas = CompareAndSet {
            key: key(SWAPPED),
            expected: expected.clone(),
            entry: entry(SWAPPED, new, Terms::LONG),
            ack: Ack::Log,
            deadline: self.deadline(700),
        };
        let outcome = self
            .engine
            .compare_and_set(cas)
            .await
            .map(|answer| answer.result);
        let stored = matches!(outcome, Ok(CasOutcome::Stored(_)));
        if outcome.is_ok() {
            self.answered(ticket, recorder::wrote(stored));
        }
        self.end(stored, &outcome);
        if let (Expected::Version(version), true) = (expected, stored) {
            self.succeeded(version, losses);
        }
    }

    /// A log that loses its tail gives the same version twice (A1).
    fn succeeded(&self, version: String, losses: usize) {
        let now = self.shared.handle.now();
        let first = self.shared.with(|w| {
            let excluded = w.judged.suspect(now) || w.judged.losses.len() != losses;
            excluded || w.judged.first_on(version.clone())
        });
        if !first {
            let what = format!("two CompareAndSets succeeded on {version}");
            self.shared.violate("I-8", Some(SWAPPED), what);
        }
    }

    fn begin(&self) {
        let now = self.shared.handle.now();
        self.shared.with(|w| w.judged.swaps.begin(self.pod, now));
    }

    fn end<T: std::fmt::Debug>(&self, stored: bool, outcome: &Result<T, Error>) {
        let (pod, now) = (self.pod, self.shared.handle.now());
        let wrote = || format!("pod {pod} wrote: {outcome:?}");
        self.shared.note(Scope::Key(SWAPPED), wrote);
        self.shared.with(|w| match outcome {
            Ok(_) => w.judged.swaps.end(pod, stored),
            Err(_) => w.judged.swaps.unclear(pod, now),
        });
    }
}
