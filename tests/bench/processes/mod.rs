//! Starts the processes that are measured; dropping one kills it.

mod kinds;
mod usage;

pub(crate) use kinds::{counted, counted_echo, echo, nats, sidecar};
pub(crate) use usage::Usage;

use crate::{Error, Result, calls};
use rustix::process::{Pid, Signal};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tonic::transport::Channel;
use unstale_proto::v1::admin_service_client::AdminServiceClient;
use unstale_proto::v1::{PeersRequest, SessionState, StatusRequest};
use unstale_tests::free_port;

/// How long a process may take to become what is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(2);

/// A child process with a directory of its own.
pub(crate) struct Running {
    child: Child,
    dir: TempDir,
    /// Where it listens.
    pub(crate) port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(program: &str, arguments: impl FnOnce(&TempDir, u16) -> Vec<String>) -> Result<Self> {
        let dir = TempDir::with_prefix("unstale-bench-")?;
        let port = free_port();
        let log = File::create(dir.path().join("log"))?;
        let child = Command::new(program)
            .args(arguments(&dir, port))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|e| format!("{program}: {e}"))?;
        Ok(Self { child, dir, port })
    }

    /// The endpoint over TCP.
    pub(crate) fn tcp(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The endpoint over the Unix socket.
    pub(crate) fn uds(&self) -> String {
        format!("unix:{}", socket(&self.dir).display())
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        Ok(Usage::of(&[self.pid()])?.rss_kib)
    }

    /// Ends it; the instructions that callgrind counted in all.
    pub(crate) async fn instructions(mut self) -> Result<u64> {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, Signal::TERM)?;
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Err("valgrind does not end".into());
            }
            tokio::time::sleep(PAUSE).await;
        }
        let log = std::fs::read_to_string(self.dir.path().join("log"))?;
        let count = log.lines().find_map(|line| line.split_once("Collected : "));
        Ok(count.ok_or("callgrind said no count")?.1.trim().parse()?)
    }

    /// A channel as soon as it accepts.
    pub(crate) async fn connected(&self) -> Result<Channel> {
        self.accepting(&self.tcp()).await
    }

    /// The same over the Unix socket.
    pub(crate) async fn connected_uds(&self) -> Result<Channel> {
        self.accepting(&self.uds()).await
    }

    async fn accepting(&self, endpoint: &str) -> Result<Channel> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match calls::connect(endpoint).await {
                Ok(channel) => return Ok(channel),
                Err(error) if Instant::now() > deadline => return Err(self.why(&*error)),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// A channel as soon as its session is fresh and it knows `pods` sessions.
    pub(crate) async fn in_fleet_of(&self, pods: usize) -> Result<Channel> {
        let channel = self.connected().await?;
        let mut admin = AdminServiceClient::new(channel.clone());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = admin.status(StatusRequest {}).await?.into_inner();
            let peers = admin.peers(PeersRequest {}).await?.into_inner().peers.len();
            if status.session_state() == SessionState::Fresh && peers == pods {
                return Ok(channel);
            }
            if Instant::now() > deadline {
                let state = format!("{status:?}, {peers} peers");
                return Err(self.why(&*Error::from(state)));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The error together with what the process said.
    fn why(&self, error: &(dyn std::error::Error + Send + Sync)) -> Error {
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        format!("{error}; the process said:\n{log}").into()
    }
}

fn socket(dir: &TempDir) -> PathBuf {
    dir.path().join("grpc.sock")
}
