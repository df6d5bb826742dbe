//! A TCP proxy in this process that delays what a server says. Bytes keep
//! their order, and none is lost.

use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Most pieces under way; a full wire makes the server wait.
const PIECES: usize = 4096;

/// The proxy; it ends with its runtime.
pub struct Slow {
    port: u16,
}

impl Slow {
    /// Listens on a port of its own before the server on `to`.
    pub async fn start(to: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connection(client, to, delay));
            }
        });
        Self { port }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }
}

async fn connection(client: TcpStream, to: u16, delay: Duration) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (tell, mut told) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    let up = async move {
        // Either end's loss ends both directions.
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    };
    let hear = async move {
        let mut piece = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from_server.read(&mut piece).await {
            let due = Instant::now() + delay;
            if tell.send((due, piece[..n].to_vec())).await.is_err() {
                break;
            }
        }
    };
    let say = async move {
        while let Some((due, piece)) = told.recv().await {
            tokio::time::sleep_until(due).await;
            if to_client.write_all(&piece).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = up => {}
        ((), ()) = async { tokio::join!(hear, say) } => {}
    }
}
