//! `get_or_load` of values of one Rust type.
//!
//! An entry that cannot be decoded is loaded again and replaced, by one caller
//! of this process at a time: the sidecar, to which it is a hit, grants no
//! lease for it. The write carries the position of that read, so that nothing
//! older than an invalidation is stored; and who waits for it is not given what
//! was read before the call. A value that cannot be encoded is its caller's.

use crate::answer::{Answer, Degraded};
use crate::begin::Begun;
use crate::fill::Voided;
use crate::loaded::{Load, Loaded, NotFilled};
use crate::loading::Loading;
use crate::typed::Typed;
use crate::{
    CodecError, Content, EntryOptions, Error, LoadError, LoadOptions, NotStoredReason, SetOptions,
    SetOutcome,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

/// What [`Typed::get_or_load`] gives. `E` is the loader's error.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use unstale::{Codec, LoadOptions};
///
/// let ages = cache.typed::<u8>(Codec::Json);
/// let load = || async { Ok::<_, std::io::Error>(36) };
/// let loaded = ages.get_or_load("age:7", LoadOptions::default(), load).await;
/// assert_eq!(loaded.expect("the loader works").result.value, Some(36));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TypedLoaded<T, E> {
    /// The value; none when the origin has none.
    pub value: Option<T>,
    /// Where it came from, and what became of it.
    pub from: Loaded<E>,
}

/// What a loader of [`Typed::get_or_load`] may return: a value, an `Option` of
/// one, or one of these.
///
/// ```
/// use unstale::{EntryOptions, TypedLoad};
///
/// let row_version = 42;
/// let entry = EntryOptions::default().source_version(row_version);
/// let load = TypedLoad::With(Some("Ada".to_owned()), entry);
/// assert_ne!(load, TypedLoad::from("Ada".to_owned()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypedLoad<T> {
    /// This value; stored as [`LoadOptions::entry`] says.
    Value(T),
    /// The origin has nothing.
    NotFound,
    /// This, or nothing; stored as these options say in place of the call's.
    With(Option<T>, EntryOptions),
}

impl<T> From<T> for TypedLoad<T> {
    fn from(value: T) -> Self {
        Self::Value(value)
    }
}

impl<T> From<Option<T>> for TypedLoad<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::NotFound, Self::Value)
    }
}

/// What [`Typed::begin`] gives.
#[expect(
    clippy::large_enum_variant,
    reason = "a box would cost every hit an allocation"
)]
pub(crate) enum TypedBegun<T, E> {
    /// There is nothing to load.
    Loaded(Answer<TypedLoaded<T, E>>),
    /// The caller loads.
    Loading(Box<Loading>),
    /// The caller loads what is cached and cannot be decoded.
    Replacing {
        loading: Box<Loading>,
        position: String,
    },
}

impl<T: Serialize + DeserializeOwned> Typed<T> {
    /// [`crate::Cache::get_or_load`] for values of this type.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use unstale::{Codec, LoadOptions};
    ///
    /// let ages = cache.typed::<u8>(Codec::Json);
    /// let load = || async { Ok::<_, std::io::Error>(None) };
    /// let loaded = ages.get_or_load("age:8", LoadOptions::default(), load).await;
    /// assert_eq!(loaded.expect("the loader works").result.value, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As that one. With [`crate::Builder::strict`], [`Error::Codec`] in
    /// [`LoadError::Cache`] when the loader's value cannot be encoded; else that
    /// is [`Loaded::NotEncoded`]. The lease was given back.
    pub async fn get_or_load<F, L, V, E>(
        &self,
        key: impl Into<String>,
        options: LoadOptions,
        loader: F,
    ) -> Result<Answer<TypedLoaded<T, E>>, LoadError<E>>
    where
        F: FnOnce() -> L,
        L: Future<Output = Result<V, E>>,
        V: Into<TypedLoad<T>>,
    {
        let begun = self.begin(key.into(), options).await?;
        self.end(begun, loader).await
    }

