//! The beginning of a load: what is cached, or the right to load it.
//!
//! Guarantees one loader per key in the fleet, and without a sidecar, or where
//! nothing can be stored, one at a time in this process. What the loader does with the right stands in `loading.rs`.

use crate::answer::Answer;
use crate::flight::{Flight, Seat};
use crate::held::Held;
use crate::lease::{Grant, LeaseOptions, Leased};
use crate::loaded::{Because, Loaded};
use crate::loading::{Lease, Loading, Right, unshared};
use crate::renewing::Renewing;
use crate::{Cache, Error, LoadOptions};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// The longest wait of a single Lease call (the sidecar's cap is 60 s).
const WAIT_MAX: Duration = Duration::from_secs(30);
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

/// What asking came to.
#[doc(hidden)]
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a box would cost every hit an allocation"
)]
pub enum Obtained {
    /// An entry or a grant.
    Leased(Answer<Leased>),
    /// Others load, and will have nothing to share, because of this.
    Alone(Error),
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
        let (key, arrived) = (key.into(), Instant::now());
        let name = key.as_str();
        let ask = |lease| self.attempt(async move || self.lease_with(name, lease).await);
        let how = (options.lease(), options.allow_stale);
        match self.obtain(&key, how, true, ask).await {
            Ok(Obtained::Leased(leased)) => self.found(key, options, leased),
            Ok(Obtained::Alone(why)) => self.alone(key, options, why, Some(arrived)).await,
            Err(error) if self.goes_on(&error) => self.alone(key, options, error, None).await,
            Err(error) => Err(error),
        }
    }

    /// Asks until there is an entry, a grant, or, where that is allowed, a stale
    /// entry, or the wait is over. With `apart`, nobody waits for a load whose
    /// value cannot be stored. For clients in other languages.
    ///
    /// # Errors
    /// Those of `ask`; [`Error::Busy`] when the wait is over.
    #[doc(hidden)]
    pub async fn obtain<A>(
        &self,
        key: &str,
        (options, allow_stale): (LeaseOptions, bool),
        apart: bool,
        ask: impl Fn(LeaseOptions) -> A,
    ) -> Result<Obtained, Error>
    where
        A: Future<Output = Result<Answer<Leased>, Error>>,
    {
        let start = Instant::now();
        // The first question does not wait: a sidecar that has fallen silent
        // shows with it, and not when a long wait ends.
        let mut wait = Duration::ZERO;
        loop {
            let asking = ask(options.clone().wait(wait.min(WAIT_MAX)));
            let leased = tokio::select! {
                biased;
                why = self.shared.unstorable.learned(&self.namespace, key), if apart && !wait.is_zero() => {
                    return Ok(Obtained::Alone(why));
                }
                leased = asking => leased?,
            };
            let Leased::Busy { retry_after, stale } = &leased.result else {
                return Ok(Obtained::Leased(leased));
            };
            if allow_stale && stale.is_some() {
                return Ok(Obtained::Leased(leased));
            }
            let retry_after = *retry_after;
            let left = options.wait.saturating_sub(start.elapsed());
            if left.is_zero() {
                let why = apart.then(|| self.why_unstorable(key)).flatten();
                return why.map(Obtained::Alone).ok_or(Error::Busy { retry_after });
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

    /// There is no sidecar to ask, or nothing to gain by asking: one caller of
    /// this process loads. `since`: when the call came, if it must not be given
    /// what was read before.
    pub(crate) async fn alone<E>(
        &self,
        key: String,
        options: LoadOptions,
        why: Error,
        mut since: Option<Instant>,
    ) -> Result<Begun<E>, Error> {
        let start = Instant::now();
        // Not longer than for a loader of its own, which it may yet run.
        let wait = options
            .hard_timeout
            .map_or(options.wait, |t| t.min(options.wait));
        // Who must see a position cannot take what was read before it.
        if !self.min_position(options.min_position.clone()).is_empty() {
            since = since.or(Some(start));
        }
        let flights = &self.shared.flights;
        loop {
            let seat = match self.has_no_form(&key) {
                false => flights.join(&self.namespace, &key),
                true => Seat::Lead(flights.lead(&self.namespace, &key)),
            };
            let mut follower = match seat {
                Seat::Lead(flight) => {
                    let right = Right::Alone(why);
                    return Ok(Begun::Loading(self.loading(key, options, flight, right)));
                }
                Seat::Follow(follower) => follower,
            };
            let left = wait.saturating_sub(start.elapsed());
            let landed = timeout(left, follower.landed()).await;
            let retry_after = PAUSE_MIN;
            let landed = landed.map_err(|_| Error::Busy { retry_after })?;
            if let Some(content) = landed
                && since.is_none_or(|since| follower.began_since(since))
            {
                return Ok(Begun::Loaded(unshared(content, why)));
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
