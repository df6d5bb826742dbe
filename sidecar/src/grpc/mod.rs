//! gRPC: one RPC per file, decode → engine → encode. No decisions here.
//! [`session`] carries many calls on one stream, to the same handlers.

mod abandon;
mod admin;
mod batch;
mod compare_and_set;
mod deadline;
mod delivery;
mod depends;
mod direct;
mod encode;
mod explain;
mod fill;
mod gathered;
mod get;
mod invalidate;
mod lease;
pub mod listener;
mod observe;
mod release;
mod renew;
mod retain;
mod rounds;
mod serve;
mod session;
mod set;
mod socket;
mod status;
mod storing;
mod threads;
mod traceparent;
mod unix;
mod violations;
mod watch;
mod write;

pub use serve::{forget, not_serving, serve};

use self::watch::Watching;
use crate::config::InForce;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Receiver;
use tonic::{Request, Response, Status};
use unstale_engine::Engine;
use unstale_proto::v1;
use unstale_proto::v1::admin_service_server::AdminService;
use unstale_proto::v1::cache_service_server::CacheService;

/// What Status says beside what the engine knows.
pub struct Facts {
    /// The sidecar's version.
    pub version: &'static str,
    /// This process, drawn when it began.
    pub instance: String,
    /// The fleet's name; empty with the local log.
    pub fleet: String,
    /// The log's name.
    pub log: &'static str,
    /// The remote tier's name.
    pub remote: &'static str,
    /// Bound of L1.
    pub l1_max_bytes: u64,
    /// The configuration in force.
    pub in_force: Receiver<InForce>,
    /// The session ttl as the log says it; none while it is not known.
    pub session_ttl: Box<dyn Fn() -> Option<Duration> + Send + Sync>,
}

/// Both services over one engine.
#[derive(Clone)]
pub struct Service {
    engine: Arc<Engine>,
    facts: Arc<Facts>,
}

impl Service {
    /// The services of `engine`.
    pub fn new(engine: Arc<Engine>, facts: Facts) -> Self {
        let facts = Arc::new(facts);
        Self { engine, facts }
    }
}

type Answered<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl CacheService for Service {
    type WatchStream = Watching;

    // What listens answers this and BatchGet before the router ([`direct`]); the
    // service demands both. Layers of the service alone do not see them.
    async fn get(&self, request: Request<v1::GetRequest>) -> Answered<v1::GetResponse> {
        let answer = get::get(&self.engine, request.into());
        answer.await.map(Response::new)
    }

    async fn batch_get(
        &self,
        request: Request<v1::BatchGetRequest>,
    ) -> Answered<v1::BatchGetResponse> {
        let answer = get::batch_get(&self.engine, request.into());
        answer.await.map(Response::new)
    }

    async fn set(&self, request: Request<v1::SetRequest>) -> Answered<v1::SetResponse> {
        let answer = set::set(&self.engine, request.into());
        answer.await.map(Response::new)
    }

    async fn batch_set(
        &self,
        request: Request<v1::BatchSetRequest>,
    ) -> Answered<v1::BatchSetResponse> {
        let answer = set::batch_set(&self.engine, request.into());
        answer.await.map(Response::new)
    }

    async fn compare_and_set(
        &self,
        request: Request<v1::CompareAndSetRequest>,
    ) -> Answered<v1::CompareAndSetResponse> {
        let answer = compare_and_set::compare_and_set(&self.engine, request.into());
        answer.await.map(Response::new)
    }

    async fn lease(&self, request: Request<v1::LeaseRequest>) -> Answered<v1::LeaseResponse> {
        let (answer, grants) = lease::lease(&self.engine, request.into()).await?;
        Ok(grants.deliver(answer))
    }

    async fn batch_lease(
        &self,
        request: Request<v1::BatchLeaseRequest>,
    ) -> Answered<v1::BatchLeaseResponse> {
        let (answer, grants) = lease::batch_lease(&self.engine, request.into()).await?;
        Ok(grants.deliver(answer))
    }

    async fn renew(&self, request: Request<v1::RenewRequest>) -> Answered<v1::RenewResponse> {
        let answer = renew::renew(&self.engine, request.into());
        answer.await.map(Response::new)
    }

    async fn fill(&self, request: Request<v1::FillRequest>) -> Answered<v1::FillResponse> {
        let answer = fill::fill(&self.engine, request.into());
        answer.await.map(Response::new)
    }

    async fn abandon(&self, request: Request<v1::AbandonRequest>) -> Answered<v1::AbandonResponse> {
        let answer = abandon::abandon(&self.engine, request.into());
        answer.await.map(Response::new)
    }

    async fn invalidate(
        &self,
        request: Request<v1::InvalidateRequest>,
    ) -> Answered<v1::InvalidateResponse> {
        let answer = invalidate::invalidate_alone(&self.engine, request);
        answer.await.map(Response::new)
    }

    async fn retain(&self, request: Request<v1::RetainRequest>) -> Answered<v1::RetainResponse> {
        let answer = retain::retain(&self.engine, request.into());
        answer.await.map(Response::new)
    }

    async fn release(&self, request: Request<v1::ReleaseRequest>) -> Answered<v1::ReleaseResponse> {
        let answer = release::release(&self.engine, request.into());
        answer.await.map(Response::new)
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Answered<Watching> {
        watch::watch(&self.engine, request).await
    }
}

#[tonic::async_trait]
impl AdminService for Service {
    async fn status(&self, _: Request<v1::StatusRequest>) -> Answered<v1::StatusResponse> {
        Ok(Response::new(admin::status(&self.engine, &self.facts)))
    }

    async fn peers(&self, _: Request<v1::PeersRequest>) -> Answered<v1::PeersResponse> {
        Ok(Response::new(admin::peers(&self.engine)))
    }

    async fn explain(&self, request: Request<v1::ExplainRequest>) -> Answered<v1::ExplainResponse> {
        let answer = explain::explain(&self.engine, request.into());
        answer.await.map(Response::new)
    }
}
