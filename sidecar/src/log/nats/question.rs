//! One-off questions to the log: its first sequence, and its past.
//!
//! Guarantees: a past that is told is complete, read by one consumer without a
//! gap, with the first retained sequence read after it.

use super::names::Names;
use super::reader::{self, Consumer, Heard};
use super::stream;
use async_nats::Client;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use unstale_engine::clock::LogTime;
use unstale_engine::log::{Backfilled, Event, Sink};

/// What a one-off question needs; repeated until it is answered or the session
/// ends.
pub(super) struct Question {
    pub(super) client: Client,
    pub(super) names: Names,
    pub(super) sink: Arc<dyn Sink>,
}

impl Question {
    pub(super) async fn check_first(self, token: u64) {
        let first = self.first().await;
        self.sink.event(Event::First { token, first });
    }

    async fn first(&self) -> u64 {
        loop {
            match stream::first(&self.client, &self.names).await {
                Ok(first) => return first,
                Err(e) => tracing::debug!("the first sequence is unknown: {}", e.text()),
            }
            tokio::time::sleep(crate::entropy::jitter(Duration::from_secs(1))).await;
        }
    }

    pub(super) async fn backfill(self, from: u64, to: u64) {
        let records = loop {
            match self.range(from, to).await {
                Ok(records) => break records,
                Err(why) => tracing::warn!("reading the log's past failed: {why}"),
            }
            tokio::time::sleep(crate::entropy::jitter(Duration::from_secs(2))).await;
        };
        let first = self.first().await;
        self.sink.event(Event::Backfilled(Backfilled {
            from,
            to,
            first,
            records,
        }));
    }

    /// Every record in `from..to`, by one consumer without a gap.
    async fn range(&self, from: u64, to: u64) -> Result<Vec<(u64, LogTime, Bytes)>, String> {
        let mut records = Vec::new();
        if from >= to {
            return Ok(records);
        }
        let random = crate::entropy::jitter(Duration::from_secs(1 << 30)).as_nanos();
        let name = format!("past-{random:x}-{from}");
        let consumer = Consumer::create(&self.client, &self.names, name.clone(), from, None).await;
        let result = collect(consumer?, to, &mut records).await;
        reader::delete(self.client.clone(), self.names.clone(), name).await;
        result.map(|()| records)
    }
}

async fn collect(
    mut consumer: Consumer,
    to: u64,
    records: &mut Vec<(u64, LogTime, Bytes)>,
) -> Result<(), String> {
    let mut count = 0;
    loop {
        match consumer.next().await? {
            Heard::Heartbeat(last) if last == count => {}
            Heard::Record(d) if d.consumer_sequence == count + 1 => {
                count += 1;
                if d.sequence >= to {
                    return Ok(());
                }
                records.push((d.sequence, d.time, d.payload));
            }
            _ => return Err("a gap".to_owned()),
        }
    }
}
