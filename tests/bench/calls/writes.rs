//! Writes through a sidecar.

use super::{BATCH, KEY, VALUE_BYTES, value};
use crate::Result;
use bytes::Bytes;
use std::time::Duration;
use tonic::transport::Channel;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::{self, batch_set_item, batch_set_result, set_request, set_response};

/// One Set of [`KEY`].
pub(crate) async fn set(channel: &Channel) -> Result<()> {
    set_of(channel, KEY.into(), value(VALUE_BYTES)).await
}

/// One Set.
pub(crate) async fn set_of(channel: &Channel, key: String, data: Bytes) -> Result<()> {
    let request = v1::SetRequest {
        key,
        value: Some(set_request::Value::Data(data)),
        ..v1::SetRequest::default()
    };
    let answer = CacheServiceClient::new(channel.clone()).set(request).await;
    match answer?.into_inner().result {
        Some(set_response::Result::Stored(_)) => Ok(()),
        other => Err(format!("not stored: {other:?}").into()),
    }
}

/// Sets all keys to 1 KiB.
pub(crate) async fn fill(channel: &Channel, keys: &[String]) -> Result<()> {
    fill_with(channel, keys, &value(VALUE_BYTES)).await
}

/// Sets all keys.
pub(crate) async fn fill_with(channel: &Channel, keys: &[String], data: &Bytes) -> Result<()> {
    for keys in keys.chunks(BATCH) {
        let item = |key: &String| v1::BatchSetItem {
            key: key.clone(),
            value: Some(batch_set_item::Value::Data(data.clone())),
            ..v1::BatchSetItem::default()
        };
        let request = v1::BatchSetRequest {
            items: keys.iter().map(item).collect(),
            ..v1::BatchSetRequest::default()
        };
        // Nobody measures this one, and under valgrind it takes its time.
        let mut request = tonic::Request::new(request);
        request.set_timeout(Duration::from_secs(60));
        let answer = CacheServiceClient::new(channel.clone())
            .batch_set(request)
            .await?
            .into_inner();
        let stored = |result: &&v1::BatchSetResult| {
            matches!(result.result, Some(batch_set_result::Result::Stored(_)))
        };
        if answer.results.iter().filter(stored).count() < keys.len() {
            let other = answer.results.iter().find(|result| !stored(result));
            return Err(format!("not stored: {other:?}").into());
        }
    }
    Ok(())
}
