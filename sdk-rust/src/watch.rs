//! The fleet's invalidations as a stream.
//!
//! The stream ends with the connection; it does not reconnect. Whoever wants
//! to go on watches again from the last position and, told that events were
//! lost, drops everything it holds.

use crate::cache::alone;
use crate::invalidate::InvalidateMode;
use crate::{Cache, Error};
use futures::Stream;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tonic::{Request, Streaming};
use unstale_proto::v1;
use unstale_proto::v1::watch_response::Event;

/// What to watch. The filter names what the watcher holds; an invalidation is
/// left out only if that proves that it covers none of it, so that a filter of
/// keys alone still lets every tag through.
///
/// ```
/// use unstale::WatchOptions;
///
/// let held = WatchOptions::default().key("user:7").tag("users");
/// assert!(held.position.is_none(), "from now on");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchOptions {
    /// Start after this position; from now on when none.
    pub position: Option<String>,
    /// Keys that are held, at most 256. Without keys and prefixes any key may
    /// be held.
    pub keys: Vec<String>,
    /// Prefixes of keys that are held, at most 16; beside `keys`.
    pub prefixes: Vec<String>,
    /// Every tag that an entry which is held carries, at most 256. Without
    /// tags any tag may be carried.
    pub tags: Vec<String>,
}

impl WatchOptions {
    /// Starts after this position.
    #[must_use]
    pub fn position(mut self, position: impl Into<String>) -> Self {
        self.position = Some(position.into());
        self
    }

    /// Adds a key that is held.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Adds a prefix of keys that are held.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefixes.push(prefix.into());
        self
    }

    /// Adds a tag that is carried.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }
}

/// A stream of [`WatchEvent`]s in log order. Dropping it ends the watch.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), unstale::Error> {
/// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
/// use futures::StreamExt as _;
/// use unstale::{WatchEvent, WatchOptions};
///
/// let mut watch = cache.watch(WatchOptions::default()).await?;
/// let first = watch.next().await.expect("the stream has begun")?;
/// assert!(matches!(first, WatchEvent::Started { .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Watch {
    events: Events,
}

/// Where events come from.
#[derive(Debug)]
enum Events {
    Sidecar(Box<Streaming<v1::WatchResponse>>),
    /// There is no sidecar: whether it was said that the stream has started.
    Nothing {
        started: bool,
    },
}

/// One event; `position` is how far the stream is complete.
///
/// ```
/// use unstale::WatchEvent;
///
/// /// How far everything is known.
/// fn position(event: &WatchEvent) -> &str {
///     match event {
///         WatchEvent::Started { position }
///         | WatchEvent::Invalidation { position, .. }
///         | WatchEvent::Heartbeat { position }
///         | WatchEvent::Lagged { position } => position,
///     }
/// }
/// let position_ = "e-1".to_owned();
/// assert_eq!(position(&WatchEvent::Lagged { position: position_ }), "e-1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// Always first: the stream reports what comes after this position.
    Started {
        /// The position.
        position: String,
    },
    /// An invalidation, or a write of a key that is not new.
    Invalidation {
        /// What was invalidated, and how.
        what: Invalidation,
        /// The position.
        position: String,
    },
    /// Nothing happened for a while; the stream is alive.
    Heartbeat {
        /// The position.
        position: String,
    },
    /// Events were lost: drop everything that is held, then go on.
    Lagged {
        /// The position.
        position: String,
    },
}

/// Invalidated keys, tags, prefixes or the whole namespace.
///
/// ```
/// use unstale::Invalidation;
///
/// /// Whether it may cover an entry with this key and no tags.
/// fn covers(what: &Invalidation, key: &str) -> bool {
///     let named = what.keys.iter().any(|one| one == key);
///     what.all || named || what.prefixes.iter().any(|prefix| key.starts_with(prefix))
/// }
/// assert!(!covers(&Invalidation::default(), "user:7"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invalidation {
    /// The namespace.
    pub namespace: String,
    /// The keys.
    pub keys: Vec<String>,
    /// The tags.
    pub tags: Vec<String>,
    /// The prefixes.
    pub prefixes: Vec<String>,
    /// Whether the whole namespace was invalidated.
    pub all: bool,
    /// Whether the entries are gone or stale.
    pub mode: InvalidateMode,
    /// Why; empty when the caller gave nothing.
    pub reason: String,
}

impl Invalidation {
    /// One that names nothing covers what only a newer client has a word for.
    fn decode(what: v1::Invalidation) -> Result<Self, Error> {
        let names = [&what.keys, &what.tags, &what.prefixes];
        if what.all.is_none() && names.iter().all(|names| names.is_empty()) {
            return Err(Error::Answer("an invalidation names nothing"));
        }
        Ok(Self {
            mode: InvalidateMode::decode(what.mode()),
            namespace: what.namespace,
            keys: what.keys,
            tags: what.tags,
            prefixes: what.prefixes,
            all: what.all.is_some(),
            reason: what.reason,
        })
    }
}

impl Cache {
    /// Follows the namespace's invalidations, from now on or from after a
    /// position.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// # let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// use futures::StreamExt as _;
    /// use unstale::{WatchEvent, WatchOptions};
    ///
    /// let held = WatchOptions::default().prefix("page:").tag("site");
    /// let mut events = cache.watch(held).await?;
    /// while let Some(event) = events.next().await {
    ///     match event? {
    ///         WatchEvent::Started { .. } => break, // an application goes on
    ///         WatchEvent::Invalidation { what, .. } => println!("{:?}", what.keys),
    ///         WatchEvent::Lagged { .. } => println!("drop everything"),
    ///         WatchEvent::Heartbeat { .. } => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]; later ones come through the stream.
    pub async fn watch(&self, options: WatchOptions) -> Result<Watch, Error> {
        if self.has_no_sidecar() {
            let events = Events::Nothing { started: false };
            return Ok(Watch { events });
        }
        // No deadline: a watch lasts.
        let request = Request::new(v1::WatchRequest {
            namespace: self.namespace.clone(),
            position: options.position.unwrap_or_default(),
            keys: options.keys,
            prefixes: options.prefixes,
            tags: options.tags,
        });
        let events = self
            .answer(pin!(alone(self.client().watch(request))))
            .await?;
        let events = Events::Sidecar(Box::new(events));
        Ok(Watch { events })
    }
}

impl Stream for Watch {
    type Item = Result<WatchEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = match &mut self.events {
            Events::Sidecar(events) => ready!(Pin::new(events.as_mut()).poll_next(context)),
            Events::Nothing { started: true } => return Poll::Pending,
            Events::Nothing { started } => {
                *started = true;
                let position = String::new();
                return Poll::Ready(Some(Ok(WatchEvent::Started { position })));
            }
        };
        let next = next.map(|event| event.map_err(Error::from).and_then(decode));
        Poll::Ready(next)
    }
}

fn decode(response: v1::WatchResponse) -> Result<WatchEvent, Error> {
    let position = response.position;
    let event = response.event.ok_or(Error::Answer("an event is empty"))?;
    Ok(match event {
        Event::Started(v1::Started {}) => WatchEvent::Started { position },
        Event::Heartbeat(v1::Heartbeat {}) => WatchEvent::Heartbeat { position },
        Event::Lagged(v1::Lagged {}) => WatchEvent::Lagged { position },
        Event::Invalidation(what) => WatchEvent::Invalidation {
            what: Invalidation::decode(what)?,
            position,
        },
    })
}
