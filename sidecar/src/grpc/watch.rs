//! Watch: a stream without a deadline; it ends when the sidecar drains.

use super::encode;
use super::violations::Violations;
use futures::{Stream, stream};
use std::pin::Pin;
use tonic::{Request, Response, Status};
use unstale_engine::key::Namespace;
use unstale_engine::request::{WatchEvent, WatchFilter, Watched};
use unstale_engine::{Engine, limits};
use unstale_proto::v1::{self, watch_response::Event};

/// The stream of one Watch.
pub(super) type Watching = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

pub(super) async fn watch(
    engine: &Engine,
    request: Request<v1::WatchRequest>,
) -> Result<Response<Watching>, Status> {
    let request = request.into_inner();
    let mut wrong = Violations::default();
    let namespace = wrong.namespace(&request.namespace);
    let position = wrong.position("position", &request.position);
    let filter = wrong.filter(&request, namespace.as_ref());
    let (namespace, filter) = wrong.finish(namespace.zip(filter))?;
    let name = namespace.as_str().to_owned();
    let watch = engine.watch(namespace, position, filter);
    let events = stream::unfold((watch, name), |(mut watch, name)| async move {
        let watched = watch.next().await?;
        Some((Ok(response(watched, &name)), (watch, name)))
    });
    Ok(Response::new(Box::pin(events)))
}

impl Violations {
    fn filter(
        &mut self,
        request: &v1::WatchRequest,
        namespace: Option<&Namespace>,
    ) -> Option<WatchFilter> {
        let keys = self.keys(namespace, &request.keys, limits::FILTER_NAMES);
        let prefixes = self.prefixes(&request.prefixes);
        let tags = self.tags(&request.tags, limits::FILTER_NAMES);
        Some(WatchFilter {
            keys: keys?,
            prefixes: prefixes?,
            tags: tags?,
        })
    }
}

fn response(watched: Watched, namespace: &str) -> v1::WatchResponse {
    let event = match watched.event {
        WatchEvent::Started => Event::Started(v1::Started {}),
        WatchEvent::Heartbeat => Event::Heartbeat(v1::Heartbeat {}),
        WatchEvent::Lagged => Event::Lagged(v1::Lagged {}),
        WatchEvent::Invalidation {
            keys,
            tags,
            prefixes,
            all,
            mode,
            reason,
        } => Event::Invalidation(v1::Invalidation {
            namespace: namespace.to_owned(),
            keys,
            tags,
            all: all.then_some(v1::All {}),
            reason: reason.unwrap_or_default(),
            prefixes,
            mode: encode::mode(mode).into(),
        }),
    };
    v1::WatchResponse {
        event: Some(event),
        position: watched.position.to_string(),
    }
}
