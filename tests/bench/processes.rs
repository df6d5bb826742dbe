//! Starts the processes that are measured; dropping one kills it.

use crate::{Result, calls};
use rustix::process::{Pid, Signal};
use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tonic::transport::Channel;
use unstale_proto::v1::admin_service_client::AdminServiceClient;
use unstale_proto::v1::{PeersRequest, SessionState, StatusRequest};

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
        let port = free_port()?;
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

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.ok_or("no VmRSS")?.parse()?)
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
                return Err(self.why(&*Box::<dyn std::error::Error>::from(state)));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The error together with what the process said.
    fn why(&self, error: &dyn std::error::Error) -> Box<dyn std::error::Error> {
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        format!("{error}; the process said:\n{log}").into()
    }
}

/// The bare echo.
pub(crate) fn echo() -> Result<Running> {
    let own = std::env::current_exe()?;
    Running::start(&own.to_string_lossy(), |dir, port| {
        let uds = socket(dir).display().to_string();
        vec!["echo".into(), format!("127.0.0.1:{port}"), uds]
    })
}

/// A sidecar, with `more` flags.
pub(crate) fn sidecar(program: &str, more: &[&str]) -> Result<Running> {
    let admin = free_port()?;
    Running::start(program, |dir, port| {
        let uds = socket(dir).display().to_string();
        let (listen, admin) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{admin}"));
        let flags = [
            "serve", "--listen", &listen, "--admin", &admin, "--uds", &uds,
        ];
        let all = flags.iter().chain(more);
        all.map(|&word| word.to_owned()).collect()
    })
}

/// A sidecar whose instructions are counted.
pub(crate) fn counted(program: &str) -> Result<Running> {
    let admin = format!("127.0.0.1:{}", free_port()?);
    callgrind(program, |listen, uds| {
        let words = ["serve", "--listen", listen, "--admin", &admin, "--uds", uds];
        words.map(str::to_owned).to_vec()
    })
}

/// The bare echo, likewise.
pub(crate) fn counted_echo() -> Result<Running> {
    let own = std::env::current_exe()?;
    callgrind(&own.to_string_lossy(), |listen, uds| {
        vec!["echo".into(), listen.into(), uds.into()]
    })
}

fn callgrind(program: &str, arguments: impl FnOnce(&str, &str) -> Vec<String>) -> Result<Running> {
    Running::start("valgrind", |dir, port| {
        let uds = socket(dir).display().to_string();
        let more = arguments(&format!("127.0.0.1:{port}"), &uds);
        let out = dir.path().join("callgrind.out");
        let out = format!("--callgrind-out-file={}", out.display());
        let mut words = vec!["--tool=callgrind".into(), out, program.into()];
        words.extend(more);
        words
    })
}

/// A NATS server with JetStream.
pub(crate) fn nats(program: &str) -> Result<Running> {
    Running::start(program, |dir, port| {
        let store = dir.path().join("store").display().to_string();
        let port = port.to_string();
        let flags = ["-a", "127.0.0.1", "-p", &port, "-js", "-sd", &store];
        flags.iter().map(|&word| word.to_owned()).collect()
    })
}

fn socket(dir: &TempDir) -> PathBuf {
    dir.path().join("grpc.sock")
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
