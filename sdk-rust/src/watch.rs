//! The fleet's invalidations as a stream.
//!
//! The stream ends with the connection; it does not reconnect. Whoever wants
//! to go on watches again from the last position and, told that events were
//! lost, drops everything it holds.

use crate::{Cache, Error};
use futures::Stream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tonic::{Request, Streaming};
use unstale_proto::v1;
use unstale_proto::v1::watch_response::Event;

/// A stream of [`WatchEvent`]s in log order. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    events: Streaming<v1::WatchResponse>,
}

/// One event; `position` is how far the stream is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// Always first: the stream reports what comes after this position.
    Started {
        /// The position.
        position: String,
    },
    /// An invalidation, or a write of a key that is not new.
    Invalidation {
        /// The namespace.
        namespace: String,
        /// The keys.
        keys: Vec<String>,
        /// The tags.
        tags: Vec<String>,
        /// Whether the whole namespace was invalidated.
        all: bool,
        /// Why; empty when the caller gave nothing.
        reason: String,
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

impl Cache {
    /// Follows the namespace's invalidations, from now on or from after a
    /// position.
    ///
    /// # Errors
    /// See [`Error`]; later ones come through the stream.
    pub async fn watch(&self, position: Option<&str>) -> Result<Watch, Error> {
        // No deadline: a watch lasts.
        let request = Request::new(v1::WatchRequest {
            namespace: self.namespace.clone(),
            position: position.unwrap_or_default().to_owned(),
        });
        let events = self.answer(self.client.clone().watch(request)).await?;
        Ok(Watch { events })
    }
}

impl Stream for Watch {
    type Item = Result<WatchEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(Pin::new(&mut self.events).poll_next(context));
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
            namespace: what.namespace,
            keys: what.keys,
            tags: what.tags,
            all: what.all.is_some(),
            reason: what.reason,
            position,
        },
    })
}
