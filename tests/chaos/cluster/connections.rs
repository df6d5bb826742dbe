//! Which connection of a pod is which, as the servers list them.

use super::{Cluster, Node};
use serde_json::Value;
use std::net::Ipv4Addr;

impl Cluster {
    /// The local port of the connection of this name from there, if any server
    /// lists one.
    pub(crate) async fn port_of(&self, from: Ipv4Addr, name: &str) -> Option<u16> {
        let lists = self.nodes.iter().map(Node::connections);
        let lists = futures::future::join_all(lists).await;
        let from = from.to_string();
        let wanted = |c: &&Value| c["ip"] == from.as_str() && c["name"] == name;
        let found = lists.iter().flatten().flatten().find(wanted)?;
        u16::try_from(found["port"].as_u64()?).ok()
    }
}

impl Node {
    async fn connections(&self) -> Option<Vec<Value>> {
        let mut list = self.monitor("/connz?limit=1000").await?;
        Some(list["connections"].as_array_mut()?.split_off(0))
    }
}
