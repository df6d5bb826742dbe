//! The references for the log: one bare append to a JetStream stream like the
//! sidecar's and its echo through a plain push consumer; and plain delivery.

use super::arrivals::Arrivals;
use crate::Result;
use async_nats::{Client, Message};
use bytes::Bytes;
use futures::StreamExt as _;
use std::sync::Arc;
use tokio::task::AbortHandle;

const STREAM: &str = "BENCH";
const SUBJECT: &str = "bench.log";
/// About as long as the record of an invalidation of one key.
const RECORD: &[u8] = &[7; 96];

/// A stream and a reader of it.
pub(crate) struct BareLog {
    client: Client,
    echoes: Arc<Arrivals<u64>>,
    reader: AbortHandle,
}

impl Drop for BareLog {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl BareLog {
    /// Makes both on the server at `port`.
    pub(crate) async fn open(port: u16) -> Result<Self> {
        let client = async_nats::ConnectOptions::new()
            .retry_on_initial_connect()
            .connect(format!("nats://127.0.0.1:{port}"))
            .await?;
        let inbox = client.new_inbox();
        let mut read = client.subscribe(inbox.clone()).await?;
        let stream = format!(
            r#"{{"name":"{STREAM}","subjects":["{SUBJECT}"],"storage":"file","num_replicas":1}}"#
        );
        ask(&client, format!("STREAM.CREATE.{STREAM}"), stream).await?;
        let consumer = format!(
            r#"{{"stream_name":"{STREAM}","action":"create","config":{{"name":"reader",
            "deliver_subject":"{inbox}","deliver_policy":"all","ack_policy":"none",
            "mem_storage":true,"num_replicas":1}}}}"#
        );
        let create = format!("CONSUMER.CREATE.{STREAM}.reader");
        ask(&client, create, consumer).await?;
        let echoes = Arc::new(Arrivals::default());
        let arrived = echoes.clone();
        let reader = tokio::spawn(async move {
            while let Some(message) = read.next().await {
                arrived.extend(delivered(&message));
            }
        });
        Ok(Self {
            client,
            echoes,
            reader: reader.abort_handle(),
        })
    }

    /// Returns when an append is acknowledged and read again.
    pub(crate) async fn append(&self) -> Result<()> {
        let acknowledged = self.client.request(SUBJECT, RECORD.into()).await?;
        let acknowledged: serde_json::Value = serde_json::from_slice(&acknowledged.payload)?;
        let sequence = acknowledged["seq"].as_u64().ok_or("no sequence")?;
        self.echoes.of(sequence).await
    }
}

/// The sequence that a consumer's message has in the stream:
/// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>…`.
fn delivered(message: &Message) -> Option<u64> {
    message.reply.as_ref()?.split('.').nth(5)?.parse().ok()
}

async fn ask(client: &Client, what: String, body: String) -> Result<()> {
    let answer = client
        .request(format!("$JS.API.{what}"), body.into())
        .await?;
    let text = String::from_utf8_lossy(&answer.payload);
    if text.contains("\"error\"") {
        return Err(format!("{what}: {text}").into());
    }
    Ok(())
}

/// Core NATS: one connection that publishes, and one that is delivered to.
pub(crate) struct Core {
    publisher: Client,
    delivered: Arc<Arrivals<u64>>,
    reader: AbortHandle,
}

impl Drop for Core {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Core {
    /// Makes both on the server at `port`.
    pub(crate) async fn open(port: u16) -> Result<Self> {
        let url = format!("nats://127.0.0.1:{port}");
        let retry = || async_nats::ConnectOptions::new().retry_on_initial_connect();
        let subscriber = retry().connect(&url).await?;
        let mut read = subscriber.subscribe("bench.core").await?;
        // Known to the server before anything is published.
        subscriber.flush().await?;
        let delivered = Arc::new(Arrivals::default());
        let arrived = delivered.clone();
        let reader = tokio::spawn(async move {
            while let Some(message) = read.next().await {
                arrived.extend(number(&message.payload));
            }
        });
        Ok(Self {
            publisher: retry().connect(&url).await?,
            delivered,
            reader: reader.abort_handle(),
        })
    }

    /// Returns when a message with this number, which no other has, is delivered.
    pub(crate) async fn deliver(&self, number: u64) -> Result<()> {
        let mut record = RECORD.to_vec();
        record[..8].copy_from_slice(&number.to_le_bytes());
        self.publisher.publish("bench.core", record.into()).await?;
        self.delivered.of(number).await
    }
}

fn number(payload: &Bytes) -> Option<u64> {
    Some(u64::from_le_bytes(payload.get(..8)?.try_into().ok()?))
}
