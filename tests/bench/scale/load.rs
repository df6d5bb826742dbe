//! Entries written to and read from a sidecar, in batches.

use crate::Result;
use futures::{StreamExt as _, TryStreamExt as _};
use std::time::Duration;
use tonic::transport::Channel;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::{
    BatchGetRequest, BatchGetResult, BatchSetItem, BatchSetRequest, InvalidateRequest, Tier,
    batch_get_result, batch_set_item, batch_set_result,
};

/// Most keys of a batch, and most bytes of its values.
const BATCH: (usize, usize) = (256, 2 << 20);
/// Nothing expires while it is measured.
const TTL: Duration = Duration::from_secs(24 * 3600);
/// No call is given up because the machine is busy.
const DEADLINE: Duration = Duration::from_secs(60);
/// Batches in flight.
const IN_FLIGHT: usize = 4;
/// Invalidations in flight.
const CALLS: usize = 64;

/// Entries that are alike.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// The first of their numbers.
    pub(crate) from: usize,
    /// One more than the last.
    pub(crate) to: usize,
    /// Bytes of a value.
    pub(crate) value_bytes: usize,
    /// Tags of an entry.
    pub(crate) tags: usize,
    /// Namespaces they are spread over.
    pub(crate) namespaces: usize,
}

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 16;
/// Bytes of a tag.
pub(crate) const TAG_BYTES: usize = 16;

impl Load {
    /// Entries without tags, in one namespace.
    pub(crate) fn plain(count: usize, value_bytes: usize) -> Self {
        Self {
            from: 0,
            to: count,
            value_bytes,
            tags: 0,
            namespaces: 1,
        }
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.to - self.from
    }

    /// Only the last of them.
    pub(crate) fn last(self, count: usize) -> Self {
        Self {
            from: self.to - count,
            ..self
        }
    }

    fn batches(self) -> impl Iterator<Item = Self> {
        let (keys, bytes) = BATCH;
        let step = (bytes / self.value_bytes.max(1)).clamp(1, keys);
        (self.from..self.to).step_by(step).map(move |from| Self {
            from,
            to: self.to.min(from + step),
            ..self
        })
    }

    /// The batch is in one namespace: of those there are as many as of batches.
    fn namespace(self) -> String {
        format!("n{}", self.from / BATCH.0 % self.namespaces)
    }
}

/// The name of the key with this number.
pub(crate) fn key(number: usize) -> String {
    format!("{number:0KEY_BYTES$}")
}

/// A tag of its own for every entry and place.
fn tag(number: usize, place: usize) -> String {
    format!("{place:02}{number:014}")
}

/// Writes them all.
pub(crate) async fn write(channel: &Channel, load: Load) -> Result<()> {
    let batches = futures::stream::iter(load.batches());
    let written = batches.map(|batch| write_batch(channel.clone(), batch));
    written.buffer_unordered(IN_FLIGHT).try_collect().await
}

async fn write_batch(channel: Channel, batch: Load) -> Result<()> {
    let value = bytes::Bytes::from(vec![7; batch.value_bytes]);
    let item = |number| BatchSetItem {
        key: key(number),
        value: Some(batch_set_item::Value::Data(value.clone())),
        tags: (0..batch.tags).map(|place| tag(number, place)).collect(),
        ttl: prost_types::Duration::try_from(TTL).ok(),
        ..BatchSetItem::default()
    };
    let request = BatchSetRequest {
        namespace: batch.namespace(),
        items: (batch.from..batch.to).map(item).collect(),
        ..BatchSetRequest::default()
    };
    let answer = CacheServiceClient::new(channel)
        .batch_set(patient(request))
        .await?;
    for result in answer.into_inner().results {
        if !matches!(result.result, Some(batch_set_result::Result::Stored(_))) {
            return Err(format!("not stored: {result:?}").into());
        }
    }
    Ok(())
}

/// Reads them all; how many were found in L1.
pub(crate) async fn read(channel: &Channel, load: Load) -> Result<usize> {
    let batches = futures::stream::iter(load.batches());
    let read = batches.map(|batch| read_batch(channel.clone(), batch));
    let read = read.buffer_unordered(IN_FLIGHT);
    read.try_fold(0, async |all, found| Ok(all + found)).await
}

async fn read_batch(channel: Channel, batch: Load) -> Result<usize> {
    let request = BatchGetRequest {
        namespace: batch.namespace(),
        keys: (batch.from..batch.to).map(key).collect(),
        ..BatchGetRequest::default()
    };
    let answer = CacheServiceClient::new(channel)
        .batch_get(patient(request))
        .await?;
    let in_l1 = |result: &BatchGetResult| match &result.result {
        Some(batch_get_result::Result::Found(entry)) => entry.tier() == Tier::L1,
        _ => false,
    };
    let results = answer.into_inner().results;
    Ok(results.iter().filter(|result| in_l1(result)).count())
}

fn patient<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(DEADLINE);
    request
}

/// Makes all of these invalidations, [`CALLS`] at a time.
pub(crate) async fn invalidate(
    channel: &Channel,
    all: impl Iterator<Item = InvalidateRequest>,
) -> Result<()> {
    let calls = futures::stream::iter(all).map(|request| {
        let mut client = CacheServiceClient::new(channel.clone());
        async move { client.invalidate(patient(request)).await.map(drop) }
    });
    calls.buffer_unordered(CALLS).try_collect::<()>().await?;
    Ok(())
}
