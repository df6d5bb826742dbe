//! Which connection of a pod is which, as the servers list them.

use super::{Cluster, MONITOR, Node};
use serde_json::Value;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A server that runs answers sooner.
const ANSWER: Duration = Duration::from_millis(500);

impl Cluster {
    /// The local port of the connection of this name from there, if any server
    /// lists one.
    pub(crate) async fn port_of(&self, from: Ipv4Addr, name: &str) -> Option<u16> {
        let lists = self.nodes.iter().map(|node| async {
            let list = tokio::time::timeout(ANSWER, node.connections()).await;
            list.ok().flatten().unwrap_or_default()
        });
        let lists = futures::future::join_all(lists).await;
        let from = from.to_string();
        let wanted = |c: &&Value| c["ip"] == from.as_str() && c["name"] == name;
        let found = lists.iter().flatten().find(wanted)?;
        u16::try_from(found["port"].as_u64()?).ok()
    }
}

impl Node {
    async fn connections(&self) -> Option<Vec<Value>> {
        let mut http = TcpStream::connect((self.host.address, MONITOR))
            .await
            .ok()?;
        let question = b"GET /connz?limit=1000 HTTP/1.0\r\n\r\n";
        http.write_all(question).await.ok()?;
        let mut answer = String::new();
        http.read_to_string(&mut answer).await.ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        let mut body: Value = serde_json::from_str(body).ok()?;
        Some(body["connections"].as_array_mut()?.split_off(0))
    }
}
