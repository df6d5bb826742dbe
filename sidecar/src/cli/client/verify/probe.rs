//! How stale the fleet really is: a key that every sidecar holds is
//! invalidated with LOG through one of them, and each is read until it no
//! longer returns the older value.
//!
//! Two times a sidecar: how long after the answer a read began that still got
//! the older value as fresh (what LOG leaves open, at most D), and how long after
//! the invalidation was asked for a read was answered without it (the latter
//! includes the reads' own time).

use super::changes::By;
use super::drive::{PROBED, Run};
use std::time::Duration;
use unstale::{Ack, ReadOptions};

/// Between two reads of a sidecar, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

impl Run {
    /// Measures for ever. Its reads cannot wait for their turns: they are paid
    /// for afterwards.
    pub(super) async fn probe(&self) {
        let keys = self.names.members(PROBED);
        for number in 0.. {
            let endpoint = number % self.endpoints.0.len();
            let key = keys[number % keys.len()];
            let calls = self.measure(endpoint, key).await;
            tokio::time::sleep(self.pace.price(calls)).await;
        }
    }

    /// One invalidation; how many calls it took.
    async fn measure(&self, through: usize, key: usize) -> u32 {
        self.fill(through, key).await;
        let newest = self.rules().origin(key);
        let all = 0..self.endpoints.0.len();
        let reads = all.clone().map(|endpoint| self.plain(endpoint, key));
        let held = futures::future::join_all(reads).await;
        let asked = self.now();
        let answered = self.invalidate(through, By::Key(key), Ack::Log).await;
        let mut calls = 3 + held.len() as u32;
        let Some(answered) = answered else {
            return calls;
        };
        let holds = all.filter(|endpoint| held[*endpoint] == Some(Some(newest)));
        let follow = holds.map(|e| self.follow(e, (key, newest), (asked, answered)));
        calls += futures::future::join_all(follow).await.iter().sum::<u32>();
        calls
    }

    /// Reads a sidecar until it no longer returns this value.
    async fn follow(
        &self,
        endpoint: usize,
        (key, older): (usize, u64),
        (asked, answered): (Duration, Duration),
    ) -> u32 {
        let (mut calls, mut stale, mut rest) = (0, Duration::ZERO, AGAIN.0);
        loop {
            let began = self.now();
            let seen = self.plain(endpoint, key).await;
            calls += 1;
            match seen {
                Some(Some(value)) if value <= older => {
                    stale = began.saturating_sub(answered);
                }
                Some(_) => break,
                // An outage is no measurement.
                None => return calls,
            }
            tokio::time::sleep(rest).await;
            rest = (rest * 2).min(AGAIN.1);
        }
        let now = self.now();
        let figures = &mut self.figures().endpoints[endpoint];
        figures.stale.push(stale);
        figures.observed.push(now.saturating_sub(asked));
        calls
    }

    /// A plain read: nothing for an error, else the value if it is fresh.
    async fn plain(&self, endpoint: usize, key: usize) -> Option<Option<u64>> {
        let asked = self.asking(endpoint, key);
        self.look(&asked, ReadOptions::default()).await
    }
}
