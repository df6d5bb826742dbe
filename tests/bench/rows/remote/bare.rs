//! The references for the remote tiers: what a client without a cache does. It
//! reads a value of some size under a key, or 1 KiB under each of a hundred at once.

use crate::calls::{BATCH, VALUE_BYTES};
use crate::rows::reads::SIZES;
use crate::{Result, calls};
use futures::future::try_join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

/// Keys of a server: [`BATCH`].
const KEYS: u64 = BATCH as u64;

/// A bare client; its server has [`BATCH`] keys of each size.
pub(crate) enum Bare {
    /// The `redis` crate's multiplexed connection, as the sidecar uses it.
    Redis(MultiplexedConnection),
    /// The same of a cluster.
    Cluster(ClusterConnection),
    /// The meta protocol over one connection.
    Memcached(BufStream<TcpStream>, u16),
    /// Direct gets of a stream's newest message on a subject.
    Nats(async_nats::Client),
}

/// So many bare clients, each of which makes a call at a time.
pub(crate) struct Clients(Mutex<Vec<Bare>>);

impl Clients {
    /// One that makes no call.
    pub(crate) fn take(&self) -> Result<Bare> {
        let free = self.0.lock().expect("nobody panics with it").pop();
        Ok(free.ok_or("fewer clients than calls")?)
    }

    /// Its call has ended.
    pub(crate) fn give(&self, client: Bare) {
        self.0.lock().expect("nobody panics with it").push(client);
    }
}

fn key(at: u64, bytes: usize) -> String {
    format!("bare.{bytes}.{}", at % KEYS)
}

/// All keys that a server has, with the size of their values.
fn keys() -> impl Iterator<Item = (String, usize)> {
    let of = |bytes| (0..KEYS).map(move |at| (key(at, bytes), bytes));
    SIZES.into_iter().flat_map(of)
}

impl Bare {
    pub(crate) async fn redis(port: u16) -> Result<Self> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        set(&mut connection).await?;
        Ok(Self::Redis(connection))
    }

    pub(crate) async fn cluster(port: u16) -> Result<Self> {
        let client = ClusterClient::new([format!("redis://127.0.0.1:{port}")])?;
        let mut connection = client.get_async_connection().await?;
        set(&mut connection).await?;
        Ok(Self::Cluster(connection))
    }

    pub(crate) async fn memcached(port: u16) -> Result<Self> {
        let mut connection = connected(port).await?;
        for (key, bytes) in keys() {
            let head = format!("ms {key} {bytes}\r\n");
            connection.write_all(head.as_bytes()).await?;
            connection.write_all(&calls::value(bytes)).await?;
            connection.write_all(b"\r\n").await?;
            connection.flush().await?;
            let mut line = String::new();
            connection.read_line(&mut line).await?;
            if line != "HD\r\n" {
                return Err(format!("memcached answers {line:?}").into());
            }
        }
        Ok(Self::Memcached(connection, port))
    }

    pub(crate) async fn nats(port: u16) -> Result<Self> {
        let connect = async_nats::ConnectOptions::new().retry_on_initial_connect();
        let client = connect.connect(format!("nats://127.0.0.1:{port}")).await?;
        let stream = r#"{"name":"BARE","subjects":["bare.>"],"storage":"file","num_replicas":1,
            "max_msgs_per_subject":1,"allow_direct":true}"#;
        client
            .request("$JS.API.STREAM.CREATE.BARE", stream.into())
            .await?;
        for (key, bytes) in keys() {
            client.request(key, calls::value(bytes)).await?;
        }
        Ok(Self::Nats(client))
    }

    /// So many clients.
    pub(crate) async fn clients(&self, count: usize) -> Result<Arc<Clients>> {
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(self.another().await?);
        }
        Ok(Arc::new(Clients(Mutex::new(clients))))
    }

    /// For one more call at the same time: over the same connection where the
    /// protocol has that.
    async fn another(&self) -> Result<Self> {
        Ok(match self {
            Self::Redis(connection) => Self::Redis(connection.clone()),
            Self::Cluster(connection) => Self::Cluster(connection.clone()),
            Self::Memcached(_, port) => Self::Memcached(connected(*port).await?, *port),
            Self::Nats(client) => Self::Nats(client.clone()),
        })
    }

    /// One key with a value of this size.
    pub(crate) async fn get(&mut self, at: u64, bytes: usize) -> Result<()> {
        match self {
            Self::Redis(connection) => redis_get(connection, at, bytes).await,
            Self::Cluster(connection) => redis_get(connection, at, bytes).await,
            Self::Memcached(connection, _) => {
                let get = format!("mg {} v\r\n", key(at, bytes));
                connection.write_all(get.as_bytes()).await?;
                connection.flush().await?;
                value(connection, bytes).await
            }
            Self::Nats(client) => direct(client, at, bytes).await,
        }
    }

    /// All keys, with one request where the protocol has it.
    pub(crate) async fn many(&mut self) -> Result<()> {
        match self {
            Self::Redis(connection) => redis_get_all(connection).await,
            Self::Cluster(connection) => redis_get_all(connection).await,
            Self::Memcached(connection, _) => {
                for at in 0..KEYS {
                    let get = format!("mg {} v\r\n", key(at, VALUE_BYTES));
                    connection.write_all(get.as_bytes()).await?;
                }
                connection.flush().await?;
                for _ in 0..KEYS {
                    value(connection, VALUE_BYTES).await?;
                }
                Ok(())
            }
            Self::Nats(client) => {
                try_join_all((0..KEYS).map(|at| direct(client, at, VALUE_BYTES))).await?;
                Ok(())
            }
        }
    }

    /// What [`Bare::many`] is, for the table.
    pub(crate) fn many_is(&self) -> &'static str {
        match self {
            Self::Redis(_) => "one MGET of 100",
            Self::Cluster(_) => "an MGET of 100, split by the client",
            Self::Memcached(..) => "100 mg in one write",
            Self::Nats(_) => "100 direct gets at once",
        }
    }
}

