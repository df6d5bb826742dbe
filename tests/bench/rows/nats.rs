//! The references for the log: one bare append to a JetStream stream like the
//! sidecar's and its echo through a plain push consumer; and plain delivery.

use crate::Result;
use async_nats::{Client, Subscriber};
use futures::StreamExt as _;
use std::time::{Duration, Instant};

const STREAM: &str = "BENCH";
const SUBJECT: &str = "bench.log";
/// About as long as the record of an invalidation of one key.
const RECORD: &[u8] = &[7; 96];

/// A stream and a reader of it.
pub(crate) struct BareLog {
    client: Client,
    echoes: Subscriber,
}

impl BareLog {
    /// Makes both on the server at `port`.
    pub(crate) async fn open(port: u16) -> Result<Self> {
        let client = async_nats::ConnectOptions::new()
            .retry_on_initial_connect()
            .connect(format!("nats://127.0.0.1:{port}"))
            .await?;
        let inbox = client.new_inbox();
        let echoes = client.subscribe(inbox.clone()).await?;
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
        Ok(Self { client, echoes })
    }

    /// Returns when an append is acknowledged and read again.
    pub(crate) async fn append(&mut self) -> Result<()> {
        let acknowledged = self.client.request(SUBJECT, RECORD.into());
        let (acknowledged, echo) = tokio::join!(acknowledged, self.echoes.next());
        acknowledged?;
        echo.ok_or("the reader ended")?;
        Ok(())
    }
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
    delivered: Subscriber,
}

impl Core {
    /// Makes both on the server at `port`.
    pub(crate) async fn open(port: u16) -> Result<Self> {
        let url = format!("nats://127.0.0.1:{port}");
        let retry = || async_nats::ConnectOptions::new().retry_on_initial_connect();
        let subscriber = retry().connect(&url).await?;
        let delivered = subscriber.subscribe("bench.core").await?;
        // Known to the server before anything is published.
        subscriber.flush().await?;
        Ok(Self {
            publisher: retry().connect(&url).await?,
            delivered,
        })
    }

    /// How long one message takes.
    pub(crate) async fn deliver(&mut self) -> Result<Duration> {
        let begin = Instant::now();
        self.publisher.publish("bench.core", RECORD.into()).await?;
        let delivered = self.delivered.next().await;
        delivered.ok_or("the subscription ended")?;
        Ok(begin.elapsed())
    }
}
