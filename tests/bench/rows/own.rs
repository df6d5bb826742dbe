//! A sidecar that is measured, the ways to it, and the bare echo beside it.

use crate::processes::{self, Running};
use crate::stores::Store;
use crate::{Result, calls};
use tonic::transport::Channel;
use unstale::Cache;

/// A server of gRPC and a connection of each kind to it.
pub(crate) struct Own {
    pub(crate) process: Running,
    pub(crate) tcp: Channel,
    pub(crate) uds: Channel,
}

impl Own {
    /// A sidecar by itself, with these flags more.
    pub(crate) async fn alone(sidecar: &str, more: &[&str]) -> Result<Self> {
        let process = processes::sidecar(sidecar, more)?;
        process.in_fleet_of(1).await?;
        Self::of(process).await
    }

    /// The bare echo.
    pub(crate) async fn echo() -> Result<Self> {
        Self::of(processes::echo()?).await
    }

    async fn of(process: Running) -> Result<Self> {
        Ok(Self {
            tcp: process.connected().await?,
            uds: process.connected_uds().await?,
            process,
        })
    }

    /// The Rust client's stream, over the Unix socket.
    pub(crate) async fn stream(&self) -> Result<Cache> {
        let stream = Cache::builder().endpoint(self.process.uds()).strict();
        Ok(stream.connect().await?)
    }
}

/// A sidecar with its log in NATS and its values in Redis: three processes serve
/// its calls, and their processor time is added up.
pub(crate) struct Backed {
    pub(crate) own: Own,
    pub(crate) servers: Vec<u32>,
    _nats: Running,
    _redis: unstale_tests::Redis,
}

impl Backed {
    pub(crate) async fn start(sidecar: &str, nats: &str) -> Result<Self> {
        let (nats, redis) = (processes::nats(nats)?, unstale_tests::Redis::start());
        let (log, remote) = (format!("nats://127.0.0.1:{}", nats.port), redis.url());
        let flags = ["--nats", &log, "--fleet", "bench", "--remote", &remote];
        let own = Own::alone(sidecar, &flags).await?;
        Ok(Self {
            servers: vec![own.process.pid(), nats.pid(), redis.pid()],
            own,
            _nats: nats,
            _redis: redis,
        })
    }
}

/// Sets a key of this size everywhere.
pub(crate) async fn set_everywhere(own: &Own, stores: &[Store], bytes: usize) -> Result<()> {
    let (key, value) = (calls::key(bytes), calls::value(bytes));
    calls::set_of(&own.uds, key.clone(), value.clone()).await?;
    for store in stores {
        store.set(&key, value.clone()).await?;
    }
    Ok(())
}
