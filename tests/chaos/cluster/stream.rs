//! What the test itself asks and does of the log's stream.

use super::{Cluster, JUMPY, STREAM};
use serde_json::{Value, json};
use std::time::Duration;

/// Between two questions.
const REST: Duration = Duration::from_millis(50);

impl Cluster {
    /// One request to the JetStream API, over any server that can be reached.
    pub(crate) async fn api(&self, what: &str, body: &str) -> Result<Value, String> {
        let client = async_nats::ConnectOptions::new()
            .connection_timeout(Duration::from_secs(1))
            .request_timeout(Some(Duration::from_secs(2)))
            .connect(self.urls().split(',').collect::<Vec<_>>())
            .await
            .map_err(|e| e.to_string())?;
        let asked = client.request(format!("$JS.API.{what}"), body.to_owned().into());
        let answer = asked.await.map_err(|e| e.to_string())?;
        serde_json::from_slice(&answer.payload).map_err(|e| e.to_string())
    }

    /// Where the log's stream ends, if somebody leads it.
    pub(crate) async fn log_end(&self) -> Result<u64, String> {
        let info = self.api(&format!("STREAM.INFO.{STREAM}"), "").await?;
        let led = self.nodes.len() == 1 || info["cluster"]["leader"].is_string();
        let end = info["state"]["last_seq"].as_u64().filter(|_| led);
        end.ok_or_else(|| info.to_string())
    }

    /// Waits until the log has so many records more, and some.
    pub(crate) async fn grows(&self, by: u64) {
        let mut first = None;
        loop {
            if let Ok(end) = self.log_end().await
                && end > *first.get_or_insert(end) + by
            {
                return;
            }
            tokio::time::sleep(REST).await;
        }
    }

    /// Where the log's stream begins: everything before was discarded.
    pub(crate) async fn log_begins(&self) -> Result<u64, String> {
        let info = self.api(&format!("STREAM.INFO.{STREAM}"), "").await?;
        let first = info["state"]["first_seq"].as_u64();
        first.ok_or_else(|| info.to_string())
    }

    /// Whether the log can be read anew: that takes more than a leader of the
    /// stream, somebody has to place the reader's consumer. A server that sees
    /// other leaders may refuse in their place: all are up and see the same.
    pub(crate) async fn log_is_back(&self) -> Result<(), String> {
        self.agreed_end().await?;
        self.log_works().await
    }

    /// The same of a cluster of which not all servers need to be up.
    pub(crate) async fn log_works(&self) -> Result<(), String> {
        self.log_end().await?;
        let name = format!("probe-{}", fastrand::u64(..));
        let body = format!(
            "{{\"stream_name\":\"{STREAM}\",\"config\":{{\"name\":\"{name}\",\
             \"ack_policy\":\"none\",\"mem_storage\":true,\"num_replicas\":1,\
             \"inactive_threshold\":1000000000}}}}"
        );
        let what = format!("CONSUMER.CREATE.{STREAM}.{name}");
        let answer = self.api(&what, &body).await?;
        let refused = answer["error"].as_object();
        refused.map_or(Ok(()), |_| Err(answer.to_string()))
    }

    /// The record at this place in the log, as the server has it.
    pub(crate) async fn record(&self, sequence: u64) -> Result<Value, String> {
        let body = format!("{{\"seq\":{sequence}}}");
        let answer = self.api(&format!("STREAM.MSG.GET.{STREAM}"), &body).await?;
        Ok(answer["message"].clone())
    }

    /// The server that leads the log's stream, if any.
    pub(crate) async fn leader(&self) -> Option<usize> {
        let info = self.api(&format!("STREAM.INFO.{STREAM}"), "").await.ok()?;
        let leader = info["cluster"]["leader"].as_str()?;
        self.nodes.iter().position(|node| node.name == leader)
    }

    /// The server that holds this consumer, if any does.
    pub(crate) async fn home(&self, consumer: &str) -> Option<usize> {
        let what = format!("CONSUMER.INFO.{STREAM}.{consumer}");
        let info = self.api(&what, "").await.ok()?;
        let home = info["cluster"]["leader"].as_str()?;
        self.nodes.iter().position(|node| node.name == home)
    }

    /// Has the server lead the log's stream whose clock can jump, if it follows;
    /// best effort.
    pub(crate) async fn lead_by_jumpy(&self) {
        let body = json!({ "placement": { "preferred": self.nodes[JUMPY].name } });
        let what = format!("STREAM.LEADER.STEPDOWN.{STREAM}");
        let _ = self.api(&what, &body.to_string()).await;
    }

    /// How many records the log keeps, if somebody says.
    pub(crate) async fn limited(&self) -> Option<i64> {
        tokio::time::sleep(REST).await;
        let info = self.api(&format!("STREAM.INFO.{STREAM}"), "").await.ok()?;
        info["config"]["max_msgs"].as_i64()
    }

    /// Keeps only so many records of the log from now on; all with -1.
    pub(crate) async fn limit(&self, records: i64) -> Result<(), String> {
        let info = self.api(&format!("STREAM.INFO.{STREAM}"), "").await?;
        let mut config = info["config"].clone();
        config["max_msgs"] = json!(records);
        let what = format!("STREAM.UPDATE.{STREAM}");
        let answer = self.api(&what, &config.to_string()).await?;
        let done = answer["config"]["max_msgs"] == json!(records);
        done.then_some(()).ok_or_else(|| answer.to_string())
    }
}
