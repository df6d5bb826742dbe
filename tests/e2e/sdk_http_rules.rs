//! What the layer for HTTP services owes to the headers of others: whose a page
//! is, how long it holds, and what a change must reach.

use crate::sdk::client;
use crate::sdk_http::{LONG, Page, Pages, get, layer, page, with};
use http::header::COOKIE;
use http::{Method, Request, StatusCode};
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};
use tower::{Layer as _, ServiceExt as _};
use unstale::http::CacheLayer;
use unstale::{AbandonOptions, Cache, EntryOptions, Invalidate, LoadOptions};
use unstale_tests::{PATIENCE, Sidecar, eventually};

fn broken() -> Page {
    let mut broken = page("broken");
    *broken.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    broken
}

async fn soft(cache: &Cache) {
    let what = Invalidate::default().prefix("http:").soft();
    cache.invalidate(what).await.expect("OK");
}

#[tokio::test]
async fn a_page_that_must_be_revalidated_is_waited_for_and_never_given_stale() {
    for directive in ["must-revalidate", "proxy-revalidate", "s-maxage=60"] {
        let pod = Sidecar::builder().fresh().await;
        let (cache, pages) = (client(&pod).await, Pages::default());
        let layer = layer(cache.clone());
        let old = with("old", "cache-control", directive);
        pages.answer(&layer, get("/a"), old).await;
        soft(&cache).await;
        let (inside, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let service = {
            let (inside, go) = (Arc::clone(&inside), Arc::clone(&go));
            tower::service_fn(move |_: Request<()>| {
                let (inside, go) = (Arc::clone(&inside), Arc::clone(&go));
                async move {
                    inside.notify_one();
                    go.notified().await;
                    Ok::<_, Infallible>(page("new"))
                }
            })
        };
        let making = layer.layer(service).oneshot(get("/a"));
        let other = async {
            inside.notified().await;
            let asking = pages.answer(&layer, get("/a"), page("a second load"));
            let last = async {
                // Asked after it: it has arrived by then.
                cache.status().await.expect("Status answers");
                go.notify_one();
            };
            tokio::join!(asking, last).0
        };
        let (_, other) = tokio::join!(making, other);
        assert_eq!(&other.body[..], b"new", "{directive}");
    }
}

#[tokio::test]
async fn a_page_that_must_be_revalidated_does_not_cover_for_a_failing_service() {
    let pod = Sidecar::builder().fresh().await;
    let (cache, pages) = (client(&pod).await, Pages::default());
    let entry = EntryOptions::default().ttl(LONG).stale_for(LONG);
    let layer = CacheLayer::new(cache.clone()).load(LoadOptions {
        fail_safe: Some(AbandonOptions::default().serve_stale_for(LONG)),
        ..LoadOptions::from(entry)
    });
    let old = with("old", "cache-control", "max-age=60, must-revalidate");
    pages.answer(&layer, get("/a"), old).await;
    soft(&cache).await;
    let failed = pages.answer(&layer, get("/a"), broken()).await;
    assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_page_that_holds_for_a_year_is_stored() {
    let pod = Sidecar::builder().fresh().await;
    let (layer, pages) = (layer(client(&pod).await), Pages::default());
    let asset = with("a", "cache-control", "max-age=31536000, immutable");
    let first = pages.answer(&layer, get("/a"), asset).await;
    assert_eq!(first.cache_status(), "unstale; fwd=uri-miss; stored");
    let second = pages.answer(&layer, get("/a"), page("never")).await;
    assert!(second.is_hit(), "{second:?}");
}

#[tokio::test]
async fn the_age_of_a_page_counts_from_where_it_was_made() {
    let pod = Sidecar::builder().fresh().await;
    let (layer, pages) = (layer(client(&pod).await), Pages::default());
    pages
        .answer(&layer, get("/a"), with("a", "age", "3600"))
        .await;
    let hit = pages.answer(&layer, get("/a"), page("never")).await;
    let age: u64 = hit.header("age").parse().expect("seconds");
    assert!(hit.is_hit() && age >= 3600, "{hit:?}");
}

#[tokio::test]
async fn a_change_whose_request_is_dropped_is_invalidated() {
    let pod = Sidecar::builder().fresh().await;
    let (layer, pages) = (layer(client(&pod).await), Pages::default());
    pages.answer(&layer, get("/a"), page("old")).await;
    let (changed, change) = oneshot::channel();
    let changed = Arc::new(std::sync::Mutex::new(Some(changed)));
    let service = tower::service_fn(move |_: Request<()>| {
        let changed = changed.lock().expect("no panic").take();
        async move {
            // The client goes away when this is done, and before it is answered.
            let told = changed.expect("one request").send(());
            told.expect("the test waits");
            pending::<Result<Page, Infallible>>().await
        }
    });
    let request = Request::builder().method(Method::PUT).uri("/a");
    let request = request.body(()).expect("a request");
    tokio::select! {
        _ = layer.layer(service).oneshot(request) => panic!("it is never answered"),
        change = change => change.expect("it is done"),
    }
    let asks = || async {
        let read = pages.answer(&layer, get("/a"), page("new")).await;
        let new = &read.body[..] == b"new";
        new.then_some(()).ok_or(format!("{read:?}"))
    };
    eventually("the new page", PATIENCE, asks).await;
}

#[tokio::test]
async fn a_page_of_one_user_is_that_users_with_the_first_request_too() {
    let pod = Sidecar::builder().fresh().await;
    let layer = layer(client(&pod).await).ignore_cookies();
    let service = tower::service_fn(|request: Request<()>| async move {
        let whose = request.headers().get(COOKIE).is_some();
        let text = if whose { "Ada's" } else { "please log in" };
        Ok::<_, Infallible>(with(text, "cache-control", "private"))
    });
    for _ in 0..2 {
        let request = Request::get("/account").header(COOKIE, "user=ada");
        let request = request.body(()).expect("a request");
        let Ok(own) = layer.layer(service).oneshot(request).await;
        let Ok(own) = http_body_util::BodyExt::collect(own.into_body()).await;
        assert_eq!(&own.to_bytes()[..], b"Ada's");
    }
}

#[tokio::test]
async fn a_page_too_long_for_its_namespace_keeps_nobody_waiting() {
    let config = "[namespace.small]\nmax_value_bytes = \"1KiB\"\n";
    let pod = Sidecar::builder().config(config).fresh().await;
    let layer = layer(client(&pod).await.namespace("small"));
    let pages = Pages::default();
    let long = || page(Box::leak("x".repeat(2000).into_boxed_str()));
    let first = pages.answer(&layer, get("/a"), long()).await;
    assert_eq!((first.status, first.body.len()), (StatusCode::OK, 2000));
    assert_eq!(first.cache_status(), "unstale; fwd=uri-miss");
    let second = pages.answer(&layer, get("/a"), long()).await;
    assert_eq!(second.cache_status(), "unstale; fwd=bypass");
}