    /// What is cached and can be decoded, or the right to load it.
    pub(crate) async fn begin<E>(
        &self,
        key: String,
        mut options: LoadOptions,
    ) -> Result<TypedBegun<T, E>, LoadError<E>> {
        options.entry.content_type = self.codec.content_type().to_owned();
        let arrived = Instant::now();
        let (answer, error) = loop {
            let begun = self.cache.begin(key.as_str(), options.clone()).await?;
            let answer = match begun {
                Begun::Loading(loading) => return Ok(TypedBegun::Loading(loading)),
                Begun::Loaded(answer) => answer,
            };
            let error = match self.decode(&answer.result) {
                Ok(value) => {
                    let answer = answer.map(|from| TypedLoaded { value, from });
                    return Ok(TypedBegun::Loaded(answer));
                }
                Err(error) => error,
            };
            self.cache.tell(&error.clone().into());
            // It is of no use here: wait for the one who loads.
            match answer.result {
                Loaded::Stale { .. } if options.allow_stale => options.allow_stale = false,
                _ => break (answer, error),
            }
        };
        let position = answer.position;
        let alone = self.cache.alone(key, options, error.into(), Some(arrived));
        match alone.await? {
            Begun::Loading(loading) => Ok(TypedBegun::Replacing { loading, position }),
            Begun::Loaded(answer) => self.decoded(answer).map(TypedBegun::Loaded),
        }
    }

    /// Runs the loader, if that is what is left to do.
    pub(crate) async fn end<F, L, V, E>(
        &self,
        begun: TypedBegun<T, E>,
        loader: F,
    ) -> Result<Answer<TypedLoaded<T, E>>, LoadError<E>>
    where
        F: FnOnce() -> L,
        L: Future<Output = Result<V, E>>,
        V: Into<TypedLoad<T>>,
    {
        match begun {
            TypedBegun::Loaded(answer) => Ok(answer),
            TypedBegun::Loading(loading) => self.load(loading, loader).await,
            TypedBegun::Replacing { loading, position } => {
                self.replace(loading, position, loader).await
            }
        }
    }

    async fn load<F, L, V, E>(
        &self,
        loading: Box<Loading>,
        loader: F,
    ) -> Result<Answer<TypedLoaded<T, E>>, LoadError<E>>
    where
        F: FnOnce() -> L,
        L: Future<Output = Result<V, E>>,
        V: Into<TypedLoad<T>>,
    {
        match loading.run(loader()).await {
            Ok((loading, load)) => match self.encoded(load.into()) {
                Ok((value, load)) => {
                    let answer = loading.fill(load).await;
                    Ok(answer.map(|from| TypedLoaded { value, from }))
                }
                Err((value, error)) => self.not_encoded(loading, value, error).await,
            },
            Err(ended) => self.decoded(ended?),
        }
    }

    /// The caller has its value all the same.
    async fn not_encoded<E>(
        &self,
        loading: Box<Loading>,
        value: Option<T>,
        error: CodecError,
    ) -> Result<Answer<TypedLoaded<T, E>>, LoadError<E>> {
        let told = loading.told();
        loading.give_up(error.clone()).await;
        let why = Error::from(error.clone());
        if self.cache.is_strict() {
            return Err(why.into());
        }
        self.cache.tell(&why);
        let from = Loaded::NotEncoded(error);
        Ok(told.map(|()| TypedLoaded { value, from }))
    }

