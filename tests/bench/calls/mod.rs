//! The calls that are measured, one function each.

use crate::Result;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::{
    self, Ack, BatchGetRequest, BatchGetResponse, Entry, GetRequest, InvalidateRequest,
    batch_get_result, batch_set_item, batch_set_result, get_response,
};

/// The key that every call of one key is about.
pub(crate) const KEY: &str = "user/42";
/// Bytes of every value.
pub(crate) const VALUE_BYTES: usize = 1024;
/// Keys in one BatchGet.
pub(crate) const BATCH: usize = 100;

/// The bare echo's path for as many values as keys.
pub(crate) const ECHO_MANY: &str = "/bench.Echo/Many";

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

/// One call of the bare echo that is answered with a value for each key.
pub(crate) async fn echo_many(channel: &Channel, keys: &[String]) -> Result<()> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await?;
    let request = BatchGetRequest {
        keys: keys.to_vec(),
        ..BatchGetRequest::default()
    };
    let codec: ProstCodec<BatchGetRequest, BatchGetResponse> = ProstCodec::default();
    let path = PathAndQuery::from_static(ECHO_MANY);
    let answer = grpc
        .unary(tonic::Request::new(request), path, codec)
        .await?;
    match answer.into_inner().results.len() {
        all if all == keys.len() => Ok(()),
        some => Err(format!("{some} of {} values", keys.len()).into()),
    }
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

/// One Get, which must be a hit in the remote tier.
pub(crate) async fn get_remote(channel: &Channel, key: &str) -> Result<()> {
    let request = GetRequest {
        key: key.into(),
        ..GetRequest::default()
    };
    let answer = CacheServiceClient::new(channel.clone())
        .get(request)
        .await?
        .into_inner();
    match answer.result {
        Some(get_response::Result::Found(entry)) if entry.tier() == v1::Tier::Remote => Ok(()),
        other => Err(format!("not a hit in the remote tier: {other:?}").into()),
    }
}

/// One BatchGet, all of which must be hits in the remote tier.
pub(crate) async fn batch_get_remote(channel: &Channel, keys: &[String]) -> Result<()> {
    batch_get(channel, keys, v1::Tier::Remote).await
}

async fn batch_get(channel: &Channel, keys: &[String], tier: v1::Tier) -> Result<()> {
    let request = BatchGetRequest {
        keys: keys.to_vec(),
        ..BatchGetRequest::default()
    };
    let answer = CacheServiceClient::new(channel.clone())
        .batch_get(request)
        .await?
        .into_inner();
    let is_hit = |result: &&v1::BatchGetResult| match &result.result {
        Some(batch_get_result::Result::Found(entry)) => entry.tier() == tier,
        _ => false,
    };
    match answer.results.iter().filter(is_hit).count() {
        hits if hits == keys.len() => Ok(()),
        hits => Err(format!("{hits} hits of {} in {tier:?}", keys.len()).into()),
    }
}

/// One BatchGet, all of which must be hits in L1.
pub(crate) async fn batch_get_l1(channel: &Channel, keys: &[String]) -> Result<()> {
    batch_get(channel, keys, v1::Tier::L1).await
}

/// One Get, which must be a miss.
pub(crate) async fn miss(channel: &Channel) -> Result<()> {
    let request = GetRequest {
        key: "nobody/0".into(),
        ..GetRequest::default()
    };
    let answer = CacheServiceClient::new(channel.clone())
        .get(request)
        .await?
        .into_inner();
    match answer.result {
        Some(get_response::Result::Missing(_)) => Ok(()),
        other => Err(format!("not a miss: {other:?}").into()),
    }
}

/// One Set of [`KEY`].
pub(crate) async fn set(channel: &Channel) -> Result<()> {
    let request = v1::SetRequest {
        key: KEY.into(),
        value: Some(v1::set_request::Value::Data(vec![7; VALUE_BYTES].into())),
        ..v1::SetRequest::default()
    };
    let answer = CacheServiceClient::new(channel.clone())
        .set(request)
        .await?;
    match answer.into_inner().result {
        Some(v1::set_response::Result::Stored(_)) => Ok(()),
        other => Err(format!("not stored: {other:?}").into()),
    }
}

/// So many keys.
pub(crate) fn keys(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{prefix}/{at}")).collect()
}

/// Sets all keys.
pub(crate) async fn fill(channel: &Channel, keys: &[String]) -> Result<()> {
    for keys in keys.chunks(BATCH) {
        let item = |key: &String| v1::BatchSetItem {
            key: key.clone(),
            value: Some(batch_set_item::Value::Data(vec![7; VALUE_BYTES].into())),
            ..v1::BatchSetItem::default()
        };
        let request = v1::BatchSetRequest {
            items: keys.iter().map(item).collect(),
            ..v1::BatchSetRequest::default()
        };
        let answer = CacheServiceClient::new(channel.clone())
            .batch_set(request)
            .await?
            .into_inner();
        let stored = |result: &&v1::BatchSetResult| {
            matches!(result.result, Some(batch_set_result::Result::Stored(_)))
        };
        if answer.results.iter().filter(stored).count() < keys.len() {
            return Err(format!("not stored: {:?}", answer.results.first()).into());
        }
    }
    Ok(())
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
