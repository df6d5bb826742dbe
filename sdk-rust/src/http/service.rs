//! One request after the other: from the cache, or from the service and into
//! the cache.

use super::Settings;
use super::body::CachedBody;
use super::change::Change;
use super::conditional::{OF_NOT_MODIFIED, is_not_modified};
use super::freshness::{self, never_stale};
use super::name::{self, Name};
use super::status::{CacheStatus, Why};
use super::storable::passes;
use super::stored::Stored;
use crate::{Answer, Begun, Bytes, Entry, Error, Loaded, Lookup};
use futures::future::BoxFuture;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// A service whose responses are cached; made by [`super::CacheLayer`].
#[derive(Clone, Debug)]
pub struct CacheService<S> {
    pub(super) inner: S,
    pub(super) settings: Arc<Settings>,
}

impl<S> CacheService<S> {
    pub(super) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }
}

impl<S, Q, B> tower::Service<Request<Q>> for CacheService<S>
where
    S: tower::Service<Request<Q>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    Q: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send,
{
    type Response = Response<CachedBody<B>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        // The one that is ready, and not a clone of it.
        let clone = self.inner.clone();
        let exchange = CacheService {
            inner: std::mem::replace(&mut self.inner, clone),
            settings: Arc::clone(&self.settings),
        };
        Box::pin(exchange.answer(request))
    }
}

/// How a request ends.
pub(super) type Answered<B, E> = Result<Response<CachedBody<B>>, E>;

impl<S> CacheService<S> {
    async fn answer<Q, B>(self, request: Request<Q>) -> Answered<B, S::Error>
    where
        S: tower::Service<Request<Q>, Response = Response<B>>,
        B: Body<Data = Bytes>,
    {
        let (head, body) = request.into_parts();
        if passes(&head.method, &head.headers, &self.settings.known()) {
            return self.pass(head, body).await;
        }
        let name = Name::of(&head, &self.settings.vary);
        if head.method == Method::HEAD {
            return self.head(name, head, body).await;
        }
        match self.settings.begin(&name).await {
            Ok(Begun::Loading(loading)) => self.load(loading, name, head, body).await,
            Ok(Begun::Loaded(answer)) => match found::<Infallible>(answer) {
                Some((stored, status, age)) => Ok(self.respond(stored, &head.headers, status, age)),
                None => self.forward(head, body, Why::Bypass).await,
            },
            Err(Error::Busy { .. }) => self.forward(head, body, Why::Busy).await,
            Err(_) => self.forward(head, body, Why::Outage).await,
        }
    }

    /// What is cached answers it; the service does otherwise, and nothing is
    /// stored: there is no body.
    async fn head<Q, B>(self, name: Name, head: Parts, body: Q) -> Answered<B, S::Error>
    where
        S: tower::Service<Request<Q>, Response = Response<B>>,
        B: Body<Data = Bytes>,
    {
        let why = |outage| if outage { Why::Outage } else { Why::Miss };
        let entry = match self.settings.cache.get(name.key).await {
            Ok(answer) => match (answer.is_outage(), answer.result) {
                (_, Lookup::Hit(entry)) => entry,
                (outage, _) => return self.forward(head, body, why(outage)).await,
            },
            Err(_) => return self.forward(head, body, Why::Outage).await,
        };
        let (status, age) = (CacheStatus::hit(&entry), Some(entry.age));
        let Some(mut stored) = Stored::decode(&entry.value.into_bytes()) else {
            return self.forward(head, body, Why::Bypass).await;
        };
        let length = HeaderValue::from(stored.body.len());
        stored.headers.insert(header::CONTENT_LENGTH, length);
        stored.body = Bytes::new();
        Ok(self.respond(stored, &head.headers, status, age))
    }

