//! The bound of the rate: calls begin no earlier than their turn. What a slow
//! moment left unused is not made up for.

use std::sync::Mutex;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Timers are no finer: a turn that comes sooner is taken at once.
const GRAIN: Duration = Duration::from_millis(1);
/// What is made up for at most.
const BURST: Duration = Duration::from_millis(10);

/// Gives out turns, first come, first served.
pub(super) struct Pace {
    period: Duration,
    turns: Mutex<Turns>,
}

struct Turns {
    /// When the next one is.
    next: Instant,
    given: u64,
    waited: u64,
}

impl Pace {
    /// So many a second.
    pub(super) fn new(rate: f64) -> Self {
        Self {
            period: Duration::from_secs_f64(1.0 / rate.max(1.0)),
            turns: Mutex::new(Turns {
                next: Instant::now(),
                given: 0,
                waited: 0,
            }),
        }
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) {
        let now = Instant::now();
        let turn = self.take(now);
        if turn > now + GRAIN {
            sleep_until(turn).await;
        }
    }

    fn take(&self, now: Instant) -> Instant {
        let mut turns = self.turns.lock().expect("no panic");
        // The clock may be younger than the burst: then there is nothing to forget.
        let oldest = now.checked_sub(BURST).unwrap_or(now);
        let turn = turns.next.max(oldest);
        turns.next = turn + self.period;
        turns.given += 1;
        turns.waited += u64::from(turn > now);
        turn
    }

    /// Whether most turns were still to come when they were asked for.
    pub(super) fn has_limited(&self) -> bool {
        let turns = self.turns.lock().expect("no panic");
        turns.waited * 2 > turns.given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_as_many_as_the_rate_and_a_pause_is_not_made_up_for() {
        let pace = Pace::new(100.0);
        let begin = Instant::now();
        for _ in 0..=50 {
            pace.turn().await;
        }
        assert_eq!(begin.elapsed(), Duration::from_millis(500));
        assert!(pace.has_limited());
        tokio::time::advance(Duration::from_secs(10)).await;
        let begin = Instant::now();
        for _ in 0..=50 {
            pace.turn().await;
        }
        assert!(
            begin.elapsed() >= Duration::from_millis(490),
            "{:?}",
            begin.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slower_than_the_rate_is_not_held_back() {
        let pace = Pace::new(1000.0);
        for _ in 0..50 {
            tokio::time::advance(Duration::from_millis(20)).await;
            let begin = Instant::now();
            pace.turn().await;
            assert_eq!(begin.elapsed(), Duration::ZERO);
        }
        assert!(!pace.has_limited());
    }
}
