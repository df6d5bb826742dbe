//! Calls of more than one step, and invalidations.

use crate::{Error, Result};
use bytes::Bytes;
use tonic::transport::Channel;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::{
    self, Ack, InvalidateRequest, compare_and_set_request, compare_and_set_response, fill_request,
    fill_response, lease_response,
};

/// One CompareAndSet that expects a version, or nothing when there is none; the
/// new version.
pub(crate) async fn swap(
    channel: &Channel,
    key: String,
    version: Option<String>,
    data: Bytes,
) -> Result<String> {
    let expected = match version {
        Some(version) => compare_and_set_request::Expected::Version(version),
        None => compare_and_set_request::Expected::Absent(v1::Absent {}),
    };
    let request = v1::CompareAndSetRequest {
        key,
        expected: Some(expected),
        value: Some(compare_and_set_request::Value::Data(data)),
        ..v1::CompareAndSetRequest::default()
    };
    let mut client = CacheServiceClient::new(channel.clone());
    match client.compare_and_set(request).await?.into_inner().result {
        Some(compare_and_set_response::Result::Stored(stored)) => Ok(stored.version),
        other => Err(format!("not swapped: {other:?}").into()),
    }
}

/// A Lease of what is not cached, and its Fill.
pub(crate) async fn loaded(channel: &Channel, key: String, data: Bytes) -> Result<()> {
    let mut client = CacheServiceClient::new(channel.clone());
    let request = v1::LeaseRequest {
        key,
        ..v1::LeaseRequest::default()
    };
    let granted = match client.lease(request).await?.into_inner().result {
        Some(lease_response::Result::Granted(granted)) => granted,
        other => return Err(format!("not granted: {other:?}").into()),
    };
    let request = v1::FillRequest {
        lease_token: granted.lease_token,
        value: Some(fill_request::Value::Data(data)),
        ..v1::FillRequest::default()
    };
    match client.fill(request).await?.into_inner().result {
        Some(fill_response::Result::Stored(_)) => Ok(()),
        other => Err(Error::from(format!("not filled: {other:?}"))),
    }
}

/// One Invalidate of one key; how many sessions said they processed it.
pub(crate) async fn invalidate(channel: &Channel, key: String, ack: Ack) -> Result<usize> {
    let request = InvalidateRequest {
        keys: vec![key],
        ack: ack.into(),
        ..InvalidateRequest::default()
    };
    let answer = CacheServiceClient::new(channel.clone())
        .invalidate(request)
        .await?;
    Ok(answer.into_inner().acked.len())
}
