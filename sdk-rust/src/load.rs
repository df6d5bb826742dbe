//! `get_or_load`: one loader per key in the whole fleet.
//!
//! The lease is renewed while the loader runs, so that only a loader that died
//! is replaced. Whatever ends the call without a value gives the lease back:
//! when the call is dropped, a task of its own does it.

use crate::entry::{Entry, EntryOptions, Value};
use crate::held::Held;
use crate::lease::{Filled, Grant, Leased, Renewal, Voided};
use crate::{Cache, Error, LoadError};
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The longest wait of a single Lease call (the sidecar's cap is 60 s).
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The shortest pause after a busy answer, and between renewals.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// How [`Cache::get_or_load`] loads.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// How the loaded entry is stored.
    pub entry: EntryOptions,
    /// How long the lease outlives a loader that died; the sidecar's default
    /// (10 s) when none.
    pub term: Option<Duration>,
    /// How long another caller's load is waited for; 30 s by default.
    pub wait: Duration,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            entry: EntryOptions::default(),
            term: None,
            wait: Duration::from_secs(30),
        }
    }
}

/// A value from the cache or from the loader.
#[derive(Debug)]
pub enum Loaded {
    /// It was cached, perhaps by a loader this call waited for.
    Hit(Entry),
    /// This call loaded and stored it.
    Filled {
        /// The value.
        value: Value,
        /// Its version.
        version: String,
    },
    /// This call loaded it, but it was not stored.
    NotFilled {
        /// The value; it may be older than the latest invalidation.
        value: Value,
        /// Why.
        why: NotFilled,
    },
}

impl Loaded {
    /// The value, wherever it came from.
    #[must_use]
    pub fn value(&self) -> &Value {
        match self {
            Self::Hit(entry) => &entry.value,
            Self::Filled { value, .. } | Self::NotFilled { value, .. } => value,
        }
    }
}

/// Why a loaded value was not stored.
#[derive(Debug)]
pub enum NotFilled {
    /// The lease was gone.
    Voided(Voided),
    /// The fill failed.
    Failed(Error),
}

impl Cache {
    /// Reads one key; when it is missing, runs `loader` once in the whole
    /// fleet, however many call this at the same time, and stores its value.
    /// The others wait for that value.
    ///
    /// When it is dropped while the loader runs, the loader is dropped and the
    /// lease is given back in the background, so that the next caller loads at
    /// once; outside a tokio runtime, or when dropped before the sidecar
    /// answered, the lease lapses after its term.
    ///
    /// # Errors
    /// [`LoadError::Loader`] when this call's loader failed: the lease was
    /// given back, and the next caller loads. [`LoadError::Cache`] otherwise;
    /// [`Error::Busy`] when another loader outlasted the wait.
    pub async fn get_or_load<F, L, V, E>(
        &self,
        key: impl Into<String>,
        options: LoadOptions,
        loader: F,
    ) -> Result<Loaded, LoadError<E>>
    where
        F: FnOnce() -> L,
        L: Future<Output = Result<V, E>>,
        V: Into<Value>,
    {
        let grant = match self.obtain(&key.into(), &options).await? {
            Obtained::Hit(entry) => return Ok(Loaded::Hit(entry)),
            Obtained::Granted(grant) => grant,
        };
        let held = Held::new(self, &grant);
        match self.load(&grant, loader()).await {
            Ok(value) => Ok(self.filled(held, value.into(), options.entry).await),
            Err(error) => {
                held.give_back().await;
                Err(LoadError::Loader(error))
            }
        }
    }

    /// Asks until there is a value or a grant, or the wait is over.
    async fn obtain(&self, key: &str, options: &LoadOptions) -> Result<Obtained, Error> {
        let start = Instant::now();
        loop {
            let left = options.wait.saturating_sub(start.elapsed());
            let leased = self.lease(key, options.term, left.min(WAIT_MAX)).await?;
            let retry_after = match leased.result {
                Leased::Hit(entry) => return Ok(Obtained::Hit(entry)),
                Leased::Granted(grant) => return Ok(Obtained::Granted(grant)),
                Leased::Busy { retry_after } => retry_after,
            };
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

    async fn filled(&self, held: Held, value: Value, entry: EntryOptions) -> Loaded {
        let why = match self.fill(&held.token, value.clone(), entry).await {
            Ok(answer) => {
                held.forget();
                match answer.result {
                    Filled::Stored { version } => return Loaded::Filled { value, version },
                    Filled::Voided(why) => NotFilled::Voided(why),
                }
            }
            Err(error) => {
                // A value that cannot be stored must not keep others waiting.
                held.give_back().await;
                NotFilled::Failed(error)
            }
        };
        Loaded::NotFilled { value, why }
    }
}

/// What an asker got in the end.
enum Obtained {
    Hit(Entry),
    Granted(Grant),
}
