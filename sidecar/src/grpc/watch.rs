//! Watch: a stream without a deadline; it ends when the sidecar drains.

use super::convert::Violations;
use futures::{Stream, stream};
use std::pin::Pin;
use tonic::{Request, Response, Status};
use unstale_engine::Engine;
use unstale_engine::request::{WatchEvent, Watched};
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
    let namespace = wrong.finish(namespace)?;
    let name = namespace.as_str().to_owned();
    let watch = engine.watch(namespace, position);
    let events = stream::unfold((watch, name), |(mut watch, name)| async move {
        let watched = watch.next().await?;
        Some((Ok(response(watched, &name)), (watch, name)))
    });
    Ok(Response::new(Box::pin(events)))
}

fn response(watched: Watched, namespace: &str) -> v1::WatchResponse {
    let event = match watched.event {
        WatchEvent::Started => Event::Started(v1::Started {}),
        WatchEvent::Heartbeat => Event::Heartbeat(v1::Heartbeat {}),
        WatchEvent::Lagged => Event::Lagged(v1::Lagged {}),
        WatchEvent::Invalidation {
            keys,
            tags,
            all,
            reason,
        } => Event::Invalidation(v1::Invalidation {
            namespace: namespace.to_owned(),
            keys,
            tags,
            all: all.then_some(v1::All {}),
            reason: reason.unwrap_or_default(),
        }),
    };
    v1::WatchResponse {
        event: Some(event),
        position: watched.position.to_string(),
    }
}
