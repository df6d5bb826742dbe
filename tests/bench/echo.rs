//! The reference: what tonic alone costs. It decodes the same request as Get and
//! answers as many bytes as the key's last part says, or that of BatchGet with a
//! value for each key, or that of Set with a version: without a generated service,
//! layers or limits.

use crate::Result;
use crate::calls::{ECHO, ECHO_MANY, ECHO_SET, VALUE_BYTES, value};
use std::convert::Infallible;
use std::task::{Context, Poll};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use unstale_proto::v1::{
    BatchGetRequest, BatchGetResponse, BatchGetResult, Entry, GetRequest, SetRequest, SetResponse,
    Stored, batch_get_result, entry, set_response,
};

/// Answers every request with as much as a sidecar would.
#[derive(Clone)]
struct Echo;

/// A key without a size is worth 1 KiB.
fn entry(key: &str) -> Entry {
    let bytes = key.rsplit_once('/').and_then(|(_, size)| size.parse().ok());
    Entry {
        value: Some(entry::Value::Data(value(bytes.unwrap_or(VALUE_BYTES)))),
        ..Entry::default()
    }
}

impl NamedService for Echo {
    const NAME: &'static str = "bench.Echo";
}

impl UnaryService<GetRequest> for Echo {
    type Response = Entry;
    type Future = BoxFuture<Response<Entry>, Status>;

    fn call(&mut self, request: Request<GetRequest>) -> Self::Future {
        Box::pin(async move { Ok(Response::new(entry(&request.into_inner().key))) })
    }
}

impl UnaryService<SetRequest> for Echo {
    type Response = SetResponse;
    type Future = BoxFuture<Response<SetResponse>, Status>;

    fn call(&mut self, request: Request<SetRequest>) -> Self::Future {
        Box::pin(async move {
            drop(request);
            let version = "w4dd17c1e08625f74-4".into();
            let result = Some(set_response::Result::Stored(Stored { version }));
            Ok(Response::new(SetResponse {
                result,
                ..SetResponse::default()
            }))
        })
    }
}

impl UnaryService<BatchGetRequest> for Echo {
    type Response = BatchGetResponse;
    type Future = BoxFuture<Response<BatchGetResponse>, Status>;

    fn call(&mut self, request: Request<BatchGetRequest>) -> Self::Future {
        Box::pin(async move {
            let keys = request.into_inner().keys.into_iter();
            let found = Entry {
                value: Some(entry::Value::Data(value(VALUE_BYTES))),
                ..Entry::default()
            };
            let results = keys.map(|key| BatchGetResult {
                key,
                result: Some(batch_get_result::Result::Found(found.clone())),
            });
            Ok(Response::new(BatchGetResponse {
                results: results.collect(),
                ..BatchGetResponse::default()
            }))
        })
    }
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let path = request.uri().path();
            Ok(match path {
                ECHO => answer::<GetRequest, Entry>(request).await,
                ECHO_MANY => answer::<BatchGetRequest, BatchGetResponse>(request).await,
                ECHO_SET => answer::<SetRequest, SetResponse>(request).await,
                _ => Status::unimplemented(path).into_http(),
            })
        })
    }
}

async fn answer<Q, A>(request: http::Request<Body>) -> http::Response<Body>
where
    Echo: UnaryService<Q, Response = A>,
    <Echo as UnaryService<Q>>::Future: Send,
    Q: prost::Message + Default + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    let codec: ProstCodec<A, Q> = ProstCodec::default();
    Grpc::new(codec).unary(Echo, request).await
}

/// Serves on both until it is killed.
pub(crate) async fn serve(tcp: &str, uds: &str) -> Result<()> {
    let tcp = TcpIncoming::bind(tcp.parse()?)?.with_nodelay(Some(true));
    let uds = UnixListenerStream::new(UnixListener::bind(uds)?);
    let over_uds = Server::builder().add_service(Echo).serve_with_incoming(uds);
    let over_tcp = Server::builder().add_service(Echo).serve_with_incoming(tcp);
    tokio::try_join!(over_tcp, over_uds)?;
    Ok(())
}
