//! Calls of the bare echo.

use super::{KEY, VALUE_BYTES, value};
use crate::Result;
use bytes::Bytes;
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;
use unstale_proto::v1::{
    BatchGetRequest, BatchGetResponse, Entry, GetRequest, SetRequest, SetResponse, entry,
    set_request, set_response,
};

/// The echo's path for one value.
pub(crate) const ECHO: &str = "/bench.Echo/Echo";
/// For as many values as keys.
pub(crate) const ECHO_MANY: &str = "/bench.Echo/Many";
/// For a value that is sent.
pub(crate) const ECHO_SET: &str = "/bench.Echo/Set";

async fn unary<Q, A>(channel: &Channel, path: &'static str, request: Q) -> Result<A>
where
    Q: Message + Default + Send + Sync + 'static,
    A: Message + Default + Send + Sync + 'static,
{
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await?;
    let path = PathAndQuery::from_static(path);
    let codec: ProstCodec<Q, A> = ProstCodec::default();
    let answer = grpc.unary(tonic::Request::new(request), path, codec).await;
    Ok(answer?.into_inner())
}

/// One call that is answered with 1 KiB.
pub(crate) async fn echo(channel: &Channel) -> Result<()> {
    echo_of(channel, KEY.into(), &value(VALUE_BYTES)).await
}

/// One call that is answered with the value of this key.
pub(crate) async fn echo_of(channel: &Channel, key: String, expected: &Bytes) -> Result<()> {
    let request = GetRequest {
        key,
        ..GetRequest::default()
    };
    let answer: Entry = unary(channel, ECHO, request).await?;
    match answer.value {
        Some(entry::Value::Data(data)) if data == *expected => Ok(()),
        _ => Err("the echo answers something else".into()),
    }
}

/// One call that is answered with a value for each key.
pub(crate) async fn echo_many(channel: &Channel, keys: &[String]) -> Result<()> {
    let request = BatchGetRequest {
        keys: keys.to_vec(),
        ..BatchGetRequest::default()
    };
    let answer: BatchGetResponse = unary(channel, ECHO_MANY, request).await?;
    match answer.results.len() {
        all if all == keys.len() => Ok(()),
        some => Err(format!("{some} of {} values", keys.len()).into()),
    }
}

/// One call that carries a value.
pub(crate) async fn echo_set(channel: &Channel, key: String, data: Bytes) -> Result<()> {
    let request = SetRequest {
        key,
        value: Some(set_request::Value::Data(data)),
        ..SetRequest::default()
    };
    let answer: SetResponse = unary(channel, ECHO_SET, request).await?;
    match answer.result {
        Some(set_response::Result::Stored(_)) => Ok(()),
        other => Err(format!("not stored: {other:?}").into()),
    }
}
