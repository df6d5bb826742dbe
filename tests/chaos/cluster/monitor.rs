//! What each server says by itself, over its monitor: the JetStream API answers
//! with whoever is first, and one that has not caught up may be.

use super::{Cluster, MONITOR, Node, STREAM};
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A server that runs answers sooner.
const ANSWER: Duration = Duration::from_secs(2);

/// How a server sees the cluster and the log.
#[derive(Debug)]
struct View {
    /// Who leads the cluster; null without anybody.
    leader: Value,
    /// None: it has no such stream.
    log: Option<Log>,
}

/// How it sees the log's stream.
#[derive(Debug)]
struct Log {
    leader: Value,
    /// When it was made: another of the same name has another time.
    made: Value,
    /// Where the server's own copy ends.
    end: u64,
}

impl Cluster {
    /// Where the log ends on the server that leads it, if all of them name that
    /// one, the same log and the same leader of the cluster. One that is down
    /// does not agree.
    pub(crate) async fn agreed_end(&self) -> Result<u64, String> {
        let views = self.views().await?;
        let logs: Option<Vec<_>> = views.iter().map(|view| view.log.as_ref()).collect();
        logs.and_then(|logs| self.end_of(&logs))
            .ok_or_else(|| format!("the servers do not agree: {views:?}"))
    }

    /// Whether the servers agree that there is no log: somebody has to make it.
    pub(crate) async fn lacks_log(&self) -> bool {
        let none = |views: Vec<View>| views.iter().all(|view| view.log.is_none());
        self.views().await.is_ok_and(none)
    }

    /// Of all servers, if they are up and name the same leader of the cluster.
    async fn views(&self) -> Result<Vec<View>, String> {
        let views = self.nodes.iter().map(Node::view);
        let views = futures::future::join_all(views).await;
        let views = views.into_iter().collect::<Result<Vec<_>, _>>()?;
        let leader = &views[0].leader;
        let one = views.iter().all(|view| view.leader == *leader);
        if one && (leader.is_string() || self.nodes.len() == 1) {
            return Ok(views);
        }
        Err(format!("the servers do not agree who leads: {views:?}"))
    }

    fn end_of(&self, logs: &[&Log]) -> Option<u64> {
        let first = logs[0];
        let same = |log: &&Log| (&log.leader, &log.made) == (&first.leader, &first.made);
        let all = logs.iter().all(same);
        let leads = |node: &Node| self.nodes.len() == 1 || first.leader == node.name.as_str();
        let leader = self.nodes.iter().position(leads).filter(|_| all)?;
        Some(logs[leader].end)
    }
}

impl Node {
    /// What this path of the server's monitor answers, if it does in time.
    pub(super) async fn monitor(&self, path: &str) -> Option<Value> {
        tokio::time::timeout(ANSWER, self.asked(path)).await.ok()?
    }

    async fn asked(&self, path: &str) -> Option<Value> {
        let at = (self.host.address, MONITOR);
        let mut http = TcpStream::connect(at).await.ok()?;
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
        let streams = |account: &Value| account["stream_detail"].as_array().cloned();
        let mut streams = accounts.into_iter().flatten().filter_map(streams).flatten();
        let log = streams.find(|stream| stream["name"] == STREAM);
        Ok(View {
            leader: jetstream["meta_cluster"]["leader"].clone(),
            log: log.as_ref().map(Log::of),
        })
    }
}

impl Log {
    fn of(stream: &Value) -> Self {
        Self {
            leader: stream["cluster"]["leader"].clone(),
            made: stream["created"].clone(),
            end: stream["state"]["last_seq"].as_u64().unwrap_or_default(),
        }
    }
}
