//! Asks the service for everybody, and makes of its answer what is stored.
//!
//! Guarantees that the one who asked gets the service's answer, stored or not,
//! and that nobody waits for one that is not stored.

use super::Settings;
use super::body::CachedBody;
use super::name::Name;
use super::read::{Read, for_everybody, not_stored};
use super::service::{Answered, CacheService, found, may_be_stale, passed};
use super::status::{CacheStatus, Why};
use super::stored::Stored;
use crate::load::Ended;
use crate::{Answer, Because, Bytes, Error, Load, LoadError, Loaded, Loading, NotFilled};
use http::header::HeaderMap;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Why there is nothing to store.
enum Failed<B: Body, E> {
    /// The service failed.
    Service(E),
    /// It answered that it did.
    Response(Response<CachedBody<B>>),
}

impl<S> CacheService<S> {
    /// Asks the service for everybody.
    pub(super) async fn load<Q, B>(
        mut self,
        mut loading: Box<Loading>,
        name: Name,
        mut head: Parts,
        body: Q,
    ) -> Answered<B, S::Error>
    where
        S: tower::Service<Request<Q>, Response = Response<B>>,
        B: Body<Data = Bytes>,
    {
        let asked = head.headers.clone();
        for_everybody(&mut head.headers);
        if loading.stale().is_some_and(|stale| !may_be_stale(stale)) {
            loading.options.fail_safe = None;
        }
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
            if response.status().is_server_error() {
                return Err(Failed::Response(response.map(CachedBody::passed)));
            }
            let read = settings.read(tag, response).await;
            read.map_err(Failed::Response)
        };
        match loading.run(loader).await {
            Ok((loading, Read::Whole(stored, load))) => {
                let filled: Answer<Loaded<Infallible>> = loading.fill(load).await;
                self.settings.remember(&filled.result, name).await;
                let is_stored = matches!(filled.result, Loaded::Filled { .. });
                let status = CacheStatus::Forwarded {
                    why,
                    stored: is_stored,
                };
                Ok(self.respond(stored, &asked, status, None))
            }
            Ok((loading, Read::Passed(response))) => {
                // Those who wait, and those who come, need not wait.
                let (nothing, entry) = not_stored(name.tag);
                let load = Load::With(nothing, entry);
                let _: Answer<Loaded<Infallible>> = loading.fill(load).await;
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
            Because::TimedOut(_) | Because::Slow(_) | Because::Busy { .. } => {
                let mut response = Response::new(CachedBody::whole(Bytes::new()));
                *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
                Ok(passed(response, why))
            }
        }
    }
}

impl Settings {
    /// A response that breaks a rule of the contract (one too long for its
    /// namespace) is not stored the next time, either.
    async fn remember<E>(&self, loaded: &Loaded<E>, name: Name) {
        let Loaded::NotFilled {
            why: NotFilled::Failed(Error::Invalid { .. }),
            ..
        } = loaded
        else {
            return;
        };
        let (nothing, entry) = not_stored(name.tag);
        let set = self.cache.set_with(name.key, nothing, entry.into());
        if let Err(error) = set.await {
            self.cache.tell(&error);
        }
    }
}
