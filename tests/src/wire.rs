//! A TCP proxy in this process, as a network that can be slow, stall, be cut
//! and lead elsewhere. Bytes of a connection keep their order, and none is lost
//! while it lasts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Most pieces under way; a full wire makes the sender wait.
const PIECES: usize = 4096;

/// How the wire is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// As if it were not there.
    Free,
    /// What the server says comes this much later.
    Slow(Duration),
    /// Nothing passes, and nobody is told: half open. What was sent meanwhile
    /// comes when it flows again.
    Stalled,
    /// Connections end, and new ones end at once.
    Cut,
}

#[derive(Clone, Copy)]
struct State {
    flow: Flow,
    to: u16,
}

/// The proxy; it ends with its runtime.
pub struct Wire {
    port: u16,
    state: Arc<watch::Sender<State>>,
    connections: Arc<AtomicU64>,
}

impl Wire {
    /// Listens on a port of its own before the server on `to`.
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let flow = Flow::Free;
        let state = Arc::new(watch::Sender::new(State { flow, to }));
        let connections = Arc::new(AtomicU64::new(0));
        let wire = Self {
            port,
            state: state.clone(),
            connections: connections.clone(),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                connections.fetch_add(1, Relaxed);
                tokio::spawn(connection(client, state.subscribe()));
            }
        });
        wire
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How it is from now on, for connections that are there, too.
    pub fn set(&self, flow: Flow) {
        self.state.send_modify(|state| state.flow = flow);
    }

    /// Ends all connections; new ones lead there.
    pub fn lead_to(&self, to: u16) {
        self.state.send_modify(|state| state.to = to);
    }

    /// Connections that clients made so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }
}

async fn connection(client: TcpStream, mut state: watch::Receiver<State>) {
    let State { flow, to } = *state.borrow_and_update();
    if flow == Flow::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let up = direction(from_client, to_server, state.clone(), |_| Duration::ZERO);
    let down = direction(from_server, to_client, state.clone(), |flow| match flow {
        Flow::Slow(delay) => delay,
        Flow::Free | Flow::Stalled | Flow::Cut => Duration::ZERO,
    });
    // Either end's loss ends both directions.
    tokio::select! {
        () = up => {}
        () = down => {}
        _ = state.wait_for(|state| state.flow == Flow::Cut || state.to != to) => {}
    }
}

/// Moves bytes one way until either end is lost.
async fn direction(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    state: watch::Receiver<State>,
    delay: impl Fn(Flow) -> Duration,
) {
    let (tell, mut told) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    let mut flows = state.clone();
    let hear = async move {
        let mut piece = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from.read(&mut piece).await {
            let due = Instant::now() + delay(state.borrow().flow);
            if tell.send((due, piece[..n].to_vec())).await.is_err() {
                break;
            }
        }
    };
    let say = async move {
        while let Some((due, piece)) = told.recv().await {
            tokio::time::sleep_until(due).await;
            let flows = flows.wait_for(|state| state.flow != Flow::Stalled);
            let flowing = flows.await.is_ok();
            if !flowing || to.write_all(&piece).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(hear, say);
}
