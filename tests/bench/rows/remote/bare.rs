//! The references for the remote tiers: what a client without a cache does. It
//! reads 1 KiB under a key, or under a hundred at once.

use crate::Result;
use crate::calls::{BATCH, VALUE_BYTES};
use futures::future::try_join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

/// A bare client with [`BATCH`] keys on its server.
pub(crate) enum Bare {
    /// The `redis` crate's multiplexed connection, as the sidecar uses it.
    Redis(MultiplexedConnection),
    /// The same of a cluster.
    Cluster(ClusterConnection),
    /// The meta protocol over one connection.
    Memcached(BufStream<TcpStream>),
    /// Direct gets of a stream's newest message on a subject.
    Nats(async_nats::Client),
}

fn key(at: usize) -> String {
    format!("bare.{}", at % BATCH)
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
        let connection = TcpStream::connect(("127.0.0.1", port)).await?;
        connection.set_nodelay(true)?;
        let mut connection = BufStream::new(connection);
        for at in 0..BATCH {
            let head = format!("ms {} {VALUE_BYTES}\r\n", key(at));
            connection.write_all(head.as_bytes()).await?;
            connection.write_all(&[7; VALUE_BYTES]).await?;
            connection.write_all(b"\r\n").await?;
            connection.flush().await?;
            let mut line = String::new();
            connection.read_line(&mut line).await?;
            if line != "HD\r\n" {
                return Err(format!("memcached answers {line:?}").into());
            }
        }
        Ok(Self::Memcached(connection))
    }

    pub(crate) async fn nats(port: u16) -> Result<Self> {
        let connect = async_nats::ConnectOptions::new().retry_on_initial_connect();
        let client = connect.connect(format!("nats://127.0.0.1:{port}")).await?;
        let stream = r#"{"name":"BARE","subjects":["bare.>"],"storage":"file","num_replicas":1,
            "max_msgs_per_subject":1,"allow_direct":true}"#;
        client
            .request("$JS.API.STREAM.CREATE.BARE", stream.into())
            .await?;
        for at in 0..BATCH {
            client.request(key(at), vec![7; VALUE_BYTES].into()).await?;
        }
        Ok(Self::Nats(client))
    }

    /// One key.
    pub(crate) async fn get(&mut self, at: usize) -> Result<()> {
        match self {
            Self::Redis(connection) => redis_get(connection, at).await,
            Self::Cluster(connection) => redis_get(connection, at).await,
            Self::Memcached(connection) => {
                let get = format!("mg {} v\r\n", key(at));
                connection.write_all(get.as_bytes()).await?;
                connection.flush().await?;
                value(connection).await
            }
            Self::Nats(client) => direct(client, at).await,
        }
    }

    /// All keys, with one request where the protocol has it.
    pub(crate) async fn many(&mut self) -> Result<()> {
        match self {
            Self::Redis(connection) => redis_get_all(connection).await,
            Self::Cluster(connection) => redis_get_all(connection).await,
            Self::Memcached(connection) => {
                for at in 0..BATCH {
                    let get = format!("mg {} v\r\n", key(at));
                    connection.write_all(get.as_bytes()).await?;
                }
                connection.flush().await?;
                for _ in 0..BATCH {
                    value(connection).await?;
                }
                Ok(())
            }
            Self::Nats(client) => {
                try_join_all((0..BATCH).map(|at| direct(client, at))).await?;
                Ok(())
            }
        }
    }

    /// What [`Bare::many`] is, for the table.
    pub(crate) fn many_is(&self) -> &'static str {
        match self {
            Self::Redis(_) => "one MGET of 100",
            Self::Cluster(_) => "an MGET of 100, split by the client",
            Self::Memcached(_) => "100 mg in one write",
            Self::Nats(_) => "100 direct gets at once",
        }
    }
}

async fn set(connection: &mut impl ConnectionLike) -> Result<()> {
    for at in 0..BATCH {
        let mut set = redis::cmd("SET");
        set.arg(key(at)).arg(&[7_u8; VALUE_BYTES][..]);
        set.exec_async(connection).await?;
    }
    Ok(())
}

async fn redis_get(connection: &mut impl ConnectionLike, at: usize) -> Result<()> {
    let mut get = redis::cmd("GET");
    let value: Vec<u8> = get.arg(key(at)).query_async(connection).await?;
    whole(value.len())
}

async fn redis_get_all(connection: &mut impl ConnectionLike) -> Result<()> {
    let mut get = redis::cmd("MGET");
    for at in 0..BATCH {
        get.arg(key(at));
    }
    let values: Vec<Vec<u8>> = get.query_async(connection).await?;
    whole(values.iter().map(Vec::len).sum::<usize>() / BATCH)
}

async fn direct(client: &async_nats::Client, at: usize) -> Result<()> {
    let subject = format!("$JS.API.DIRECT.GET.BARE.{}", key(at));
    whole(client.request(subject, "".into()).await?.payload.len())
}

async fn value(connection: &mut BufStream<TcpStream>) -> Result<()> {
    let mut line = String::new();
    connection.read_line(&mut line).await?;
    if line != format!("VA {VALUE_BYTES}\r\n") {
        return Err(format!("memcached answers {line:?}").into());
    }
    let mut value = [0; VALUE_BYTES + 2];
    connection.read_exact(&mut value).await?;
    Ok(())
}

fn whole(length: usize) -> Result<()> {
    match length {
        VALUE_BYTES => Ok(()),
        other => Err(format!("{other} bytes, not {VALUE_BYTES}").into()),
    }
}
