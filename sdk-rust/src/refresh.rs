//! `get_or_load` with a soft timeout: whoever can be given a stale entry waits
//! for the loader so long and no longer, and the loader goes on without it.
//!
//! Guarantees that what was invalidated while the loader ran is not given: what
//! may be served is asked for again. Where there is nothing stale to give, the
//! loader is waited for.

use crate::answer::Answer;
use crate::begin::Begun;
use crate::load::Ended;
use crate::loaded::{Because, Load, Loaded};
use crate::loading::Loading;
use crate::typed_load::TypedBegun;
use crate::{Cache, Error, LoadError, LoadOptions, Typed, TypedLoad, TypedLoaded};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::task::JoinError;
use tokio::time::timeout;

impl Cache {
    /// [`Cache::get_or_load`] with a soft timeout: where there is a stale entry,
    /// this waits so long for the loader, then gives that entry, flagged
    /// ([`Because::Slow`]), and the loader goes on in a task of its own. What it
    /// finds is stored for those who come later. With zero, a stale entry is
    /// given at once and refreshed behind it.
    ///
    /// The loader's future is its own owner (`'static`), and one that began to
    /// refresh goes on when this call is dropped: [`LoadOptions::hard_timeout`]
    /// ends it. There is a stale entry only where `stale_for` or a soft
    /// invalidation made it.
    ///
    /// ```
    /// # async fn find_user(id: u32) -> Result<Option<String>, std::io::Error> { Ok(None) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use unstale::{Cache, EntryOptions, LoadOptions};
    ///
    /// # let cache = Cache::builder().no_sidecar().connect().await?;
    /// let minute = Duration::from_secs(60);
    /// let entry = EntryOptions::default().ttl(minute).stale_for(60 * minute);
    /// let options = LoadOptions {
    ///     hard_timeout: Some(minute),
    ///     ..LoadOptions::from(entry)
    /// };
    /// let soft_timeout = Duration::from_millis(100);
    /// let user = cache.get_or_refresh("user:7", soft_timeout, options, || find_user(7)).await?;
    /// assert_eq!(user.result.value(), None); // there is no such user
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Cache::get_or_load`].
    pub async fn get_or_refresh<F, L, V, E>(
        &self,
        key: impl Into<String>,
        soft_timeout: Duration,
        options: LoadOptions,
        loader: F,
    ) -> Result<Answer<Loaded<E>>, LoadError<E>>
    where
        F: FnOnce() -> L,
        L: Future<Output = Result<V, E>> + Send + 'static,
        V: Into<Load> + Send + 'static,
        E: Send + 'static,
    {
        let loading = match self.begin(key, options).await? {
            Begun::Loaded(answer) => return Ok(answer),
            Begun::Loading(loading) => loading,
        };
        let Some(slow) = Slow::of(&loading, soft_timeout) else {
            return loading.load(loader()).await;
        };
        let mut task = tokio::spawn(loading.load(loader()));
        if let Ok(ended) = timeout(soft_timeout, &mut task).await {
            return joined(ended);
        }
        match slow.stale().await {
            Ok(answer) => Ok(answer),
            Err(_) => joined(task.await),
        }
    }
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Typed<T> {
    /// [`Cache::get_or_refresh`] for values of this type.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use std::time::Duration;
    /// use unstale::{Codec, EntryOptions, LoadOptions};
    ///
    /// let ages = cache.typed::<u8>(Codec::Json);
    /// let entry = EntryOptions::default().stale_for(Duration::from_secs(600));
    /// let load = || async { Ok::<_, std::io::Error>(36) };
    /// let loaded = ages.get_or_refresh("age:7", Duration::ZERO, LoadOptions::from(entry), load).await;
    /// assert_eq!(loaded.expect("the loader works").result.value, Some(36));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Typed::get_or_load`].
    pub async fn get_or_refresh<F, L, V, E>(
        &self,
        key: impl Into<String>,
        soft_timeout: Duration,
        options: LoadOptions,
        loader: F,
    ) -> Result<Answer<TypedLoaded<T, E>>, LoadError<E>>
    where
        F: FnOnce() -> L,
        L: Future<Output = Result<V, E>> + Send + 'static,
        V: Into<TypedLoad<T>> + Send + 'static,
        E: Send + 'static,
    {
        let begun = self.begin(key.into(), options).await?;
        let slow = match &begun {
            TypedBegun::Loading(loading) => Slow::of(loading, soft_timeout),
            TypedBegun::Loaded(_) | TypedBegun::Replacing { .. } => None,
        };
        let Some(slow) = slow else {
            return self.end(begun, loader).await;
        };
        let (typed, loader) = (self.clone(), loader());
        let mut task = tokio::spawn(async move { typed.end(begun, || loader).await });
        if let Ok(ended) = timeout(soft_timeout, &mut task).await {
            return joined(ended);
        }
        // One that cannot be decoded is none.
        let stale = slow.stale().await.and_then(|answer| self.decoded(answer));
        match stale {
            Ok(answer) => Ok(answer),
            Err(_) => joined(task.await),
        }
    }
}

/// A load that may be too slow for its caller, who has something stale.
struct Slow {
    cache: Cache,
    key: String,
    min_position: Option<String>,
    soft_timeout: Duration,
}

impl Slow {
    /// None when there is nothing to give in its place.
    fn of(loading: &Loading, soft_timeout: Duration) -> Option<Self> {
        loading.stale()?;
        Some(Self {
            cache: loading.cache.clone(),
            key: loading.key.clone(),
            min_position: loading.options.min_position.clone(),
            soft_timeout,
        })
    }

    /// What may be given now.
    async fn stale<E>(self) -> Ended<E> {
        let because = Because::Slow(self.soft_timeout);
        self.cache.saved(self.key, self.min_position, because).await
    }
}

/// What the task came to; its panic is the caller's.
fn joined<T, E>(ended: Result<Result<T, LoadError<E>>, JoinError>) -> Result<T, LoadError<E>> {
    match ended.map_err(JoinError::try_into_panic) {
        Ok(ended) => ended,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // Nobody else ends the task.
        Err(Err(_)) => Err(Error::Unreachable("the runtime is shutting down".to_owned()).into()),
    }
}