    /// Not for the cache; what succeeds in changing a resource invalidates it.
    async fn pass<Q, B>(self, head: Parts, body: Q) -> Answered<B, S::Error>
    where
        S: tower::Service<Request<Q>, Response = Response<B>>,
        B: Body<Data = Bytes>,
    {
        let reads = matches!(head.method, Method::GET | Method::HEAD);
        let harmless = reads || matches!(head.method, Method::OPTIONS | Method::TRACE);
        let change = (!harmless).then(|| Change::new(&self.settings.cache, name::tag(&head)));
        let why = if reads { Why::Bypass } else { Why::Method };
        let response = self.forward(head, body, why).await?;
        if let Some(change) = change {
            change.ended(response.status()).await;
        }
        Ok(response)
    }

    async fn forward<Q, B>(mut self, head: Parts, body: Q, why: Why) -> Answered<B, S::Error>
    where
        S: tower::Service<Request<Q>, Response = Response<B>>,
        B: Body<Data = Bytes>,
    {
        let response = self.inner.call(Request::from_parts(head, body)).await?;
        Ok(passed(response.map(CachedBody::passed), why))
    }

    pub(super) fn respond<B: Body<Data = Bytes>>(
        &self,
        stored: Stored,
        asked: &HeaderMap,
        status: CacheStatus,
        age: Option<Duration>,
    ) -> Response<CachedBody<B>> {
        let elsewhere = freshness::age(&stored.headers);
        let mut response = match is_not_modified(asked, &stored.headers) {
            false => stored.response(CachedBody::whole),
            true => {
                let mut response = Response::new(CachedBody::whole(Bytes::new()));
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                let each = OF_NOT_MODIFIED.iter();
                let told = each.filter_map(|name| {
                    let value = stored.headers.get(name)?;
                    Some((name.clone(), value.clone()))
                });
                response.headers_mut().extend(told);
                response
            }
        };
        let headers = response.headers_mut();
        let cache_control = headers.entry(header::CACHE_CONTROL);
        cache_control.or_insert_with(|| self.settings.cache_control.clone());
        if let Some(age) = age {
            let age = age.saturating_add(elsewhere);
            headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
        }
        headers.append(CACHE_STATUS, status.into());
        response
    }
}

impl Settings {
    /// What is cached, or the right to load it.
    async fn begin(&self, name: &Name) -> Result<Begun<Infallible>, Error> {
        let Self { cache, load, .. } = self;
        let begun = cache.begin(name.key.as_str(), load.clone()).await?;
        match &begun {
            Begun::Loaded(Answer {
                result: Loaded::Stale { entry, .. },
                ..
            }) if !may_be_stale(entry) => {}
            _ => return Ok(begun),
        }
        // Invalidated softly, and not to be given: wait for who loads.
        let mut load = load.clone();
        load.allow_stale = false;
        cache.begin(name.key.as_str(), load).await
    }
}

/// Whether it may be given when it is stale.
pub(super) fn may_be_stale(entry: &Entry) -> bool {
    let stored = Stored::decode(&entry.value.clone().into_bytes());
    stored.is_none_or(|stored| !never_stale(&stored.headers))
}

/// A response from the cache; none when it is one that is not stored.
pub(super) fn found<E>(
    answer: Answer<Loaded<E>>,
) -> Option<(Stored, CacheStatus, Option<Duration>)> {
    match answer.result {
        Loaded::Hit(entry) | Loaded::Stale { entry, .. } => {
            let (status, age) = (CacheStatus::hit(&entry), Some(entry.age));
            let stored = Stored::decode(&entry.value.into_bytes())?;
            Some((stored, status, age))
        }
        Loaded::Filled { content, .. } | Loaded::NotFilled { content, .. } => {
            let stored = Stored::decode(&content.into_value()?.into_bytes())?;
            Some((stored, CacheStatus::Collapsed, None))
        }
        Loaded::Negative(_) | Loaded::NotEncoded(_) => None,
    }
}

/// Says that the response came from the service alone.
pub(super) fn passed<B: Body>(
    mut response: Response<CachedBody<B>>,
    why: Why,
) -> Response<CachedBody<B>> {
    let status = CacheStatus::Forwarded { why, stored: false };
    response.headers_mut().append(CACHE_STATUS, status.into());
    response
}
