//! The Rust client's layer for HTTP services, over real sidecars.

use crate::fleet::Fleet;
use crate::sdk::client;
use http::header::{ETAG, HeaderMap};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::Notify;
use tower::{Layer as _, ServiceExt as _};
use unstale::http::CacheLayer;
use unstale::{AbandonOptions, Bytes, Cache, EntryOptions, Invalidate, LoadOptions};
use unstale_tests::Sidecar;

pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) type Page = Response<Full<Bytes>>;

/// A service of one page, which counts its requests.
#[derive(Clone, Default)]
pub(crate) struct Pages {
    asked: Arc<AtomicUsize>,
}

impl Pages {
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    /// Answers this request with this page, through the layer.
    pub(crate) async fn answer(
        &self,
        layer: &CacheLayer,
        request: Request<()>,
        page: Page,
    ) -> Answer {
        let asked = Arc::clone(&self.asked);
        let service = tower::service_fn(move |request: Request<()>| {
            let (asked, page) = (Arc::clone(&asked), page.clone());
            async move {
                let conditional = request.headers().contains_key("if-none-match");
                assert!(!conditional, "the service's answer is for others, too");
                asked.fetch_add(1, SeqCst);
                Ok::<_, Infallible>(page)
            }
        });
        let Ok(response) = layer.layer(service).oneshot(request).await;
        let (head, body) = response.into_parts();
        let Ok(body) = body.collect().await;
        Answer {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str());
        value.expect("the header").expect("text")
    }

    /// What the cache did.
    pub(crate) fn cache_status(&self) -> &str {
        self.header("cache-status")
    }

    pub(crate) fn is_hit(&self) -> bool {
        self.cache_status().starts_with("unstale; hit; ttl=")
    }
}

pub(crate) fn page(text: &'static str) -> Page {
    Response::new(Full::from(text))
}

pub(crate) fn with(text: &'static str, name: &'static str, value: &'static str) -> Page {
    let page = Response::builder().header(name, value).body(text.into());
    page.expect("a page")
}

pub(crate) fn get(path: &str) -> Request<()> {
    Request::get(path).body(()).expect("a request")
}

pub(crate) fn layer(cache: Cache) -> CacheLayer {
    let entry = EntryOptions::default().ttl(LONG).stale_for(LONG);
    CacheLayer::new(cache).load(LoadOptions::from(entry))
}

#[tokio::test]
async fn a_page_is_loaded_once_in_the_fleet_and_browsers_that_hold_it_get_304() {
    let fleet = Fleet::of(2).await;
    let pages = Pages::default();
    let mut etags = Vec::new();
    for pod in &fleet.pods {
        let layer = layer(client(pod).await);
        let answer = pages.answer(&layer, get("/a"), page("a page")).await;
        assert_eq!(
            (answer.status, &answer.body[..]),
            (StatusCode::OK, &b"a page"[..])
        );
        assert_eq!(answer.header("cache-control"), "no-cache");
        etags.push(answer.headers[ETAG].clone());
        let request = Request::get("/a").header("if-none-match", &etags[0]);
        let request = request.body(()).expect("a request");
        let again = pages.answer(&layer, request, page("never")).await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED);
        assert!(again.body.is_empty() && again.is_hit(), "{again:?}");
        assert_eq!(again.headers[ETAG], etags[0]);
    }
    assert_eq!(etags[0], etags[1]);
    assert_eq!(pages.asked(), 1);
}

#[tokio::test]
async fn each_answer_says_what_the_cache_did() {
    let pod = Sidecar::builder().fresh().await;
    let (layer, pages) = (layer(client(&pod).await), Pages::default());
    // What it holds is another one: the service must not hear of that.
    let request = Request::get("/a").header("if-none-match", "\"other\"");
    let request = request.body(()).expect("a request");
    let first = pages.answer(&layer, request, page("a")).await;
    assert_eq!((first.status, &first.body[..]), (StatusCode::OK, &b"a"[..]));
    assert_eq!(first.cache_status(), "unstale; fwd=uri-miss; stored");
    let second = pages.answer(&layer, get("/a"), page("never")).await;
    assert!(second.is_hit(), "{second:?}");
    assert_eq!(second.header("age"), "0");
    let request = Request::head("/a").body(()).expect("a request");
    let head = pages.answer(&layer, request, page("never")).await;
    assert!(head.is_hit() && head.body.is_empty(), "{head:?}");
    assert_eq!(head.header("content-length"), "1");
    let request = Request::get("/a").header("cookie", "session=1");
    let request = request.body(()).expect("a request");
    let own = pages.answer(&layer, request, page("own")).await;
    assert_eq!(
        (&own.body[..], own.cache_status()),
        (&b"own"[..], "unstale; fwd=bypass")
    );
    let away = Cache::builder().no_sidecar().connect().await;
    let away = CacheLayer::new(away.expect("no sidecar"));
    let alone = pages.answer(&away, get("/a"), page("alone")).await;
    assert_eq!(
        alone.cache_status(),
        "unstale; fwd=miss; detail=unavailable"
    );
}

