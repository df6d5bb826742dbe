//! A TCP proxy in this process, between one pod and every NATS server: it
//! delays, stalls, cuts, and lets one direction of a connection die.
//!
//! Bytes that were swallowed never come again: a connection that lost some
//! stays half-open until its ends give it up, also after the fault.

use crate::cluster::{Cluster, PORT};
use crate::network::Network;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the proxy does to bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wire {
    Whole,
    Delay(Duration),
    /// Nothing moves, nothing is lost.
    Stall,
    /// Connections are closed, new ones too.
    Cut,
    /// What the servers say is swallowed.
    HalfOpen,
}

/// The proxy; it ends with its runtime.
pub(crate) struct Proxy {
    address: Ipv4Addr,
    ports: Vec<u16>,
    wire: watch::Sender<Wire>,
}

impl Proxy {
    /// Listens on the wire, once per server.
    pub(crate) async fn start(network: &Network, cluster: &Cluster) -> Self {
        let (wire, _) = watch::channel(Wire::Whole);
        let address = network.own_address();
        let mut ports = Vec::new();
        for node in &cluster.nodes {
            let listener = TcpListener::bind((address, 0)).await.expect("a port");
            ports.push(listener.local_addr().expect("an address").port());
            tokio::spawn(listen(listener, node.host.address, wire.subscribe()));
        }
        Self {
            address,
            ports,
            wire,
        }
    }

    /// What the pod behind it is given.
    pub(crate) fn urls(&self) -> String {
        let url = |port| format!("nats://{}:{port}", self.address);
        self.ports.iter().map(url).collect::<Vec<_>>().join(",")
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Changes what happens to bytes from now on.
    pub(crate) fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

async fn listen(listener: TcpListener, server: Ipv4Addr, wire: watch::Receiver<Wire>) {
    while let Ok((client, _)) = listener.accept().await {
        if *wire.borrow() != Wire::Cut {
            tokio::spawn(connection(client, server, wire.clone()));
        }
    }
}

async fn connection(
    client: TcpStream,
    server: Ipv4Addr,
    wire: watch::Receiver<Wire>,
) -> io::Result<()> {
    let server = TcpStream::connect((server, PORT)).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut cut = wire.clone();
    tokio::select! {
        end = pump(from_client, to_server, wire.clone(), false) => end,
        end = pump(from_server, to_client, wire, true) => end,
        _ = cut.wait_for(|wire| *wire == Wire::Cut) => Ok(()),
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut wire: watch::Receiver<Wire>,
    answers: bool,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    let mut dead = false;
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        let now = *wire.borrow();
        match now {
            Wire::Delay(by) => tokio::time::sleep(by).await,
            Wire::Stall => {
                let moves = wire.wait_for(|wire| *wire != Wire::Stall).await;
                moves.map_err(io::Error::other)?;
            }
            Wire::HalfOpen => dead |= answers,
            Wire::Whole | Wire::Cut => {}
        }
        if !dead {
            to.write_all(&buffer[..count]).await?;
        }
    }
}
