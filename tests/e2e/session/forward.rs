//! Something between a client and a sidecar that lets only some services
//! through, as an older sidecar has only some.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::transport::{Channel, Endpoint, Server};
use unstale_tests::Sidecar;

/// A running one.
pub(super) struct Forward {
    pub(super) endpoint: String,
    passed: Arc<AtomicUsize>,
}

impl Forward {
    /// To this sidecar, without the calls whose path holds `without`.
    pub(super) async fn to(pod: &Sidecar, without: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let behind = Endpoint::from_shared(format!("http://127.0.0.1:{}", pod.port()));
        let passed = Arc::new(AtomicUsize::new(0));
        let passing = Passing {
            behind: behind.expect("an endpoint").connect_lazy(),
            without,
            passed: passed.clone(),
        };
        let (_, nothing) = tonic_health::server::health_reporter();
        let server = Server::builder()
            .layer(tower::layer::layer_fn(move |_| passing.clone()))
            .add_service(nothing)
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        Self {
            endpoint: format!("http://{address}"),
            passed,
        }
    }

    /// How many calls were let through.
    pub(super) fn passed(&self) -> usize {
        self.passed.load(SeqCst)
    }
}

#[derive(Clone)]
struct Passing {
    behind: Channel,
    without: &'static str,
    passed: Arc<AtomicUsize>,
}

impl Service<http::Request<Body>> for Passing {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path().contains(self.without) {
            let refused = Status::unimplemented("").into_http();
            return Box::pin(async { Ok(refused) });
        }
        self.passed.fetch_add(1, SeqCst);
        let mut behind = self.behind.clone();
        Box::pin(async move {
            let answered = async {
                std::future::poll_fn(|context| behind.poll_ready(context)).await?;
                behind.call(request).await
            };
            let answered: Result<_, tonic::transport::Error> = answered.await;
            let lost = |_| Status::unavailable("").into_http();
            Ok(answered.unwrap_or_else(lost))
        })
    }
}
