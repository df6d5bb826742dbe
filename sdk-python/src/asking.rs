//! The asking that comes before a load: an entry, a grant, or a wait that ends.

use crate::grant::Held;
use crate::reply::Reply;
use crate::runtime::Driver;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use unstale::{Answer, Cache, Error, LeaseOptions, Leased};

/// The longest wait of a single Lease call (the sidecar's cap is 60 s).
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The shortest pause after a busy answer.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// Asks until there is an entry or a grant, or the wait is over.
pub(crate) async fn obtain<A>(
    ask: impl Fn(LeaseOptions) -> A,
    options: LeaseOptions,
    allow_stale: bool,
) -> Result<Answer<Leased>, Error>
where
    A: Future<Output = Result<Answer<Leased>, Error>>,
{
    let start = Instant::now();
    // The first question does not wait: a sidecar that has fallen silent shows
    // with it, and not when a long wait ends.
    let mut wait = Duration::ZERO;
    loop {
        let leased = ask(options.clone().wait(wait.min(WAIT_MAX))).await?;
        let left = options.wait.saturating_sub(start.elapsed());
        let Some(retry_after) = again(&leased, allow_stale, left)? else {
            return Ok(leased);
        };
        // The last question is asked when the wait ends, not before; after the
        // first one the sidecar does the waiting.
        if !wait.is_zero() {
            sleep(retry_after.max(PAUSE_MIN).min(left)).await;
        }
        wait = options.wait.saturating_sub(start.elapsed());
    }
}

/// When to ask again; none when this is an answer.
fn again(
    leased: &Answer<Leased>,
    allow_stale: bool,
    left: Duration,
) -> Result<Option<Duration>, Error> {
    match leased.result {
        Leased::Busy { stale: Some(_), .. } if allow_stale => Ok(None),
        Leased::Busy { retry_after, .. } if left.is_zero() => Err(Error::Busy { retry_after }),
        Leased::Busy { retry_after, .. } => Ok(Some(retry_after)),
        Leased::Hit(_) | Leased::Negative(_) | Leased::Granted(_) => Ok(None),
    }
}

/// A grant is held from the moment at which it arrives.
pub(crate) fn held(driver: &'static Driver, cache: &Cache, leased: Answer<Leased>) -> Reply {
    let held = grant_of(driver, cache, &leased.result);
    Reply::Leased(Box::new((leased, held)))
}

/// The same for a batch.
pub(crate) fn held_many(
    driver: &'static Driver,
    cache: &Cache,
    leased: Answer<Vec<Leased>>,
) -> Reply {
    Reply::LeasedMany(leased.map(|leased| {
        let each = leased.into_iter();
        each.map(|one| {
            let held = grant_of(driver, cache, &one);
            (one, held)
        })
        .collect()
    }))
}

fn grant_of(driver: &'static Driver, cache: &Cache, leased: &Leased) -> Option<Held> {
    match leased {
        Leased::Granted(grant) => Some(Held::new(driver, cache, grant)),
        Leased::Hit(_) | Leased::Negative(_) | Leased::Busy { .. } => None,
    }
}