#[tokio::test]
async fn an_invalidated_tag_and_a_changed_resource_are_loaded_again() {
    let pod = Sidecar::builder().fresh().await;
    let (cache, pages) = (client(&pod).await, Pages::default());
    let layer = layer(cache.clone());
    let old = with("old", "surrogate-key", "users user:7");
    pages.answer(&layer, get("/users/7"), old).await;
    let gone = cache.invalidate(Invalidate::default().tag("user:7")).await;
    gone.expect("OK");
    let new = pages.answer(&layer, get("/users/7"), page("new")).await;
    assert_eq!(&new.body[..], b"new");
    for (method, status, expected) in [
        (Method::OPTIONS, StatusCode::OK, "new"),
        (Method::PUT, StatusCode::BAD_REQUEST, "new"),
        (Method::PUT, StatusCode::NO_CONTENT, "changed"),
    ] {
        let request = Request::builder().method(method.clone()).uri("/users/7");
        let request = request.body(()).expect("a request");
        let mut done = page("");
        *done.status_mut() = status;
        let answer = pages.answer(&layer, request, done).await;
        assert_eq!(answer.cache_status(), "unstale; fwd=method");
        let read = pages.answer(&layer, get("/users/7"), page("changed")).await;
        assert_eq!(read.body, expected, "{method} {status}");
    }
}

#[tokio::test]
async fn what_is_for_one_user_is_not_given_to_others() {
    let pod = Sidecar::builder().fresh().await;
    let (layer, pages) = (layer(client(&pod).await), Pages::default());
    let long = Bytes::from(vec![b'x'; 2_000_000]);
    for (i, personal) in [
        with("Ada's", "cache-control", "private"),
        with("Ada's", "set-cookie", "session=1"),
        with("Ada's", "vary", "origin"),
        Response::new(Full::from(long.clone())),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{i}");
        let whole = personal.body().clone().collect().await;
        let whole = whole.expect("no error").to_bytes();
        let first = pages.answer(&layer, get(&path), personal).await;
        assert_eq!(first.body, whole);
        assert_eq!(first.cache_status(), "unstale; fwd=uri-miss");
        // Remembered: the next one does not wait for a lease.
        let second = pages.answer(&layer, get(&path), page("Bob's")).await;
        assert_eq!(&second.body[..], b"Bob's");
        assert_eq!(second.cache_status(), "unstale; fwd=bypass");
    }
}

#[tokio::test]
async fn a_failing_service_is_covered_by_the_stale_page_if_there_is_one() {
    let pod = Sidecar::builder().fresh().await;
    let (cache, pages) = (client(&pod).await, Pages::default());
    let entry = EntryOptions::default().ttl(LONG).stale_for(LONG);
    let layer = CacheLayer::new(cache.clone()).load(LoadOptions {
        fail_safe: Some(AbandonOptions::default().serve_stale_for(LONG)),
        ..LoadOptions::from(entry)
    });
    let broken = || {
        let mut broken = page("broken");
        *broken.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        broken
    };
    let failed = pages.answer(&layer, get("/a"), broken()).await;
    assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(&failed.body[..], b"broken");
    pages.answer(&layer, get("/a"), page("a")).await;
    let what = Invalidate::default().prefix("http:").soft();
    cache.invalidate(what).await.expect("OK");
    let saved = pages.answer(&layer, get("/a"), broken()).await;
    assert_eq!((saved.status, &saved.body[..]), (StatusCode::OK, &b"a"[..]));
    assert_eq!(saved.cache_status(), "unstale; hit; detail=stale");
}

#[tokio::test]
async fn of_many_requests_at_once_one_reaches_the_service() {
    let pod = Sidecar::builder().fresh().await;
    let cache = client(&pod).await;
    let (asked, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let service = {
        let (asked, go) = (Arc::clone(&asked), Arc::clone(&go));
        tower::service_fn(move |_: Request<()>| {
            let (asked, go) = (Arc::clone(&asked), Arc::clone(&go));
            async move {
                asked.fetch_add(1, SeqCst);
                go.notified().await;
                Ok::<_, Infallible>(page("a"))
            }
        })
    };
    let layered = layer(cache.clone()).layer(service);
    let requests = (0..16).map(|_| layered.clone().oneshot(get("/a")));
    let all = futures::future::join_all(requests);
    let last = async {
        // Asked after all of them: they have arrived by then.
        cache.status().await.expect("Status answers");
        go.notify_one();
    };
    let (answers, ()) = tokio::join!(all, last);
    assert_eq!(asked.load(SeqCst), 1);
    assert!(
        answers
            .iter()
            .all(|a| a.as_ref().is_ok_and(|a| a.status() == 200))
    );
}
