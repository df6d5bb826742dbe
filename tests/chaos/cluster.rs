//! NATS: one server, or a cluster of three, each on a host of its own with a
//! store on a small file system of its own. The first one's wall clock can jump:
//! it is built from the same source with another clock (tests/tools/install).

mod connections;
mod monitor;
mod stream;

use crate::network::{Host, Network};
use crate::process::Process;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::sync::Mutex;
use unstale_tests::{eventually, nats_server, nats_server_with_clock};

/// The fleet's name.
pub(crate) const FLEET: &str = "chaos";
/// The stream of its log.
pub(crate) const STREAM: &str = "UNSTALE_chaos_LOG";
/// The server whose wall clock can jump.
pub(crate) const JUMPY: usize = 0;
/// Where clients connect.
pub(crate) const PORT: u16 = 4222;
/// Where a server tells about itself.
const MONITOR: u16 = 8222;
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
    /// How many seconds its wall clock is off, if it can be.
    clock: PathBuf,
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
        let jumps = number == JUMPY;
        let clock = dir.join(format!("{name}.clock"));
        let program = if jumps {
            nats_server_with_clock()
        } else {
            nats_server()
        };
        let mut command = host.command(&program);
        command.arg("-c").arg(config).env("NATS_WALL_CLOCK", &clock);
        let process = Process::new(command, dir.join(format!("{name}.log")));
        Self {
            host,
            name,
            store,
            process: Mutex::new(process),
            clock,
        }
    }

    /// From now on its wall clock is this many seconds off.
    pub(crate) fn show(&self, seconds: i64) {
        fs::write(&self.clock, seconds.to_string()).expect("written");
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
         http: 0.0.0.0:{MONITOR}\n\
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
