//! A Watch as the tests read it: one event after the other, each in time.

use tonic::{Request, Streaming};
use unstale_proto::v1::watch_response::Event;
use unstale_proto::v1::{WatchRequest, WatchResponse};
use unstale_tests::{PATIENCE, Sidecar};

/// A stream that says what happened, without heartbeats.
pub(crate) struct Watcher(Streaming<WatchResponse>);

impl Watcher {
    /// Follows the default namespace after `position` (empty: from now on);
    /// the position it started at.
    pub(crate) async fn after(pod: &Sidecar, position: &str) -> (Self, String) {
        let request = Request::new(WatchRequest {
            namespace: String::new(),
            position: position.into(),
            ..WatchRequest::default()
        });
        let stream = pod.cache().watch(request).await.expect("Watch answers");
        let mut watcher = Self(stream.into_inner());
        let (event, at) = watcher.next().await;
        assert!(matches!(event, Event::Started(_)), "first: {event:?}");
        (watcher, at)
    }

    pub(crate) async fn next(&mut self) -> (Event, String) {
        let next = async {
            loop {
                let message = self.0.message().await.expect("no error");
                let message = message.expect("the stream goes on");
                match message.event.expect("an event") {
                    Event::Heartbeat(_) => {}
                    event => return (event, message.position),
                }
            }
        };
        let next = tokio::time::timeout(PATIENCE, next).await;
        next.expect("an event in time")
    }

    /// The only key of the next invalidation, and its position.
    pub(crate) async fn key(&mut self) -> (String, String) {
        match self.next().await {
            (Event::Invalidation(mut what), at) => {
                assert_eq!(what.keys.len(), 1, "{what:?}");
                (what.keys.remove(0), at)
            }
            other => panic!("no invalidation: {other:?}"),
        }
    }

    pub(crate) async fn is_lagged(&mut self) -> String {
        match self.next().await {
            (Event::Lagged(_), at) => at,
            other => panic!("not lagged: {other:?}"),
        }
    }
}

/// The part of a position that counts up within an epoch.
pub(crate) fn sequence(position: &str) -> u64 {
    let (_, sequence) = position.split_once('-').expect("a position");
    sequence.parse().expect("a number")
}
