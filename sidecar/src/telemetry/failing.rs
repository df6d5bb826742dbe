//! Says in the log that calls to the remote tier fail, whatever the reason, and
//! when they do no more. Tiers say themselves what they can tell apart; a tier
//! that is only slow is told of here alone.

use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use unstale_engine::Engine;

/// How often the counts are read.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is said while it lasts.
const SAY_EVERY: Duration = Duration::from_secs(60);
/// Calls have to succeed for so long before it is said to be over.
const OVER_AFTER: Duration = Duration::from_secs(5);

/// What is to be said now.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    /// So many calls failed since it was said last.
    Failing(u64),
    Over,
}

/// What was seen and said.
#[derive(Default)]
struct Failing {
    counted: u64,
    unsaid: u64,
    last_failure: Option<Instant>,
    said: Option<Instant>,
    is_failing: bool,
}

impl Failing {
    /// `failures`: since the start. `is_away`: the last call failed.
    fn look(&mut self, failures: u64, is_away: bool, now: Instant) -> Option<Word> {
        let more = failures.saturating_sub(self.counted);
        (self.counted, self.unsaid) = (failures, self.unsaid + more);
        if more > 0 || is_away {
            self.last_failure = Some(now);
        }
        let past = |at: Option<Instant>, time| at.is_none_or(|at| now.duration_since(at) >= time);
        if more > 0 && past(self.said, SAY_EVERY) {
            (self.said, self.is_failing) = (Some(now), true);
            return Some(Word::Failing(std::mem::take(&mut self.unsaid)));
        }
        if self.is_failing && past(self.last_failure, OVER_AFTER) {
            self.is_failing = false;
            return Some(Word::Over);
        }
        None
    }
}

/// Looks until `cancel`.
pub(crate) async fn run(engine: Arc<Engine>, cancel: CancellationToken) {
    let mut failing = Failing::default();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
        }
        let error = engine.status().remote_error;
        let failures = engine.counters().remote_errors;
        match failing.look(failures, error.is_some(), Instant::now()) {
            Some(Word::Failing(calls)) => {
                let last = error.unwrap_or_else(|| "others succeed".to_owned());
                tracing::error!(
                    connection = "remote",
                    calls,
                    "calls to the remote tier fail: {last}"
                );
            }
            Some(Word::Over) => {
                tracing::info!(
                    connection = "remote",
                    "calls to the remote tier succeed again"
                );
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_said_once_a_minute_and_their_end_once() {
        let (mut failing, start) = (Failing::default(), Instant::now());
        let mut look = |second, failures, is_away| {
            failing.look(failures, is_away, start + Duration::from_secs(second))
        };
        assert_eq!(look(0, 0, false), None);
        assert_eq!(look(1, 3, true), Some(Word::Failing(3)));
        for second in 2..61 {
            assert_eq!(look(second, 3 + second, true), None);
        }
        assert_eq!(look(61, 70, true), Some(Word::Failing(67)));
        assert_eq!(look(62, 70, false), None);
        // Nobody calls, and the tier does not answer its ping.
        assert_eq!(look(65, 70, true), None);
        assert_eq!(look(69, 70, false), None);
        assert_eq!(look(70, 70, false), Some(Word::Over));
        assert_eq!(look(71, 70, false), None);
    }
}
