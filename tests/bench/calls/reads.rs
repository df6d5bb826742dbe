//! Reads through a sidecar.

use super::{KEY, VALUE_BYTES, value};
use crate::Result;
use bytes::Bytes;
use tonic::transport::Channel;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::{self, BatchGetRequest, GetRequest, batch_get_result, entry, get_response};

/// One Get of [`KEY`], which must be a hit in L1.
pub(crate) async fn get(channel: &Channel) -> Result<()> {
    get_of(channel, KEY.into(), &value(VALUE_BYTES)).await
}

/// One Get, which must be a hit in L1 with this value.
pub(crate) async fn get_of(channel: &Channel, key: String, expected: &Bytes) -> Result<()> {
    match answer(channel, key).await? {
        Some(get_response::Result::Found(entry))
            if entry.tier() == v1::Tier::L1 && is(&entry, expected) =>
        {
            Ok(())
        }
        other => Err(format!("not a hit in L1: {other:?}").into()),
    }
}

/// One Get, which must be a hit in the remote tier with a value of this size.
pub(crate) async fn get_remote(channel: &Channel, key: &str, bytes: usize) -> Result<()> {
    match answer(channel, key.into()).await? {
        Some(get_response::Result::Found(entry))
            if entry.tier() == v1::Tier::Remote && has(&entry, bytes) =>
        {
            Ok(())
        }
        other => Err(format!("not a hit in the remote tier: {other:?}").into()),
    }
}

/// One Get, which must be a miss.
pub(crate) async fn miss(channel: &Channel) -> Result<()> {
    match answer(channel, "nobody/0".into()).await? {
        Some(get_response::Result::Missing(_)) => Ok(()),
        other => Err(format!("not a miss: {other:?}").into()),
    }
}

async fn answer(channel: &Channel, key: String) -> Result<Option<get_response::Result>> {
    let request = GetRequest {
        key,
        ..GetRequest::default()
    };
    let answer = CacheServiceClient::new(channel.clone()).get(request).await;
    Ok(answer?.into_inner().result)
}

fn is(entry: &v1::Entry, expected: &Bytes) -> bool {
    matches!(&entry.value, Some(entry::Value::Data(data)) if data == expected)
}

/// Whether it has a value of the usual size.
fn has(entry: &v1::Entry, bytes: usize) -> bool {
    matches!(&entry.value, Some(entry::Value::Data(data)) if data.len() == bytes)
}

/// One BatchGet, all of which must be hits in the remote tier.
pub(crate) async fn batch_get_remote(channel: &Channel, keys: &[String]) -> Result<()> {
    batch_get(channel, keys, v1::Tier::Remote).await
}

/// One BatchGet, all of which must be hits in L1.
pub(crate) async fn batch_get_l1(channel: &Channel, keys: &[String]) -> Result<()> {
    batch_get(channel, keys, v1::Tier::L1).await
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
        Some(batch_get_result::Result::Found(entry)) => {
            entry.tier() == tier && has(entry, VALUE_BYTES)
        }
        _ => false,
    };
    match answer.results.iter().filter(is_hit).count() {
        hits if hits == keys.len() => Ok(()),
        hits => Err(format!("{hits} hits of {} in {tier:?}", keys.len()).into()),
    }
}
