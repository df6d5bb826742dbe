//! A TCP proxy in this process, between one pod and every NATS server: it
//! delays, stalls, cuts, lets one direction of a connection die, and loses
//! deliveries as a client's channel that overflows would.
//!
//! Bytes that were swallowed never come again: a connection that lost some
//! stays half-open until its ends give it up, also after the fault.
//!
//! Faults of the wire overlap, also two of a kind: each is in force until the
//! last one of its kind has ended. What they did is counted, not assumed.

mod frames;
mod wire;

pub(crate) use wire::Wire;

use crate::cluster::{Cluster, PORT};
use crate::network::Network;
use frames::Frames;
use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use wire::Wires;

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
    /// How often each fault of the wire met bytes or a connection.
    met: [u64; Wire::COUNT],
    /// How many faults lose deliveries now.
    losing: u32,
}

/// The proxy; it ends with its runtime.
pub(crate) struct Proxy {
    address: Ipv4Addr,
    ports: Vec<u16>,
    wire: watch::Sender<Wires>,
    seen: Arc<Mutex<Seen>>,
}

impl Proxy {
    /// Listens on the wire, once per server.
    pub(crate) async fn start(network: &Network, cluster: &Cluster) -> Self {
        let (wire, _) = watch::channel(Wires::default());
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

    /// From now on this happens to bytes, whatever else does; until
    /// [`Proxy::end`].
    pub(crate) fn begin(&self, wire: Wire) {
        self.wire.send_modify(|wires| wires.begin(wire));
    }

    /// Ends one [`Proxy::begin`].
    pub(crate) fn end(&self, wire: Wire) {
        self.wire.send_modify(|wires| wires.end(wire));
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
    wire: watch::Receiver<Wires>,
    seen: Arc<Mutex<Seen>>,
}

async fn listen(listener: TcpListener, route: Route) {
    while let Ok((client, _)) = listener.accept().await {
        if route.wire.borrow().has(Wire::Cut) {
            lock(&route.seen).meets(Wire::Cut);
        } else {
            tokio::spawn(connection(client, route.clone()));
        }
    }
}

async fn connection(client: TcpStream, route: Route) -> io::Result<()> {
    let server = TcpStream::connect((route.server, PORT)).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (mut cut, seen) = (route.wire.clone(), Arc::clone(&route.seen));
    tokio::select! {
        end = questions(from_client, to_server, route.clone()) => end,
        end = answers(from_server, to_client, route) => end,
        _ = cut.wait_for(|wires| wires.has(Wire::Cut)) => {
            lock(&seen).meets(Wire::Cut);
            Ok(())
        }
    }
}

async fn questions(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut route: Route,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        hold(&mut route).await?;
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
        if hold(&mut route).await?.has(Wire::HalfOpen) && !dead {
            dead = true;
            lock(&route.seen).meets(Wire::HalfOpen);
        }
        frames.push(&buffer[..count]);
        while let Some(message) = frames.next() {
            let lost = dead || lock(&route.seen).loses(route.number, &message);
            if !lost {
                to.write_all(&message).await?;
            }
        }
    }
}

/// Holds bytes for as long as the wire says; what it says then.
async fn hold(route: &mut Route) -> io::Result<Wires> {
    if route.wire.borrow().has(Wire::Stall) {
        lock(&route.seen).meets(Wire::Stall);
        let moves = route.wire.wait_for(|wires| !wires.has(Wire::Stall)).await;
        moves.map_err(io::Error::other)?;
    }
    if route.wire.borrow().has(Wire::Delay) {
        tokio::time::sleep(wire::LATER).await;
        // A connection that is closed meanwhile delayed nothing.
        lock(&route.seen).meets(Wire::Delay);
    }
    Ok(*route.wire.borrow())
}

impl Seen {
    /// How often this fault of the wire met bytes or a connection.
    pub(crate) fn met(&self, wire: Wire) -> u64 {
        self.met[wire as usize]
    }

    fn meets(&mut self, wire: Wire) {
        self.met[wire as usize] += 1;
    }

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
