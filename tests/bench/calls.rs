//! The calls that are measured, one function each.

use crate::Result;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::{self, Ack, Entry, GetRequest, InvalidateRequest, get_response};

/// The key that every call is about.
pub(crate) const KEY: &str = "user/42";

/// Connects to `http://…` or `unix:…`.
pub(crate) async fn connect(endpoint: &str) -> Result<Channel> {
    Ok(Endpoint::from_shared(endpoint.to_owned())?
        .tcp_nodelay(true)
        .connect()
        .await?)
}

/// One call of the bare echo.
pub(crate) async fn echo(channel: &Channel) -> Result<()> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await?;
    let path = PathAndQuery::from_static("/bench.Echo/Echo");
    let codec: ProstCodec<GetRequest, Entry> = ProstCodec::default();
    grpc.unary(tonic::Request::new(get_request()), path, codec)
        .await?;
    Ok(())
}

/// One Get, which must be a hit in L1.
pub(crate) async fn get(channel: &Channel) -> Result<()> {
    let answer = CacheServiceClient::new(channel.clone())
        .get(get_request())
        .await?
        .into_inner();
    match answer.result {
        Some(get_response::Result::Found(entry)) if entry.tier() == v1::Tier::L1 => Ok(()),
        other => Err(format!("not a hit in L1: {other:?}").into()),
    }
}

/// One Invalidate of one key; how many sessions said they processed it.
pub(crate) async fn invalidate(channel: &Channel, ack: Ack) -> Result<usize> {
    let request = InvalidateRequest {
        keys: vec![KEY.into()],
        ack: ack.into(),
        ..InvalidateRequest::default()
    };
    let answer = CacheServiceClient::new(channel.clone())
        .invalidate(request)
        .await?;
    Ok(answer.into_inner().acked.len())
}

fn get_request() -> GetRequest {
    GetRequest {
        key: KEY.into(),
        ..GetRequest::default()
    }
}
