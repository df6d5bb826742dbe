//! Bodies through the layer for HTTP services that do not come at once, or not
//! at all.

use crate::sdk::client;
use crate::sdk_http::{LONG, Pages, get, page};
use futures::stream::{self, BoxStream, StreamExt as _};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use std::convert::Infallible;
use std::time::Duration;
use tower::{Layer as _, ServiceExt as _};
use unstale::http::{CacheLayer, CachedBody};
use unstale::{AbandonOptions, Bytes, Cache, EntryOptions, Invalidate, LoadOptions};
use unstale_tests::{PATIENCE, Sidecar};

type Frames = BoxStream<'static, Result<Frame<Bytes>, &'static str>>;

fn part(text: &'static str) -> Result<Frame<Bytes>, &'static str> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

fn layer(cache: Cache) -> CacheLayer {
    let entry = EntryOptions::default().ttl(LONG).stale_for(LONG);
    CacheLayer::new(cache).load(LoadOptions {
        fail_safe: Some(AbandonOptions::default().retry_after(Duration::from_millis(100))),
        ..LoadOptions::from(entry)
    })
}

/// What a service with this body answers.
async fn answer(
    layer: &CacheLayer,
    length: Option<u64>,
    frames: fn() -> Frames,
) -> Response<CachedBody<StreamBody<Frames>>> {
    let service = tower::service_fn(move |_: Request<()>| async move {
        let mut response = Response::builder();
        if let Some(length) = length {
            response = response.header("content-length", length);
        }
        let response = response.body(StreamBody::new(frames()));
        Ok::<_, Infallible>(response.expect("a response"))
    });
    let answering = layer.layer(service).oneshot(get("/a"));
    let answered = tokio::time::timeout(PATIENCE, answering).await;
    let Ok(response) = answered.expect("its head does not wait for its body");
    response
}

#[tokio::test]
async fn a_stream_is_passed_on_as_it_comes() {
    let pod = Sidecar::builder().fresh().await;
    let layer = layer(client(&pod).await);
    let events = || {
        stream::iter([part("first")])
            .chain(stream::pending())
            .boxed()
    };
    for status in ["unstale; fwd=uri-miss", "unstale; fwd=bypass"] {
        let mut response = answer(&layer, None, events).await;
        assert_eq!(response.headers()["cache-status"], status);
        let first = response.frame().await.expect("a frame").expect("no error");
        assert_eq!(first.into_data().expect("data"), "first");
    }
}

#[tokio::test]
async fn a_long_body_is_passed_on_as_it_comes() {
    let pod = Sidecar::builder().fresh().await;
    let layer = layer(client(&pod).await);
    let slow = || {
        stream::iter([part("first")])
            .chain(stream::pending())
            .boxed()
    };
    let mut response = answer(&layer, Some(2_000_000), slow).await;
    assert_eq!(response.headers()["content-length"], "2000000");
    let first = response.frame().await.expect("a frame").expect("no error");
    assert_eq!(first.into_data().expect("data"), "first");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_failure_and_not_a_page_that_is_not_stored() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    let layer = layer(cache.clone());
    let breaks = || stream::iter([part("new"), Err("broken")]).boxed();
    let mut broken = answer(&layer, Some(6), breaks).await;
    let first = broken.frame().await.expect("a frame").expect("no error");
    assert_eq!(first.into_data().expect("data"), "new");
    let then = broken
        .frame()
        .await
        .expect("a frame")
        .expect_err("an error");
    assert_eq!(then, "broken");
    // The next one loads, and is stored.
    let pages = Pages::default();
    let whole = pages.answer(&layer, get("/a"), page("a page")).await;
    assert_eq!(whole.cache_status(), "unstale; fwd=uri-miss; stored");
    let what = Invalidate::default().prefix("http:").soft();
    cache.invalidate(what).await.expect("OK");
    let saved = answer(&layer, Some(6), breaks).await;
    let saved = saved.into_body().collect().await.expect("no error");
    assert_eq!(saved.to_bytes(), "a page");
}
