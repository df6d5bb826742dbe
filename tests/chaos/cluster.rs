//! NATS: one server, or a cluster of three, each on a host of its own with a
//! store on a small file system of its own. What the test itself does to the
//! stream of the log is here too.

use crate::network::{Host, Network};
use crate::process::Process;
use serde_json::Value;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::sync::Mutex;
use unstale_tests::{eventually, nats_server};

/// The fleet's name.
pub(crate) const FLEET: &str = "chaos";
/// The stream of its log.
pub(crate) const STREAM: &str = "UNSTALE_chaos_LOG";
/// Where clients connect.
pub(crate) const PORT: u16 = 4222;
/// Size of the file system under a store.
const STORE: &str = "size=96m";
/// How long a server may take to listen.
const START: Duration = Duration::from_secs(20);

/// A NATS server.
pub(crate) struct Node {
    pub(crate) host: Host,
    pub(crate) name: String,
    pub(crate) store: PathBuf,
    pub(crate) process: Mutex<Process>,
}

/// All servers of a fleet.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
}

impl Cluster {
    /// Starts `count` servers and waits until they listen.
    pub(crate) async fn start(network: &Network, count: usize) -> Self {
        let hosts: Vec<_> = (0..count)
            .map(|i| network.host(&format!("nats{i}"), 101 + i as u8))
            .collect();
        let routes: Vec<_> = hosts.iter().map(|host| host.address).collect();
        let node = |(i, host)| Node::new(network.dir(), i, host, &routes);
        let nodes: Vec<_> = hosts.into_iter().enumerate().map(node).collect();
        for node in &nodes {
            node.process.lock().await.start();
        }
        for node in &nodes {
            node.listens().await;
        }
        Self { nodes }
    }

    /// The addresses pods are given.
    pub(crate) fn urls(&self) -> String {
        let url = |node: &Node| format!("nats://{}:{PORT}", node.host.address);
        self.nodes.iter().map(url).collect::<Vec<_>>().join(",")
    }

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

    /// Whether the log can be read anew: that takes more than a leader of the
    /// stream, somebody has to place the reader's consumer.
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

    /// A server that holds a reader's consumer, if any does.
    pub(crate) async fn consumer_home(&self, which: usize) -> Option<usize> {
        let list = self
            .api(&format!("CONSUMER.LIST.{STREAM}"), "")
            .await
            .ok()?;
        let consumers = list["consumers"].as_array().filter(|c| !c.is_empty())?;
        let home = consumers[which % consumers.len()]["cluster"]["leader"].as_str()?;
        self.nodes.iter().position(|node| node.name == home)
    }
}

impl Node {
    fn new(dir: &Path, number: usize, host: Host, routes: &[Ipv4Addr]) -> Self {
        let name = format!("nats{number}");
        let store = dir.join(format!("{name}-store"));
        fs::create_dir(&store).expect("a directory");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", STORE, "tmpfs"])
            .arg(&store);
        assert!(mount.status().expect("mount starts").success());
        let config = dir.join(format!("{name}.conf"));
        fs::write(&config, settings(&name, &store, routes)).expect("written");
        let mut command = host.command(&nats_server());
        command.arg("-c").arg(config);
        let process = Process::new(command, dir.join(format!("{name}.log")));
        Self {
            host,
            name,
            store,
            process: Mutex::new(process),
        }
    }

    /// Waits until it takes connections.
    pub(crate) async fn listens(&self) {
        let at = (self.host.address, PORT);
        let ask = || async {
            let connected = tokio::net::TcpStream::connect(at).await;
            connected.map(drop).map_err(|e| e.to_string())
        };
        eventually("a NATS server that listens", START, ask).await;
    }

    /// Where its store's content is.
    pub(crate) fn jetstream(&self) -> PathBuf {
        self.store.join("jetstream")
    }
}

fn settings(name: &str, store: &Path, routes: &[Ipv4Addr]) -> String {
    let store = store.display();
    let own = format!(
        "server_name: {name}\nlisten: 0.0.0.0:{PORT}\n\
         jetstream {{ store_dir: \"{store}\", max_file_store: 1GB, max_memory_store: 64MB }}\n"
    );
    if routes.len() == 1 {
        return own;
    }
    let route = |address| format!("nats-route://{address}:6222");
    let routes: Vec<_> = routes.iter().map(route).collect();
    let routes = routes.join(", ");
    // Pods are told of no server they were not given: one goes over a proxy.
    format!(
        "{own}cluster {{ name: chaos, listen: 0.0.0.0:6222, no_advertise: true, routes: [{routes}] }}\n"
    )
}
