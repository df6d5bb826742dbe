//! `get_or_load`: one loader per key in the whole fleet.
//!
//! The lease is renewed while the loader runs, so that only a loader that died
//! is replaced. Whatever ends the call without a value gives the lease back:
//! when the call is dropped, a task of its own does it. A stale value is given
//! only flagged, and only if the sidecar allows it at that moment.

use crate::answer::Answer;
use crate::entry::{Freshness, Lookup};
use crate::fill::{AbandonOptions, Filled, Renewal};
use crate::held::Held;
use crate::lease::{Grant, Leased};
use crate::loaded::{Because, Load, LoadOptions, Loaded, NotFilled};
use crate::{Cache, Error, LoadError, ReadLevel, ReadOptions};
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The shortest pause after a busy answer, and between renewals.
const PAUSE_MIN: Duration = Duration::from_millis(10);

impl Cache {
    /// Reads one key; when it is missing or stale, runs `loader` once in the
    /// whole fleet, however many call this at the same time, and stores what it
    /// found: a value, or that there is none ([`Load::NotFound`]). The others
    /// get the stale entry if there is one, and else wait.
    ///
    /// When it is dropped while the loader runs, the loader is dropped and the
    /// lease is given back in the background, so that the next caller loads at
    /// once; outside a tokio runtime, or when dropped before the sidecar
    /// answered, the lease lapses after its term.
    ///
    /// ```no_run
    /// # async fn find_user(id: u32) -> Result<Option<String>, std::io::Error> { Ok(None) }
    /// # async fn example(cache: unstale::Cache) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use unstale::{AbandonOptions, EntryOptions, LoadOptions};
    ///
    /// let entry = EntryOptions::default()
    ///     .ttl(Duration::from_secs(60))
    ///     .stale_for(Duration::from_secs(3600));
    /// let options = LoadOptions {
    ///     fail_safe: Some(AbandonOptions::default().serve_stale_for(Duration::from_secs(600))),
    ///     ..LoadOptions::from(entry)
    /// };
    /// let user = cache.get_or_load("user:7", options, || find_user(7)).await?;
    /// println!("{:?}", user.result.value()); // none: there is no such user
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`LoadError::Loader`] when this call's loader failed (and no stale entry
    /// was allowed in its place): the lease was given back, and the next caller
    /// loads. [`LoadError::Cache`] otherwise; [`Error::Busy`] when another
    /// loader outlasted the wait.
    pub async fn get_or_load<F, L, V, E>(
        &self,
        key: impl Into<String>,
        options: LoadOptions,
        loader: F,
    ) -> Result<Answer<Loaded<E>>, LoadError<E>>
    where
        F: FnOnce() -> L,
        L: Future<Output = Result<V, E>>,
        V: Into<Load>,
    {
        let key = key.into();
        let leased = self.obtain(&key, &options).await?;
        let grant = match found(leased)? {
            Obtained::Loaded(answer) => return Ok(answer),
            Obtained::Granted(grant) => grant,
        };
        let held = Held::new(self, &grant.result);
        match self.load(&grant.result, loader()).await {
            Ok(load) => Ok(self.filled(held, grant, load.into(), options).await),
            Err(error) => {
                let stale = grant.result.stale.is_some();
                let fail_safe = options.fail_safe.filter(|_| stale);
                held.give_back(fail_safe.unwrap_or_default()).await;
                if fail_safe.is_none() {
                    return Err(LoadError::Loader(error));
                }
                self.saved(key, options.min_position, error).await
            }
        }
    }

    /// Asks until there is an entry or a grant, or the wait is over.
    async fn obtain(&self, key: &str, options: &LoadOptions) -> Result<Answer<Leased>, Error> {
        let start = Instant::now();
        loop {
            let left = options.wait.saturating_sub(start.elapsed());
            let leased = self.lease_with(key, options.lease(left)).await?;
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
            // The last question is asked when the wait ends, not before.
            sleep(retry_after.max(PAUSE_MIN).min(left)).await;
        }
    }

    /// Runs the loader, and renews the lease for as long as it runs.
    async fn load<T>(&self, grant: &Grant, loader: impl Future<Output = T>) -> T {
        let mut loader = pin!(loader);
        let mut term = grant.term;
        loop {
            tokio::select! {
                biased;
                loaded = &mut loader => return loaded,
                () = sleep((term / 3).max(PAUSE_MIN)) => {}
            }
            let mut renewing = pin!(self.renew(&grant.token));
            let renewed = tokio::select! {
                biased;
                loaded = &mut loader => {
                    // A renewal that is cut off, or overtaken by the fill, may
                    // cost the lease.
                    let _ = renewing.await;
                    return loaded;
                }
                renewed = &mut renewing => renewed,
            };
            match renewed {
                Ok(Renewal::Renewed { term: renewed }) => term = renewed,
                // The loader goes on: its caller still wants the value. The
                // fill will say why it was refused.
                Ok(Renewal::Voided(_)) | Err(Error::UnknownLease(_)) => return loader.await,
                // Two thirds of the term are left: try again.
                Err(_) => {}
            }
        }
    }

    async fn filled<E>(
        &self,
        held: Held,
        grant: Answer<Grant>,
        load: Load,
        options: LoadOptions,
    ) -> Answer<Loaded<E>> {
        let (content, entry) = options.storing(load);
        match self.fill(&held.token, content.clone(), entry).await {
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
                let why = NotFilled::Failed(error);
                grant.map(|_| Loaded::NotFilled { content, why })
            }
        }
    }

    /// The loader failed. The entry that came with the grant may have been
    /// invalidated since: what may be served is asked for again.
    async fn saved<E>(
        &self,
        key: String,
        min_position: Option<String>,
        error: E,
    ) -> Result<Answer<Loaded<E>>, LoadError<E>> {
        let options = ReadOptions {
            level: ReadLevel::StaleOk,
            min_position,
            ..ReadOptions::default()
        };
        let Ok(answer) = self.get_with(key, options).await else {
            return Err(LoadError::Loader(error));
        };
        let saved = answer.map(|lookup| match lookup {
            Lookup::Hit(entry) if entry.freshness == Freshness::Fresh => Ok(Loaded::Hit(entry)),
            Lookup::Hit(entry) => Ok(Loaded::Stale {
                entry,
                because: Because::Failed(error),
            }),
            Lookup::Negative(_) | Lookup::NotModified(_) | Lookup::Miss => {
                Err(LoadError::Loader(error))
            }
        });
        saved.transpose()
    }
}

/// What an asker got in the end.
enum Obtained<E> {
    Loaded(Answer<Loaded<E>>),
    Granted(Answer<Grant>),
}

fn found<E>(leased: Answer<Leased>) -> Result<Obtained<E>, Error> {
    let (told, result) = leased.split();
    let loaded = match result {
        Leased::Granted(grant) => return Ok(Obtained::Granted(told.map(|()| grant))),
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
    Ok(Obtained::Loaded(told.map(|()| loaded)))
}
