//! HTTP for people and Kubernetes: /healthz, /readyz, /metrics. It runs on a
//! thread and runtime of its own, so that it answers while the cache is busy;
//! no cached data is here.

mod listener;
mod readiness;

pub use readiness::Readiness;

use crate::telemetry::metrics::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What the pages show.
pub struct Admin {
    /// Ready or not, and what is degraded.
    pub readiness: Readiness,
    /// The numbers.
    pub metrics: Metrics,
}

/// Binds the port now; serves on a thread of its own until `stop`.
pub fn start(
    address: SocketAddr,
    admin: Arc<Admin>,
    stop: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let serve = move || {
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let listener = listener::Bounded::new(listener);
            let serve = axum::serve(listener, router(admin));
            tokio::select! {
                served = serve => served,
                () = stop.cancelled() => Ok(()),
            }
        })
    };
    std::thread::Builder::new()
        .name("admin".into())
        .spawn(serve)?;
    Ok(bound)
}

fn router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

async fn healthz(State(admin): State<Arc<Admin>>) -> String {
    admin.readiness.body()
}

async fn readyz(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    (admin.readiness.code(), admin.readiness.body())
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], admin.metrics.text())
}
