//! The reference: what tonic alone costs. It decodes the same request as Get
//! and answers 1 KiB, or that of BatchGet and 1 KiB for each of its keys, without
//! a generated service, layers or limits.

use crate::Result;
use crate::calls::{ECHO_MANY, VALUE_BYTES};
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
    BatchGetRequest, BatchGetResponse, BatchGetResult, Entry, GetRequest, batch_get_result, entry,
};

/// Answers every request with 1 KiB, or with so much for each of its keys.
#[derive(Clone)]
struct Echo;

fn value() -> Entry {
    Entry {
        value: Some(entry::Value::Data(vec![7; VALUE_BYTES].into())),
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
        Box::pin(async move {
            drop(request);
            Ok(Response::new(value()))
        })
    }
}

impl UnaryService<BatchGetRequest> for Echo {
    type Response = BatchGetResponse;
    type Future = BoxFuture<Response<BatchGetResponse>, Status>;

    fn call(&mut self, request: Request<BatchGetRequest>) -> Self::Future {
        Box::pin(async move {
            let keys = request.into_inner().keys.into_iter();
            let results = keys.map(|key| BatchGetResult {
                key,
                result: Some(batch_get_result::Result::Found(value())),
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
            if request.uri().path() == ECHO_MANY {
                let codec: ProstCodec<_, BatchGetRequest> = ProstCodec::default();
                return Ok(Grpc::new(codec).unary(Echo, request).await);
            }
            let codec: ProstCodec<_, GetRequest> = ProstCodec::default();
            Ok(Grpc::new(codec).unary(Echo, request).await)
        })
    }
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