    /// Loads what another codec wrote, and stores it in its place.
    async fn replace<F, L, V, E>(
        &self,
        loading: Box<Loading>,
        position: String,
        loader: F,
    ) -> Result<Answer<TypedLoaded<T, E>>, LoadError<E>>
    where
        F: FnOnce() -> L,
        L: Future<Output = Result<V, E>>,
        V: Into<TypedLoad<T>>,
    {
        let (loading, load) = match loading.run(loader()).await {
            Ok(loaded) => loaded,
            Err(ended) => return self.decoded(ended?),
        };
        let (value, load) = match self.encoded(load.into()) {
            Ok(encoded) => encoded,
            Err((value, error)) => return self.not_encoded(loading, value, error).await,
        };
        let (content, entry) = loading.options.clone().storing(load.clone());
        let key = loading.key.clone();
        let answer: Answer<Loaded<E>> = loading.fill(load).await;
        let options = SetOptions::from(entry).position(position);
        let set = self.cache.set_with(key, content.clone(), options).await;
        let (mut told, from) = match set {
            Ok(set) => {
                let (told, outcome) = set.split();
                (told, replaced(content, outcome))
            }
            Err(error) => {
                let why = NotFilled::Failed(error);
                (answer.map(drop), Loaded::NotFilled { content, why })
            }
        };
        if !told.degraded.contains(&Degraded::Undecodable) {
            told.degraded.push(Degraded::Undecodable);
        }
        Ok(told.map(|()| TypedLoaded { value, from }))
    }

    pub(crate) fn decoded<E>(
        &self,
        answer: Answer<Loaded<E>>,
    ) -> Result<Answer<TypedLoaded<T, E>>, LoadError<E>> {
        let value = self.decode(&answer.result).map_err(Error::from)?;
        Ok(answer.map(|from| TypedLoaded { value, from }))
    }

    fn decode<E>(&self, loaded: &Loaded<E>) -> Result<Option<T>, CodecError> {
        match loaded {
            Loaded::Hit(entry) | Loaded::Stale { entry, .. } => {
                self.codec.decode_entry(entry).map(Some)
            }
            Loaded::Negative(_) | Loaded::NotEncoded(_) => Ok(None),
            // Of this process: written by this codec.
            Loaded::Filled { content, .. } | Loaded::NotFilled { content, .. } => {
                let value = content.value();
                value.map(|value| self.codec.decode(value)).transpose()
            }
        }
    }

    /// The value, and how it is stored; or the value, and why it cannot be.
    fn encoded(&self, load: TypedLoad<T>) -> Result<(Option<T>, Load), (Option<T>, CodecError)> {
        let (value, entry) = match load {
            TypedLoad::NotFound => return Ok((None, Load::NotFound)),
            TypedLoad::Value(value) => (Some(value), None),
            TypedLoad::With(value, entry) => (value, Some(entry)),
        };
        let encoded = value.as_ref().map(|value| self.codec.encode(value));
        let content = match encoded.transpose() {
            Ok(encoded) => Content::from(encoded),
            Err(error) => return Err((value, error)),
        };
        let load = match entry {
            None => Load::from(content),
            Some(entry) => {
                // "Not found" is written by no codec.
                let written = value.as_ref().map(|_| self.codec.content_type());
                let entry = EntryOptions {
                    content_type: written.unwrap_or_default().to_owned(),
                    ..entry
                };
                Load::With(content, entry)
            }
        };
        Ok((value, load))
    }
}

fn replaced<E>(content: Content, outcome: SetOutcome) -> Loaded<E> {
    let reason = match outcome {
        SetOutcome::Stored { version } => {
            let version = version.unwrap_or_default();
            return Loaded::Filled { content, version };
        }
        SetOutcome::NotStored { reason, .. } => reason,
    };
    let why = match reason {
        NotStoredReason::Covered => Voided::Invalidated,
        NotStoredReason::OlderSourceVersion { min_source_version } => {
            Voided::OlderSourceVersion { min_source_version }
        }
        NotStoredReason::DependencyChanged => Voided::DependencyChanged,
        NotStoredReason::TooManyDependencies => Voided::TooManyDependencies,
        NotStoredReason::PositionTooOld
        | NotStoredReason::PositionUnknown
        | NotStoredReason::Present
        | NotStoredReason::SidecarUnavailable
        | NotStoredReason::Failed { .. }
        | NotStoredReason::Other => Voided::Other,
    };
    let why = NotFilled::Voided(why);
    Loaded::NotFilled { content, why }
}
