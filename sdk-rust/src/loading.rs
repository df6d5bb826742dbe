//! A load in a caller's hands: the caller says how it ended.
//!
//! Guarantees that the lease is renewed while the caller works and goes back
//! whatever becomes of it. [`Cache::get_or_load`] is these steps around a future;
//! whoever loads in another way (a thread, another language) takes them itself.

use crate::answer::{Answer, Degraded};
use crate::entry::{Entry, Lookup};
use crate::fill::{AbandonOptions, Filled};
use crate::flight::Flight;
use crate::held::Held;
use crate::loaded::{Because, Load, Loaded, NotFilled};
use crate::renewing::Renewing;
use crate::{
    Cache, CodecError, Content, Error, Freshness, LoadError, LoadOptions, ReadLevel, ReadOptions,
};
use std::time::Duration;

/// The right to load one key, kept alive until it is used. Read the origin now,
/// then [`Loading::fill`] or [`Loading::fail`]; dropped, it is given back.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use std::convert::Infallible;
/// use unstale::{Begun, LoadOptions};
///
/// if let Begun::<Infallible>::Loading(loading) = cache.begin("user:7", LoadOptions::default()).await? {
///     println!("something to show meanwhile: {}", loading.stale().is_some());
///     assert!(loading.is_alone(), "there is no sidecar");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Loading {
    pub(crate) cache: Cache,
    pub(crate) key: String,
    pub(crate) options: LoadOptions,
    pub(crate) flight: Flight,
    pub(crate) right: Right,
}

/// What makes the caller the loader.
#[derive(Debug)]
pub(crate) enum Right {
    /// A lease: it is the only loader in the fleet.
    Leased(Box<Lease>),
    /// There is no sidecar: it is the only loader in this process.
    Alone(Error),
}

#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) told: Answer<()>,
    pub(crate) stale: Option<Entry>,
    pub(crate) renewing: Renewing,
    pub(crate) held: Held,
}

impl Loading {
    /// The entry that may be served while the caller loads: flagged, or fresh
    /// where it is refreshed before it expires.
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
                self.cache.learn(&self.key, Ok(()));
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
                self.cache.learn(&self.key, Err(error.clone()));
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

    /// What the grant's answer said beside it.
    pub(crate) fn told(&self) -> Answer<()> {
        match &self.right {
            Right::Leased(lease) => lease.told.clone(),
            Right::Alone(why) => alone(why, ()),
        }
    }

    /// Gives the right back because what was loaded has no form in its codec.
    pub(crate) async fn give_up(self, error: CodecError) {
        self.cache.learn(&self.key, Err(error.into()));
        if let Right::Leased(lease) = self.right {
            lease.renewing.end().await;
            lease.held.give_back(AbandonOptions::default()).await;
        }
    }

    /// Gives the right back because the load failed: with
    /// [`LoadOptions::fail_safe`] the answer is the stale entry, if it may still
    /// be served, and of an early refresh the entry that is still fresh.
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
        // Granted before the entry expired: it stands whatever became of the load.
        let was_early = lease
            .stale
            .is_some_and(|entry| entry.freshness == Freshness::Fresh);
        if fail_safe.is_none() && !was_early {
            return Err(because.into());
        }
        let min_position = self.options.min_position;
        self.cache.saved(self.key, min_position, because).await
    }
}

impl Cache {
    /// The loader failed. The entry that came with the grant may have been
    /// invalidated since: what may be served is asked for again.
    pub(crate) async fn saved<E>(
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

/// What was loaded without a lease, because of this.
pub(crate) fn unshared<E>(content: Content, error: Error) -> Answer<Loaded<E>> {
    let told = alone(&error, ());
    let why = NotFilled::Failed(error);
    told.map(|()| Loaded::NotFilled { content, why })
}

/// What is given without a lease: not always is it the sidecar that is away.
fn alone<T>(why: &Error, result: T) -> Answer<T> {
    let mut answer = Answer::away(result);
    match why {
        Error::Invalid { .. } | Error::Codec(CodecError::Encode(_)) => answer.degraded.clear(),
        Error::Codec(_) => answer.degraded = vec![Degraded::Undecodable],
        _ => {}
    }
    answer
}
