//! The beginning of a load: what is cached, or the right to load it.
//!
//! Guarantees one loader per key in the fleet, and without a sidecar one in this
//! process. What the loader does with the right stands in `loading.rs`.

use crate::answer::Answer;
use crate::flight::{Flight, Seat};
use crate::held::Held;
use crate::lease::{Grant, Leased};
use crate::loaded::{Because, Loaded};
use crate::loading::{Lease, Loading, Right, unshared};
use crate::renewing::Renewing;
use crate::{Cache, Error, LoadOptions};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// The shortest pause after a busy answer.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// What [`Cache::begin`] gives.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a box would cost every hit an allocation"
)]
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::{Answer, Begun, LoadOptions, Loaded};
///
/// let begun: Begun<std::io::Error> = cache.begin("user:7", LoadOptions::default()).await?;
/// let answer: Answer<Loaded<_>> = match begun {
///     Begun::Loaded(answer) => answer,
///     Begun::Loading(loading) => loading.fill("Ada").await,
/// };
/// assert!(answer.result.value().is_some());
/// # Ok(())
/// # }
/// ```
pub enum Begun<E> {
    /// There is nothing to load.
    Loaded(Answer<Loaded<E>>),
    /// The caller loads.
    Loading(Box<Loading>),
}

impl Cache {
    /// [`Cache::get_or_load`] in steps, for loaders that are no futures: gives
    /// what is cached, or the right to load it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use unstale::{Begun, Cache, LoadError, LoadOptions};
    ///
    /// let cache = Cache::builder().no_sidecar().connect().await?;
    /// let loaded = match cache.begin("motd", LoadOptions::default()).await? {
    ///     Begun::Loaded(answer) => answer,
    ///     Begun::Loading(loading) => match std::fs::read("/etc/hostname") {
    ///         Ok(bytes) => loading.fill(bytes).await,
    ///         Err(error) => loading.fail(error).await?,
    ///     },
    /// };
    /// println!("{:?}", loaded.result.value());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Busy`] when another loader outlasted the wait; else see
    /// [`Error`]. Fail-open, an outage is no error but [`Begun::Loading`].
    pub async fn begin<E>(
        &self,
        key: impl Into<String>,
        options: LoadOptions,
    ) -> Result<Begun<E>, Error> {
        let key = key.into();
        match self.obtain(&key, &options).await {
            Ok(leased) => self.found(key, options, leased),
            Err(error) if self.goes_on(&error) => self.alone(key, options, error).await,
            Err(error) => Err(error),
        }
    }

    /// Asks until there is an entry or a grant, or the wait is over.
    async fn obtain(&self, key: &str, options: &LoadOptions) -> Result<Answer<Leased>, Error> {
        let start = Instant::now();
        // The first question does not wait: a sidecar that has fallen silent
        // shows with it, and not when a long wait ends.
        let mut wait = Duration::ZERO;
        loop {
            let asking = self.lease_with(key, options.lease(wait));
            let leased = self.attempt(asking).await?;
            let Leased::Busy { retry_after, stale } = &leased.result else {
                return Ok(leased);
            };
            if options.allow_stale && stale.is_some() {
                return Ok(leased);
            }
            let retry_after = *retry_after;
            let left = options.wait.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(Error::Busy { retry_after });
            }
            // The last question is asked when the wait ends, not before; after
            // the first one the sidecar does the waiting.
            if !wait.is_zero() {
                sleep(retry_after.max(PAUSE_MIN).min(left)).await;
            }
            wait = options.wait.saturating_sub(start.elapsed());
        }
    }

    fn found<E>(
        &self,
        key: String,
        options: LoadOptions,
        leased: Answer<Leased>,
    ) -> Result<Begun<E>, Error> {
        let (told, result) = leased.split();
        let loaded = match result {
            Leased::Granted(grant) => return Ok(self.granted(key, options, told, grant)),
            Leased::Hit(entry) => Loaded::Hit(entry),
            Leased::Negative(negative) => Loaded::Negative(negative),
            Leased::Busy {
                retry_after,
                stale: Some(entry),
            } => Loaded::Stale {
                entry,
                because: Because::Busy { retry_after },
            },
            Leased::Busy {
                retry_after,
                stale: None,
            } => return Err(Error::Busy { retry_after }),
        };
        Ok(Begun::Loaded(told.map(|()| loaded)))
    }

    fn granted<E>(
        &self,
        key: String,
        options: LoadOptions,
        told: Answer<()>,
        grant: Grant,
    ) -> Begun<E> {
        let right = Right::Leased(Box::new(Lease {
            told,
            renewing: Renewing::new(self, &grant),
            held: Held::new(self, &grant),
            stale: grant.stale,
        }));
        // Should the sidecar go away, the others take what this one finds.
        let flight = self.shared.flights.lead(&self.namespace, &key);
        Begun::Loading(self.loading(key, options, flight, right))
    }

    /// There is no sidecar to ask: one caller of this process loads.
    pub(crate) async fn alone<E>(
        &self,
        key: String,
        options: LoadOptions,
        error: Error,
    ) -> Result<Begun<E>, Error> {
        let start = Instant::now();
        // Not longer than for a loader of its own, which it may yet run.
        let wait = options
            .hard_timeout
            .map_or(options.wait, |t| t.min(options.wait));
        // Who must see a position cannot take what was read before it.
        let joins = self.min_position(options.min_position.clone()).is_empty();
        let flights = &self.shared.flights;
        loop {
            let seat = match joins {
                true => flights.join(&self.namespace, &key),
                false => Seat::Lead(flights.lead(&self.namespace, &key)),
            };
            let mut follower = match seat {
                Seat::Lead(flight) => {
                    let right = Right::Alone(error);
                    return Ok(Begun::Loading(self.loading(key, options, flight, right)));
                }
                Seat::Follow(follower) => follower,
            };
            let left = wait.saturating_sub(start.elapsed());
            match timeout(left, follower.landed()).await {
                Ok(Some(content)) => return Ok(Begun::Loaded(unshared(content, error))),
                Ok(None) => {}
                Err(_) => {
                    let retry_after = PAUSE_MIN;
                    return Err(Error::Busy { retry_after });
                }
            }
        }
    }

    fn loading(
        &self,
        key: String,
        options: LoadOptions,
        flight: Flight,
        right: Right,
    ) -> Box<Loading> {
        Box::new(Loading {
            cache: self.clone(),
            key,
            options,
            flight,
            right,
        })
    }
}
