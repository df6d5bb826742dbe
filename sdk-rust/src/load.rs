//! `get_or_load`: one loader per key in the whole fleet.
//!
//! The lease is renewed while the loader runs, so that only a loader that died
//! is replaced. Whatever ends the call without a value gives the lease back:
//! when the call is dropped, a task of its own does it. A stale value is given
//! only flagged, and only if the sidecar allows it at that moment.

use crate::answer::Answer;
use crate::begin::Begun;
use crate::loaded::{Load, Loaded};
use crate::loading::Loading;
use crate::{Cache, LoadError, LoadOptions};
use tokio::time::timeout;

impl Cache {
    /// Reads one key; when it is missing or stale, runs `loader` once in the
    /// whole fleet, however many call this at the same time, and stores what it
    /// found: a value, or that there is none ([`Load::NotFound`]). The others
    /// get the stale entry if there is one, and else wait.
    ///
    /// Fail-open ([`crate::Builder::strict`]), a sidecar that is away costs the
    /// fleet its single loader and nobody a value: the loader runs once per key
    /// in this process (of clones of one client), and the answer is flagged
    /// [`Loaded::NotFilled`].
    ///
    /// A value that cannot be stored (too large, say) is given all the same. For
    /// the next 10 s, callers of this process do not wait for another's lease of
    /// that key: they load, and those who came before a load began share it.
    ///
    /// When it is dropped, its loader is dropped, and its lease, or one that is
    /// on its way, is given back in the background, so that the next caller
    /// loads at once.
    ///
    /// ```
    /// # async fn find_user(id: u32) -> Result<Option<String>, std::io::Error> { Ok(None) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use unstale::{AbandonOptions, Cache, EntryOptions, LoadOptions};
    ///
    /// # let cache = Cache::builder().no_sidecar().connect().await?;
    /// let entry = EntryOptions::default()
    ///     .ttl(Duration::from_secs(60))
    ///     .stale_for(Duration::from_secs(3600));
    /// let options = LoadOptions {
    ///     fail_safe: Some(AbandonOptions::default().serve_stale_for(Duration::from_secs(600))),
    ///     ..LoadOptions::from(entry)
    /// };
    /// let user = cache.get_or_load("user:7", options, || find_user(7)).await?;
    /// assert_eq!(user.result.value(), None); // there is no such user
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`LoadError::Loader`] when this call's loader failed (and no stale entry
    /// was allowed in its place): the lease was given back, and the next caller
    /// loads. [`LoadError::TimedOut`] when it outlasted
    /// [`LoadOptions::hard_timeout`]. [`LoadError::Cache`] otherwise;
    /// [`crate::Error::Busy`] when another loader outlasted the wait.
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
        let loading = match self.begin(key, options).await? {
            Begun::Loaded(answer) => return Ok(answer),
            Begun::Loading(loading) => loading,
        };
        loading.load(loader()).await
    }
}

/// How a call ends whose loader gave no value.
pub(crate) type Ended<E> = Result<Answer<Loaded<E>>, LoadError<E>>;

impl Loading {
    /// Runs the loader and stores what it found.
    pub(crate) async fn load<V: Into<Load>, E>(
        self: Box<Self>,
        loader: impl Future<Output = Result<V, E>>,
    ) -> Ended<E> {
        match self.run(loader).await {
            Ok((loading, value)) => Ok(loading.fill(value).await),
            Err(ended) => ended,
        }
    }

    /// Runs the loader, for as long as it may take.
    pub(crate) async fn run<V, E>(
        self: Box<Self>,
        loader: impl Future<Output = Result<V, E>>,
    ) -> Result<(Box<Self>, V), Ended<E>> {
        let loaded = match self.options.hard_timeout {
            None => Ok(loader.await),
            Some(within) => timeout(within, loader).await.map_err(|_| within),
        };
        match loaded {
            Ok(Ok(value)) => Ok((self, value)),
            Ok(Err(error)) => Err(self.fail(error).await),
            Err(within) => Err(self.time_out(within).await),
        }
    }
}
