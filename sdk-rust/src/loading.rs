//! A load in a caller's hands, in steps: [`Cache::begin`] gives what is cached
//! or the right to load, and the caller says how the load ended.
//!
//! Guarantees that the lease is renewed while the caller works and goes back
//! whatever becomes of it; without a sidecar, that one caller of this process
//! loads a key. [`Cache::get_or_load`] is these steps around a future; whoever
//! loads in another way (a thread, another language) takes them itself.

use crate::answer::{Answer, Degraded};
use crate::entry::{Entry, Freshness, Lookup};
use crate::fill::{AbandonOptions, Filled};
use crate::flight::{Flight, Seat};
use crate::held::Held;
use crate::lease::{Grant, Leased};
use crate::loaded::{Because, Load, LoadOptions, Loaded, NotFilled};
use crate::renewing::Renewing;
use crate::{Cache, Content, Error, LoadError, ReadLevel, ReadOptions};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// The shortest pause after a busy answer.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// What [`Cache::begin`] gives.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a box would cost every hit an allocation"
)]
pub enum Begun<E> {
    /// There is nothing to load.
    Loaded(Answer<Loaded<E>>),
    /// The caller loads.
    Loading(Box<Loading>),
}

/// The right to load one key, kept alive until it is used. Read the origin now,
/// then [`Loading::fill`] or [`Loading::fail`]; dropped, it is given back.
#[derive(Debug)]
pub struct Loading {
    cache: Cache,
    key: String,
    pub(crate) options: LoadOptions,
    flight: Flight,
    right: Right,
}

/// What makes the caller the loader.
#[derive(Debug)]
enum Right {
    /// A lease: it is the only loader in the fleet.
    Leased(Box<Lease>),
    /// There is no sidecar: it is the only loader in this process.
    Alone(Error),
}

#[derive(Debug)]
struct Lease {
    told: Answer<()>,
    stale: Option<Entry>,
    renewing: Renewing,
    held: Held,
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
        let until = Instant::now() + options.wait;
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
            match timeout_at(until, follower.landed()).await {
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

impl Loading {
    /// The entry that may be served, flagged, while the caller loads.
    #[must_use]
    pub fn stale(&self) -> Option<&Entry> {
        match &self.right {
            Right::Leased(lease) => lease.stale.as_ref(),
            Right::Alone(_) => None,
        }
    }

    /// Whether there is no sidecar: nothing will be stored.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        matches!(self.right, Right::Alone(_))
    }

    /// Stores what was loaded. What became of that is part of the answer and
    /// never an error: the caller has its value.
    pub async fn fill<E>(self, load: impl Into<Load>) -> Answer<Loaded<E>> {
        let (content, entry) = self.options.storing(load.into());
        self.flight.land(&content);
        let lease = match self.right {
            Right::Alone(error) => return unshared(content, error),
            Right::Leased(lease) => *lease,
        };
        let (told, held) = (lease.told, lease.held);
        lease.renewing.end().await;
        match self.cache.fill(&held.token, content.clone(), entry).await {
            Ok(answer) => {
                held.forget();
                answer.map(|filled| match filled {
                    Filled::Stored { version } => Loaded::Filled { content, version },
                    Filled::Voided(why) => {
                        let why = NotFilled::Voided(why);
                        Loaded::NotFilled { content, why }
                    }
                })
            }
            Err(error) => {
                // A value that cannot be stored must not keep others waiting.
                held.give_back(AbandonOptions::default()).await;
                let mut told = told;
                if self.cache.goes_on(&error) {
                    told.degraded.push(Degraded::SidecarUnavailable);
                }
                let why = NotFilled::Failed(error);
                told.map(|()| Loaded::NotFilled { content, why })
            }
        }
    }

    /// Gives the right back because the load failed: with
    /// [`LoadOptions::fail_safe`] the answer is the stale entry, if it may still
    /// be served.
    ///
    /// # Errors
    /// [`LoadError::Loader`] with this error when nothing may be served.
    pub async fn fail<E>(self, error: E) -> Result<Answer<Loaded<E>>, LoadError<E>> {
        self.end(Because::Failed(error)).await
    }

    /// The same for a load that took too long.
    pub(crate) async fn time_out<E>(
        self,
        after: Duration,
    ) -> Result<Answer<Loaded<E>>, LoadError<E>> {
        self.end(Because::TimedOut(after)).await
    }

    async fn end<E>(self, because: Because<E>) -> Result<Answer<Loaded<E>>, LoadError<E>> {
        let lease = match self.right {
            Right::Alone(_) => return Err(because.into()),
            Right::Leased(lease) => *lease,
        };
        lease.renewing.end().await;
        let fail_safe = self.options.fail_safe.filter(|_| lease.stale.is_some());
        lease.held.give_back(fail_safe.unwrap_or_default()).await;
        if fail_safe.is_none() {
            return Err(because.into());
        }
        let min_position = self.options.min_position;
        self.cache.saved(self.key, min_position, because).await
    }
}

impl Cache {
    /// The loader failed. The entry that came with the grant may have been
    /// invalidated since: what may be served is asked for again.
    async fn saved<E>(
        &self,
        key: String,
        min_position: Option<String>,
        because: Because<E>,
    ) -> Result<Answer<Loaded<E>>, LoadError<E>> {
        let options = ReadOptions {
            level: ReadLevel::StaleOk,
            min_position,
            ..ReadOptions::default()
        };
        let Ok(answer) = self.get_with(key, options).await else {
            return Err(because.into());
        };
        let saved = answer.map(|lookup| match lookup {
            Lookup::Hit(entry) if entry.freshness == Freshness::Fresh => Ok(Loaded::Hit(entry)),
            Lookup::Hit(entry) => Ok(Loaded::Stale { entry, because }),
            Lookup::Negative(_) | Lookup::NotModified(_) | Lookup::Miss => Err(because.into()),
        });
        saved.transpose()
    }
}

/// What was loaded without a sidecar.
fn unshared<E>(content: Content, error: Error) -> Answer<Loaded<E>> {
    let why = NotFilled::Failed(error);
    Answer::away(Loaded::NotFilled { content, why })
}
