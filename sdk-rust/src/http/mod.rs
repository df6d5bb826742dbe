//! A [`tower`] layer that answers HTTP requests from the cache: whole ones, and
//! conditional ones with 304.
//!
//! With the feature `tower`. Stores whole `200` responses to `GET`, one load per
//! resource in the whole fleet, and never what is for one user: requests with
//! `Authorization`, `Cookie`, `Range` or `no-store`, responses with `Set-Cookie`,
//! `Cache-Control: private`, `no-store` or `no-cache`, an `Expires` in the past, a
//! `Vary` on a header that is not part of the key ([`CacheLayer::vary`]), trailers,
//! a body of unknown length (a stream), or one of more than a megabyte. What may
//! not be stored is remembered for a few seconds, so that its requests do not wait
//! for each other. `must-revalidate`, `proxy-revalidate` and `s-maxage` keep a
//! response from being given stale; its ttl is at most 30 days.
//!
//! The key is the path, query and host that the layer sees: put it outside of what
//! takes a part of the path away, such as axum's `nest`.
//!
//! Every response says what the cache did (`Cache-Status`, RFC 9211), and those
//! that the cache knows have an `ETag` and a `Cache-Control`: `no-cache` unless
//! the service says otherwise, so that browsers ask again and are answered with
//! 304, which is what makes an invalidation reach them.
//!
//! An unsafe method that succeeds (`POST`, `PUT`…), or of which nobody knows
//! because its request was dropped, invalidates its own path and query. The tags
//! of a response are the words of its `Surrogate-Key` header.

mod body;
mod change;
mod conditional;
mod freshness;
mod load;
mod name;
mod read;
mod service;
mod status;
mod storable;
mod stored;

pub use body::CachedBody;
pub use service::CacheService;

use crate::{Cache, LoadOptions};
use http::{HeaderName, HeaderValue, header};
use std::sync::Arc;

/// Answers requests from the cache; see [`crate::http`].
///
/// ```
/// use std::convert::Infallible;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};
/// use unstale::http::CacheLayer;
/// use unstale::{Bytes, Cache};
///
/// async fn page(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
///     Ok(Response::new(Full::from("a page")))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Cache::builder().no_sidecar().connect().await?;
/// let mut service = CacheLayer::new(cache).layer(service_fn(page));
/// let response = service.ready().await?.call(Request::get("/").body(())?).await?;
/// let etag = response.headers()["etag"].clone();
/// assert_eq!(response.headers()["cache-control"], "no-cache");
///
/// // Whoever holds it is told so.
/// let again = Request::get("/").header("if-none-match", etag).body(())?;
/// assert_eq!(service.ready().await?.call(again).await?.status(), 304);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CacheLayer {
    settings: Arc<Settings>,
}

/// What all requests share.
#[derive(Clone, Debug)]
struct Settings {
    cache: Cache,
    load: LoadOptions,
    cache_control: HeaderValue,
    vary: Vec<HeaderName>,
    ignores_cookies: bool,
}

impl CacheLayer {
    /// A layer over this cache. The namespace should hold nothing else.
    #[must_use]
    pub fn new(cache: Cache) -> Self {
        let settings = Settings {
            cache,
            load: LoadOptions::default(),
            cache_control: HeaderValue::from_static("no-cache"),
            vary: vec![header::HOST],
            ignores_cookies: false,
        };
        Self {
            settings: Arc::new(settings),
        }
    }

    /// How responses are loaded and stored. The ttl is that of responses whose
    /// `Cache-Control` has neither `s-maxage` nor `max-age`; with
    /// [`LoadOptions::fail_safe`] a stale response is given in place of one of
    /// the 5xx.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// use std::time::Duration;
    /// use unstale::http::CacheLayer;
    /// use unstale::{AbandonOptions, Cache, EntryOptions, LoadOptions};
    ///
    /// let cache = Cache::builder().namespace("pages").no_sidecar().connect().await?;
    /// let minute = Duration::from_secs(60);
    /// let entry = EntryOptions::default().ttl(minute).stale_for(10 * minute).tag("site");
    /// let layer = CacheLayer::new(cache).load(LoadOptions {
    ///     fail_safe: Some(AbandonOptions::default().serve_stale_for(10 * minute)),
    ///     ..LoadOptions::from(entry)
    /// });
    /// # let _ = layer;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn load(mut self, options: LoadOptions) -> Self {
        Arc::make_mut(&mut self.settings).load = options;
        self
    }

    /// The `Cache-Control` of responses to which the service gave none, in place
    /// of `no-cache`. Browsers and CDNs that keep a response do not hear of its
    /// invalidation.
    #[must_use]
    pub fn cache_control(mut self, value: HeaderValue) -> Self {
        Arc::make_mut(&mut self.settings).cache_control = value;
        self
    }

    /// Adds a request header by which responses differ: it becomes a part of
    /// the key, and the service may name it in `Vary`. `Host` is one from the
    /// start.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// use http::header::ACCEPT_LANGUAGE;
    /// use unstale::{Cache, http::CacheLayer};
    ///
    /// let cache = Cache::builder().no_sidecar().connect().await?;
    /// let layer = CacheLayer::new(cache).vary(ACCEPT_LANGUAGE);
    /// # let _ = layer;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn vary(mut self, name: HeaderName) -> Self {
        Arc::make_mut(&mut self.settings).vary.push(name);
        self
    }

    /// Requests with cookies are answered as those without: for services whose
    /// responses do not depend on them, or say so (`private`, `Vary: Cookie`). The
    /// service sees the cookies.
    #[must_use]
    pub fn ignore_cookies(mut self) -> Self {
        Arc::make_mut(&mut self.settings).ignores_cookies = true;
        self
    }
}

impl<S> tower::Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> CacheService<S> {
        CacheService::new(inner, Arc::clone(&self.settings))
    }
}
