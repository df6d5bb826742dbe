//! Three real NATS servers that replicate between them.

use crate::place::{free_port, nats_server};
use crate::server::Server;

/// A cluster of three; killed when it is dropped.
pub struct NatsCluster(Vec<Server>);

impl NatsCluster {
    /// Starts them and waits until they listen; a leader may not be there yet.
    pub fn start() -> Self {
        let routes: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let urls = routes.iter().map(|port| format!("nats://127.0.0.1:{port}"));
        let urls: Vec<_> = urls.collect();
        let node = |(i, route): (usize, &u16)| {
            let mut server = Server::new(nats_server(), free_port());
            let (port, store) = (server.port().to_string(), server.dir().join("store"));
            server.arguments(["-a", "127.0.0.1", "-p", &port, "-js", "-sd"]);
            server.arguments([store]);
            let (name, cluster) = (format!("n{i}"), format!("nats://127.0.0.1:{route}"));
            server.arguments(["--server_name", &name, "--cluster_name", "unstale"]);
            server.arguments(["--cluster", &cluster, "--routes", &urls.join(",")]);
            server
        };
        let mut nodes: Vec<_> = routes.iter().enumerate().map(node).collect();
        nodes.iter_mut().for_each(Server::start);
        Self(nodes)
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        let url = |node: &Server| format!("nats://127.0.0.1:{}", node.port());
        self.0.iter().map(url).collect::<Vec<_>>().join(",")
    }

    /// Ends all of them at once, as a power cut would.
    pub fn stop(&mut self) {
        self.0.iter_mut().for_each(Server::stop);
    }

    /// Starts all of them (again), with their stores.
    pub fn restart(&mut self) {
        self.0.iter_mut().for_each(Server::start);
    }
}
