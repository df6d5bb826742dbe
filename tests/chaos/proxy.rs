//! A TCP proxy in this process, between one pod and every NATS server: it
//! delays, stalls, cuts, lets one direction of a connection die, and loses
//! deliveries as a client's channel that overflows would.
//!
//! Bytes that were swallowed never come again: a connection that lost some
//! stays half-open until its ends give it up, also after the fault.

mod frames;

use crate::cluster::{Cluster, PORT};
use crate::network::Network;
use frames::Frames;
use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
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

/// What went through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Where each consumer's numbers are.
    numbers: HashMap<String, u64>,
    /// The consumer that delivered last, and through which server.
    pub(crate) reading: Option<(String, usize)>,
    /// How often a consumer began to count anew under its old name.
    pub(crate) renumbered: u64,
    /// Deliveries that were lost on purpose.
    pub(crate) lost: u64,
    /// How many faults lose deliveries now.
    losing: u32,
}

/// The proxy; it ends with its runtime.
pub(crate) struct Proxy {
    address: Ipv4Addr,
    ports: Vec<u16>,
    wire: watch::Sender<Wire>,
    seen: Arc<Mutex<Seen>>,
}

impl Proxy {
    /// Listens on the wire, once per server.
    pub(crate) async fn start(network: &Network, cluster: &Cluster) -> Self {
        let (wire, _) = watch::channel(Wire::Whole);
        let (address, seen) = (network.own_address(), Arc::default());
        let mut ports = Vec::new();
        for (number, node) in cluster.nodes.iter().enumerate() {
            let listener = TcpListener::bind((address, 0)).await.expect("a port");
            ports.push(listener.local_addr().expect("an address").port());
            let route = Route {
                server: node.host.address,
                number,
                wire: wire.subscribe(),
                seen: Arc::clone(&seen),
            };
            tokio::spawn(listen(listener, route));
        }
        Self {
            address,
            ports,
            wire,
            seen,
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

    /// From now on some deliveries in a row are lost, some come, and so on,
    /// whatever else the wire does; until [`Proxy::lose_no_more`].
    pub(crate) fn lose(&self) {
        lock(&self.seen).losing += 1;
    }

    /// Ends one [`Proxy::lose`].
    pub(crate) fn lose_no_more(&self) {
        lock(&self.seen).losing -= 1;
    }

    /// What went through so far.
    pub(crate) fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }
}

/// Between the pod and one server.
#[derive(Clone)]
struct Route {
    server: Ipv4Addr,
    number: usize,
    wire: watch::Receiver<Wire>,
    seen: Arc<Mutex<Seen>>,
}

async fn listen(listener: TcpListener, route: Route) {
    while let Ok((client, _)) = listener.accept().await {
        if *route.wire.borrow() != Wire::Cut {
            tokio::spawn(connection(client, route.clone()));
        }
    }
}

async fn connection(client: TcpStream, route: Route) -> io::Result<()> {
    let server = TcpStream::connect((route.server, PORT)).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut cut = route.wire.clone();
    tokio::select! {
        end = questions(from_client, to_server, route.wire.clone()) => end,
        end = answers(from_server, to_client, route) => end,
        _ = cut.wait_for(|wire| *wire == Wire::Cut) => Ok(()),
    }
}

async fn questions(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut wire: watch::Receiver<Wire>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        hold(&mut wire).await?;
        to.write_all(&buffer[..count]).await?;
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut route: Route,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    let (mut frames, mut dead) = (Frames::default(), false);
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        let now = hold(&mut route.wire).await?;
        dead |= now == Wire::HalfOpen;
        frames.push(&buffer[..count]);
        while let Some(message) = frames.next() {
            let lost = dead || lock(&route.seen).loses(route.number, &message);
            if !lost {
                to.write_all(&message).await?;
            }
        }
    }
}

/// Waits for as long as the wire says; what it says.
async fn hold(wire: &mut watch::Receiver<Wire>) -> io::Result<Wire> {
    let now = *wire.borrow();
    match now {
        Wire::Delay(by) => tokio::time::sleep(by).await,
        Wire::Stall => {
            let moves = wire.wait_for(|wire| *wire != Wire::Stall).await;
            return moves.map(|wire| *wire).map_err(io::Error::other);
        }
        _ => {}
    }
    Ok(now)
}

impl Seen {
    /// Takes note of a server's message; whether it is lost.
    fn loses(&mut self, server: usize, message: &[u8]) -> bool {
        let Some(delivery) = frames::delivery(message) else {
            return false;
        };
        let (name, number) = (delivery.consumer.to_owned(), delivery.consumer_sequence);
        let before = self.numbers.insert(name.clone(), number);
        self.renumbered += u64::from(before.is_some_and(|before| number <= before));
        self.reading = Some((name, server));
        // Runs of eight: a part of a burst, and the whole of a small one.
        let lost = self.losing > 0 && number / 8 % 2 == 0;
        self.lost += u64::from(lost);
        lost
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().expect("no panic")
}
