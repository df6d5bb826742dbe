//! One request after the other: from the cache, or from the service and into
//! the cache.

use super::Settings;
use super::body::CachedBody;
use super::conditional::{OF_NOT_MODIFIED, is_not_modified};
use super::name::{self, Name};
use super::read::{Read, not_stored};
use super::status::{CacheStatus, Why};
use super::storable::passes;
use super::stored::Stored;
use crate::load::Ended;
use crate::{Answer, Because, Begun, Bytes, Error, Invalidate, LoadError, Loaded, Loading, Lookup};
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
    inner: S,
    settings: Arc<Settings>,
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
type Answered<B, E> = Result<Response<CachedBody<B>>, E>;

/// Why there is nothing to store.
enum Failed<B: Body, E> {
    /// The service failed.
    Service(E),
    /// It answered that it did.
    Response(Response<CachedBody<B>>),
}

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
        let options = self.settings.load.clone();
        match self.settings.cache.begin(name.key.as_str(), options).await {
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
        let found = match self.settings.cache.get(name.key).await {
            Ok(answer) => answer.result,
            Err(_) => Lookup::Miss,
        };
        let Lookup::Hit(entry) = found else {
            return self.forward(head, body, Why::Miss).await;
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
        let tag = (!harmless).then(|| name::tag(&head));
        let cache = self.settings.cache.clone();
        let why = if reads { Why::Bypass } else { Why::Method };
        let response = self.forward(head, body, why).await?;
        let done = response.status().is_success() || response.status().is_redirection();
        if let Some(tag) = tag.filter(|_| done)
            && let Err(error) = cache.invalidate(Invalidate::default().tag(tag)).await
        {
            // The service has done its work: the response is its word for it.
            cache.tell(&error);
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

    /// Asks the service for everybody.
    async fn load<Q, B>(
        mut self,
        loading: Box<Loading>,
        name: Name,
        mut head: Parts,
        body: Q,
    ) -> Answered<B, S::Error>
    where
        S: tower::Service<Request<Q>, Response = Response<B>>,
        B: Body<Data = Bytes>,
    {
        let asked = head.headers.clone();
        self.settings.for_everybody(&mut head.headers);
        let why = match (loading.is_alone(), loading.stale()) {
            (true, _) => Why::Outage,
            (false, Some(_)) => Why::Stale,
            (false, None) => Why::Miss,
        };
        let calling = self.inner.call(Request::from_parts(head, body));
        let settings = Arc::clone(&self.settings);
        let tag = name.tag.as_str();
        let loader = async {
            let response = calling.await.map_err(Failed::Service)?;
            match response.status().is_server_error() {
                true => Err(Failed::Response(response.map(CachedBody::passed))),
                false => Ok(settings.read(tag, response).await),
            }
        };
        match loading.run(loader).await {
            Ok((loading, Read::Whole(stored, load))) => {
                let filled: Answer<Loaded<Infallible>> = loading.fill(load).await;
                let is_stored = matches!(filled.result, Loaded::Filled { .. });
                let status = CacheStatus::Forwarded {
                    why,
                    stored: is_stored,
                };
                Ok(self.respond(stored, &asked, status, None))
            }
            Ok((loading, Read::Passed(response))) => {
                // Those who wait, and those who come, need not wait.
                let _: Answer<Loaded<Infallible>> = loading.fill(not_stored(name.tag)).await;
                Ok(passed(response, why))
            }
            Err(ended) => self.failed(ended, &asked, why),
        }
    }

    /// A stale response, if there is one, or what the service said.
    fn failed<B: Body<Data = Bytes>, E>(
        &self,
        ended: Ended<Failed<B, E>>,
        asked: &HeaderMap,
        why: Why,
    ) -> Answered<B, E> {
        let because = match ended {
            Err(LoadError::Loader(failed)) => Because::Failed(failed),
            Err(LoadError::TimedOut(within)) => Because::TimedOut(within),
            Err(LoadError::Cache(_)) => Because::TimedOut(Duration::ZERO),
            Ok(answer) => match answer.result {
                Loaded::Stale { entry, because } => {
                    let (status, age) = (CacheStatus::hit(&entry), Some(entry.age));
                    match Stored::decode(&entry.value.into_bytes()) {
                        Some(stored) => return Ok(self.respond(stored, asked, status, age)),
                        None => because,
                    }
                }
                other => match found(Answer::away(other)) {
                    Some((stored, status, age)) => {
                        return Ok(self.respond(stored, asked, status, age));
                    }
                    None => Because::TimedOut(Duration::ZERO),
                },
            },
        };
        match because {
            Because::Failed(Failed::Service(error)) => Err(error),
            Because::Failed(Failed::Response(response)) => Ok(passed(response, why)),
            Because::TimedOut(_) | Because::Busy { .. } => {
                let mut response = Response::new(CachedBody::whole(Bytes::new()));
                *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
                Ok(passed(response, why))
            }
        }
    }

    fn respond<B: Body<Data = Bytes>>(
        &self,
        stored: Stored,
        asked: &HeaderMap,
        status: CacheStatus,
        age: Option<Duration>,
    ) -> Response<CachedBody<B>> {
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
            headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
        }
        headers.append(CACHE_STATUS, status.into());
        response
    }
}

/// A response from the cache; none when it is one that is not stored.
fn found<E>(answer: Answer<Loaded<E>>) -> Option<(Stored, CacheStatus, Option<Duration>)> {
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
fn passed<B: Body>(mut response: Response<CachedBody<B>>, why: Why) -> Response<CachedBody<B>> {
    let status = CacheStatus::Forwarded { why, stored: false };
    response.headers_mut().append(CACHE_STATUS, status.into());
    response
}
