//! Waiting for a state, with a deadline. Does not wait for time to pass.

use std::time::{Duration, Instant};

/// How long a state may take to come when nothing stricter is promised.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The first rest between two questions; it doubles up to [`REST_MAX`].
const REST: Duration = Duration::from_millis(5);
const REST_MAX: Duration = Duration::from_millis(100);

/// Asks until the answer is `Ok`; panics with the last answer when `within`
/// has passed.
pub async fn eventually<T, F>(what: &str, within: Duration, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let began = Instant::now();
    let mut rest = REST;
    loop {
        // A question that hangs must not hang the test.
        let left = within.saturating_sub(began.elapsed()).max(REST_MAX);
        let seen = match tokio::time::timeout(left, ask()).await {
            Ok(Ok(reached)) => return reached,
            Ok(Err(seen)) => seen,
            Err(_) => "no answer".to_owned(),
        };
        if began.elapsed() > within {
            panic!("waited {within:?} for {what}; the last thing seen: {seen}");
        }
        tokio::time::sleep(rest).await;
        rest = (rest * 2).min(REST_MAX);
    }
}