async fn connected(port: u16) -> Result<BufStream<TcpStream>> {
    let connection = TcpStream::connect(("127.0.0.1", port)).await?;
    connection.set_nodelay(true)?;
    Ok(BufStream::new(connection))
}

async fn set(connection: &mut impl ConnectionLike) -> Result<()> {
    for (key, bytes) in keys() {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(&calls::value(bytes)[..]);
        set.exec_async(connection).await?;
    }
    Ok(())
}

async fn redis_get(connection: &mut impl ConnectionLike, at: u64, bytes: usize) -> Result<()> {
    let mut get = redis::cmd("GET");
    let value: Vec<u8> = get.arg(key(at, bytes)).query_async(connection).await?;
    whole(value.len(), bytes)
}

async fn redis_get_all(connection: &mut impl ConnectionLike) -> Result<()> {
    let mut get = redis::cmd("MGET");
    for at in 0..KEYS {
        get.arg(key(at, VALUE_BYTES));
    }
    let values: Vec<Vec<u8>> = get.query_async(connection).await?;
    let read = values.iter().map(Vec::len).sum::<usize>();
    whole(read / BATCH, VALUE_BYTES)
}

async fn direct(client: &async_nats::Client, at: u64, bytes: usize) -> Result<()> {
    let subject = format!("$JS.API.DIRECT.GET.BARE.{}", key(at, bytes));
    let answer = client.request(subject, "".into()).await?;
    whole(answer.payload.len(), bytes)
}

async fn value(connection: &mut BufStream<TcpStream>, bytes: usize) -> Result<()> {
    let mut line = String::new();
    connection.read_line(&mut line).await?;
    if line != format!("VA {bytes}\r\n") {
        return Err(format!("memcached answers {line:?}").into());
    }
    let mut value = vec![0; bytes + 2];
    connection.read_exact(&mut value).await?;
    Ok(())
}

fn whole(length: usize, bytes: usize) -> Result<()> {
    match length {
        whole if whole == bytes => Ok(()),
        other => Err(format!("{other} bytes, not {bytes}").into()),
    }
}
