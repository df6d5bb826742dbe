//! The rate. Two thirds of it are turns, of which every call of a client takes
//! one; a third is the probe's, whose calls cannot wait and are paid for
//! afterwards. Turns that nobody took are not made up for, so that a fleet which
//! comes back is not flooded.

use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Gives out turns, first come, first served.
pub(super) struct Pace {
    period: Duration,
    turns: Mutex<Interval>,
}

impl Pace {
    /// So many calls a second.
    pub(super) fn new(rate: u32) -> Self {
        let period = Duration::from_secs(1) / rate.max(1);
        let mut turns = interval(period * 3 / 2);
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

    /// How long the probe has to rest after so many calls.
    pub(super) fn price(&self, calls: u32) -> Duration {
        self.period * 3 * calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn turns_are_two_thirds_of_the_rate_and_a_pause_is_not_made_up_for() {
        let pace = Pace::new(100);
        let begin = Instant::now();
        for _ in 0..=50 {
            pace.turn().await;
        }
        assert_eq!(begin.elapsed(), Duration::from_millis(750));
        assert_eq!(pace.price(50), Duration::from_millis(1500));
        tokio::time::advance(Duration::from_secs(10)).await;
        let begin = Instant::now();
        for _ in 0..=50 {
            pace.turn().await;
        }
        assert!(begin.elapsed() >= Duration::from_millis(735));
    }
}
