//! The rate: every call takes a turn. Turns that nobody took are not made up
//! for, so that a fleet which comes back is not flooded.

use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Gives out turns, first come, first served.
pub(super) struct Pace {
    period: Duration,
    turns: Mutex<Interval>,
}

impl Pace {
    /// So many turns a second.
    pub(super) fn new(rate: u32) -> Self {
        let period = Duration::from_secs(1) / rate.max(1);
        let mut turns = interval(period);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            period,
            turns: Mutex::new(turns),
        }
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) {
        self.turns.lock().await.tick().await;
    }

    /// What so many calls would have waited, for who could not.
    pub(super) fn price(&self, calls: u32) -> Duration {
        self.period * calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn turns_keep_the_rate_and_a_pause_is_not_made_up_for() {
        let pace = Pace::new(100);
        let begin = Instant::now();
        for _ in 0..=50 {
            pace.turn().await;
        }
        assert_eq!(begin.elapsed(), Duration::from_millis(500));
        tokio::time::advance(Duration::from_secs(10)).await;
        let begin = Instant::now();
        for _ in 0..=50 {
            pace.turn().await;
        }
        assert!(begin.elapsed() >= Duration::from_millis(490));
    }
}
