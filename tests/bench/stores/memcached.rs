//! memcached's meta protocol: a connection for each call that is under way, as
//! most clients have it.

use super::Swapped;
use crate::Result;
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

type Connection = BufStream<TcpStream>;

/// Connections that are not in use.
#[derive(Clone)]
pub(super) struct Memcached {
    port: u16,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Memcached {
    pub(super) fn of(port: u16) -> Self {
        let idle = Arc::default();
        Self { port, idle }
    }

    async fn take(&self) -> Result<Connection> {
        let idle = self.idle.lock().expect("no panic").pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        let connection = TcpStream::connect(("127.0.0.1", self.port)).await?;
        connection.set_nodelay(true)?;
        Ok(BufStream::new(connection))
    }

    /// One that failed is not given back.
    fn give(&self, connection: Connection) {
        self.idle.lock().expect("no panic").push(connection);
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let mut connection = self.take().await?;
        let get = format!("mg {key} v\r\n");
        connection.write_all(get.as_bytes()).await?;
        connection.flush().await?;
        let value = value(&mut connection).await?;
        self.give(connection);
        Ok(value)
    }

    pub(super) async fn many(&self, keys: &[String], bytes: usize) -> Result<()> {
        let mut connection = self.take().await?;
        let all: String = keys.iter().map(|key| format!("mg {key} v\r\n")).collect();
        connection.write_all(all.as_bytes()).await?;
        connection.flush().await?;
        for key in keys {
            match value(&mut connection).await? {
                Some(value) if value.len() == bytes => {}
                _ => return Err(format!("no value of {key}").into()),
            }
        }
        self.give(connection);
        Ok(())
    }

    pub(super) async fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        match self.store(key, value, "T300").await?.as_str() {
            "HD" => Ok(()),
            other => Err(format!("memcached answers {other:?}").into()),
        }
    }

    pub(super) async fn swap(&self, key: &str, last: Swapped, value: Bytes) -> Result<Swapped> {
        let flags = match last.version {
            0 => "c T300".to_owned(),
            version => format!("c T300 C{version}"),
        };
        let answer = self.store(key, &value, &flags).await?;
        match answer.strip_prefix("HD c").map(str::parse) {
            Some(version) => Ok(Swapped {
                value,
                version: version?,
            }),
            None => Err(format!("memcached answers {answer:?}").into()),
        }
    }

    pub(super) async fn lock(&self, key: &str) -> Result<bool> {
        // E: only if there is none.
        let answer = self.store(&lock_of(key), b"1", "ME T10").await?;
        Ok(answer == "HD")
    }

    pub(super) async fn load(&self, key: &str, value: &[u8]) -> Result<()> {
        if self.get(key).await?.is_some() || !self.lock(key).await? {
            return Err(format!("{key} is there already").into());
        }
        self.set(key, value).await?;
        let mut connection = self.take().await?;
        let delete = format!("md {}\r\n", lock_of(key));
        connection.write_all(delete.as_bytes()).await?;
        connection.flush().await?;
        line(&mut connection).await?;
        self.give(connection);
        Ok(())
    }

    async fn store(&self, key: &str, value: &[u8], flags: &str) -> Result<String> {
        let mut connection = self.take().await?;
        let head = format!("ms {key} {} {flags}\r\n", value.len());
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(value).await?;
        connection.write_all(b"\r\n").await?;
        connection.flush().await?;
        let line = line(&mut connection).await?;
        self.give(connection);
        Ok(line)
    }
}

async fn line(connection: &mut Connection) -> Result<String> {
    let mut line = String::new();
    connection.read_line(&mut line).await?;
    Ok(line.trim_end().to_owned())
}

async fn value(connection: &mut Connection) -> Result<Option<Vec<u8>>> {
    let head = line(connection).await?;
    if head == "EN" {
        return Ok(None);
    }
    let size = head.strip_prefix("VA ").map(str::parse::<usize>);
    let size = size.ok_or_else(|| format!("memcached answers {head:?}"))??;
    let mut value = vec![0; size + 2];
    connection.read_exact(&mut value).await?;
    value.truncate(size);
    Ok(Some(value))
}

fn lock_of(key: &str) -> String {
    format!("lock:{key}")
}
