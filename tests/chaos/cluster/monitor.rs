//! What each server says by itself, over its monitor: the JetStream API answers
//! with whoever is first, and one that has not caught up may be.

use super::{Cluster, MONITOR, Node, STREAM};
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A server that runs answers sooner.
const ANSWER: Duration = Duration::from_millis(500);

impl Cluster {
    /// Where the log ends on the server that has least of it, if all of them
    /// name the same leaders, of the log and of the cluster.
    pub(crate) async fn agreed_end(&self) -> Result<u64, String> {
        let views = self.nodes.iter().map(Node::view);
        let views = futures::future::join_all(views).await;
        let views: Result<Vec<_>, _> = views.into_iter().collect();
        let views = views?;
        let one = views
            .windows(2)
            .all(|pair| pair[0].leaders == pair[1].leaders);
        let led = self.nodes.len() == 1 || views[0].leaders.iter().all(Value::is_string);
        let end = views.iter().map(|view| view.end).min();
        end.filter(|_| one && led)
            .ok_or_else(|| format!("the servers do not agree: {views:?}"))
    }
}

/// How a server sees the log.
#[derive(Debug)]
struct View {
    /// Of the cluster and of the log's stream; null without any.
    leaders: [Value; 2],
    /// Where the server's own copy ends.
    end: u64,
}

impl Node {
    /// What this path of the server's monitor answers, if it does in time.
    pub(super) async fn monitor(&self, path: &str) -> Option<Value> {
        tokio::time::timeout(ANSWER, self.asked(path)).await.ok()?
    }

    async fn asked(&self, path: &str) -> Option<Value> {
        let mut http = TcpStream::connect((self.host.address, MONITOR))
            .await
            .ok()?;
        let question = format!("GET {path} HTTP/1.0\r\n\r\n");
        http.write_all(question.as_bytes()).await.ok()?;
        let mut answer = String::new();
        http.read_to_string(&mut answer).await.ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok()
    }

    async fn view(&self) -> Result<View, String> {
        let jetstream = self.monitor("/jsz?streams=true").await;
        let jetstream = jetstream.ok_or_else(|| format!("{} is away", self.name))?;
        let accounts = jetstream["account_details"].as_array();
        let streams = accounts.into_iter().flatten();
        let mut streams = streams
            .filter_map(|a| a["stream_detail"].as_array())
            .flatten();
        let log = streams.find(|stream| stream["name"] == STREAM);
        let log = log.ok_or_else(|| format!("{} has no log", self.name))?;
        let end = log["state"]["last_seq"].as_u64();
        Ok(View {
            leaders: [&jetstream["meta_cluster"], &log["cluster"]].map(|of| of["leader"].clone()),
            end: end.ok_or_else(|| log.to_string())?,
        })
    }
}
