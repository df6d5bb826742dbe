//! The gRPC server: both services, health and reflection over the listeners.

use super::Service;
use super::direct::Direct;
use super::listener::Listeners;
use super::observe::Observe;
use super::session::Sessions;
use super::threads::{Connections, Threads};
use crate::shutdown::Shutdown;
use crate::telemetry::requests::Requests;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tonic_reflection::server::Builder as Reflection;
use unstale_engine::limits;
use unstale_proto::FILE_DESCRIPTOR_SET;
use unstale_proto::v1::admin_service_server::{AdminServiceServer, SERVICE_NAME as ADMIN};
use unstale_proto::v1::cache_service_server::{CacheServiceServer, SERVICE_NAME as CACHE};
use unstale_proto::v1::session_service_server::SERVICE_NAME as SESSION;

/// Longest request: a batch of values, their keys, tags and so on. Over it the
/// message is not read, but a value that is a little too long gets its own
/// violation, with all others.
const REQUEST_BYTES: usize = limits::BATCH_BYTES + limits::RECORD_BYTES;
/// Longest answer: a batch of values and its envelopes.
const ANSWER_BYTES: usize = limits::BATCH_BYTES + 2 * limits::RECORD_BYTES;
/// Longest message of a Session stream: one that is nearly long enough, and
/// the longest answer.
const SESSION_BYTES: usize = ANSWER_BYTES + limits::RECORD_BYTES;

/// Serves until `stop`, then finishes what is in flight.
pub async fn serve(
    listeners: Listeners,
    service: Service,
    requests: Arc<Requests>,
    (shutdown, stop): (Shutdown, CancellationToken),
    health: HealthReporter,
) {
    health.set_serving::<CacheServiceServer<Service>>().await;
    health.set_serving::<AdminServiceServer<Service>>().await;
    health.set_serving::<Sessions>().await;
    let ends = (shutdown.clone(), stop.clone());
    let longest = (REQUEST_BYTES, SESSION_BYTES);
    let services = Services {
        sessions: Sessions::new(service.engine.clone(), requests.clone(), ends, longest),
        service,
        requests,
        health,
        stop: stop.clone(),
    };
    let threads = Threads::start(&shutdown, move |connections| {
        services.clone().serve(connections)
    });
    shutdown.spawn("accept", listeners.accept(threads, stop));
}

/// What every thread serves.
#[derive(Clone)]
struct Services {
    sessions: Sessions,
    service: Service,
    requests: Arc<Requests>,
    health: HealthReporter,
    stop: CancellationToken,
}

impl Services {
    /// Serves the connections of one thread.
    async fn serve(self, connections: Connections) {
        let cache = CacheServiceServer::new(self.service.clone())
            .max_decoding_message_size(REQUEST_BYTES)
            .max_encoding_message_size(ANSWER_BYTES);
        let health = HealthServer::new(HealthService::from_health_reporter(self.health));
        let engine = self.service.engine.clone();
        let served = builder()
            .layer(tower::layer::layer_fn(move |router| Observe {
                inner: Direct {
                    router,
                    engine: engine.clone(),
                    limits: (REQUEST_BYTES, ANSWER_BYTES),
                },
                requests: self.requests.clone(),
            }))
            .add_service(cache)
            .add_service(self.sessions)
            .add_service(AdminServiceServer::new(self.service))
            .add_service(health)
            .add_service(reflection().build_v1().expect(DESCRIPTOR))
            .add_service(reflection().build_v1alpha().expect(DESCRIPTOR))
            .serve_with_incoming_shutdown(connections.sockets(), self.stop.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the gRPC server ended");
        }
    }
}

/// How connections are served.
fn builder() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .http2_max_header_list_size(64 * 1024)
        .max_concurrent_streams(1024)
        // With a grace, the library cuts the connection when that has passed, and
        // sends no GOAWAY before: calls and streams on it would be lost.
        .max_connection_age(Duration::from_secs(3600))
        .initial_stream_window_size(2 * 1024 * 1024)
        .initial_connection_window_size(8 * 1024 * 1024)
}

/// Says over grpc.health.v1 that this sidecar takes no more work.
pub async fn not_serving(health: &HealthReporter) {
    use tonic_health::ServingStatus::NotServing;
    for name in ["", CACHE, ADMIN, SESSION] {
        health.set_service_status(name, NotServing).await;
    }
}

/// Ends the streams of those who watch health: they have no end of their own,
/// and the drain would wait for them.
pub async fn forget(health: &mut HealthReporter) {
    for name in ["", CACHE, ADMIN, SESSION] {
        health.clear_service_status(name).await;
    }
}

const DESCRIPTOR: &str = "the committed descriptor set is whole";

fn reflection() -> Reflection<'static> {
    Reflection::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // The details of errors: without it grpcurl prints them as base64.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}
