//! A real sidecar process, on free ports, with a directory of its own.

use crate::place::{free_port, program};
use crate::wait::{PATIENCE, eventually};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use unstale_proto::v1::admin_service_client::AdminServiceClient;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::session_service_client::SessionServiceClient;
use unstale_proto::v1::{PeersRequest, SessionState, StatusRequest, StatusResponse};

/// The session ttl of sidecars in tests: short, so that what has to wait for
/// it does not wait long.
pub const SESSION_TTL: Duration = Duration::from_secs(2);

/// The program `unstale`: UNSTALE_BIN, else what `cargo build` made.
pub fn unstale() -> PathBuf {
    match std::env::var_os("UNSTALE_BIN") {
        Some(path) => path.into(),
        None => program("debug/unstale", "run cargo build --workspace --bins"),
    }
}

/// How a sidecar is started.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    flags: Vec<String>,
    uds: Option<PathBuf>,
    env: Vec<(String, String)>,
    files: Option<u32>,
    session_ttl: Option<Duration>,
    config: Option<String>,
}

impl Builder {
    /// One flag and its value.
    pub fn flag(mut self, name: &str, value: impl Into<String>) -> Self {
        self.flags.extend([name.to_owned(), value.into()]);
        self
    }

    /// One environment variable.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Its setting, instead of [`SESSION_TTL`].
    pub fn session_ttl(mut self, ttl: Duration) -> Self {
        self.session_ttl = Some(ttl);
        self
    }

    /// How many file descriptors it may have.
    pub fn files(mut self, count: u32) -> Self {
        self.files = Some(count);
        self
    }

    /// The path of its Unix socket; else one in its own directory.
    pub fn uds(mut self, path: &Path) -> Self {
        self.uds = Some(path.to_path_buf());
        self
    }

    /// A configuration file with this text, in its own directory.
    pub fn config(mut self, text: &str) -> Self {
        self.config = Some(text.to_owned());
        self
    }

    /// In the fleet `test` on this NATS server.
    pub fn nats(self, url: &str) -> Self {
        self.flag("--nats", url).flag("--fleet", "test")
    }

    /// The pod's name.
    pub fn pod(self, name: &str) -> Self {
        self.flag("--pod", name)
    }

    /// Starts the process; it may not serve yet.
    pub fn spawn(self) -> Sidecar {
        let dir = TempDir::with_prefix("unstale-e2e-").expect("a directory");
        let (port, admin) = (free_port(), free_port());
        let own = || dir.path().join("grpc.sock");
        let uds = self.uds.clone().unwrap_or_else(own);
        let log = File::create(dir.path().join("log")).expect("a log file");
        let mut flags = self.flags.clone();
        if let Some(text) = &self.config {
            let file = dir.path().join("unstale.toml");
            std::fs::write(&file, text).expect("a configuration file");
            flags.extend(["--config".to_owned(), file.display().to_string()]);
        }
        let ttl = self.session_ttl.unwrap_or(SESSION_TTL);
        let child = self
            .program()
            .arg("serve")
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(["--admin", &format!("127.0.0.1:{admin}")])
            .args(["--session-ttl", &format!("{}ms", ttl.as_millis())])
            .arg("--uds")
            .arg(&uds)
            .args(&flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the sidecar starts");
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"));
        let channel = endpoint.expect("an endpoint").connect_lazy();
        Sidecar {
            child,
            dir,
            port,
            admin,
            uds,
            channel,
        }
    }

    /// The program, without the settings of whoever runs the tests.
    fn program(&self) -> Command {
        let mut program = match self.files {
            None => Command::new(unstale()),
            Some(count) => {
                let mut shell = Command::new("sh");
                let script = format!("ulimit -n {count} && exec \"$0\" \"$@\"");
                shell.args(["-c", &script]).arg(unstale());
                shell
            }
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("UNSTALE_") {
                program.env_remove(name);
            }
        }
        program.envs(self.env.iter().cloned());
        program
    }

    /// Starts the process and waits until it serves.
    pub async fn serving(self) -> Sidecar {
        let sidecar = self.spawn();
        sidecar.serves().await;
        sidecar
    }

    /// Starts the process and waits until its session is fresh.
    pub async fn fresh(self) -> Sidecar {
        let sidecar = self.serving().await;
        sidecar.is_fresh().await;
        sidecar
    }
}

/// A sidecar process; killed when it is dropped.
pub struct Sidecar {
    child: Child,
    dir: TempDir,
    port: u16,
    admin: u16,
    uds: PathBuf,
    channel: Channel,
}

impl Sidecar {
    /// How to start one.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The port of gRPC over TCP.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of the HTTP pages.
    pub fn admin_port(&self) -> u16 {
        self.admin
    }

    /// One of its HTTP pages: the status code and the body.
    pub async fn page(&self, path: &str) -> (u16, String) {
        let socket = TcpStream::connect(("127.0.0.1", self.admin)).await;
        let mut socket = socket.expect("it listens");
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        let asked = socket.write_all(request.as_bytes()).await;
        asked.expect("it takes the request");
        let mut answer = String::new();
        let read = socket.read_to_string(&mut answer).await;
        read.expect("it answers in UTF-8");
        let (head, body) = answer.split_once("\r\n\r\n").expect("HTTP");
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (code.expect("a status code"), body.to_owned())
    }

    /// One of its counters or gauges.
    pub async fn metric(&self, name: &str) -> u64 {
        let (_, body) = self.page("/metrics").await;
        let mut lines = body.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(metric, _)| *metric == name);
        let (_, value) = found.unwrap_or_else(|| panic!("no {name} in:\n{body}"));
        value.parse().expect("a whole number")
    }

    /// The path of its Unix socket.
    pub fn uds(&self) -> &Path {
        &self.uds
    }

    /// A client of the cache.
    pub fn cache(&self) -> CacheServiceClient<Channel> {
        CacheServiceClient::new(self.channel.clone())
    }

    /// A client of the fast lane.
    pub fn sessions(&self) -> SessionServiceClient<Channel> {
        SessionServiceClient::new(self.channel.clone())
    }

    /// The most memory that it ever had, in bytes.
    pub fn memory_peak(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|rest| rest.trim().strip_suffix(" kB"));
        let kibibytes: Option<u64> = peak.and_then(|number| number.trim().parse().ok());
        kibibytes.expect("VmHWM in kB") * 1024
    }

    /// A client for operators' questions.
    pub fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone())
    }

    /// What it says about itself.
    pub async fn status(&self) -> StatusResponse {
        let status = self.admin().status(StatusRequest {}).await;
        status.expect("Status answers").into_inner()
    }

    /// How long an invalidation binds a silent pod: D.
    pub async fn bound(&self) -> Duration {
        let bound = self.status().await.staleness_bound;
        let bound = bound.expect("a staleness bound");
        Duration::try_from(bound).expect("a positive one")
    }

    /// Waits until it answers.
    pub async fn serves(&self) {
        let ask = || async {
            let answer = self.admin().status(StatusRequest {}).await;
            answer.map_err(|e| format!("{e}; it said:\n{}", self.log()))
        };
        eventually("a serving sidecar", PATIENCE, ask).await;
    }

    /// Waits until its session is fresh.
    pub async fn is_fresh(&self) {
        let ask = || async {
            let answer = self.admin().status(StatusRequest {}).await;
            let status = answer.map_err(|e| e.to_string())?.into_inner();
            let whole = status.log_error.is_empty() && status.remote_error.is_empty();
            match status.session_state() {
                SessionState::Fresh if whole => Ok(()),
                _ => Err(format!("{status:?}; it said:\n{}", self.log())),
            }
        };
        eventually("a fresh session", PATIENCE, ask).await;
    }

    /// Waits until it knows exactly this many sessions.
    pub async fn knows(&self, sessions: usize) {
        let ask = || async {
            let answer = self.admin().peers(PeersRequest {}).await;
            let peers = answer.map_err(|e| e.to_string())?.into_inner().peers;
            (peers.len() == sessions)
                .then_some(())
                .ok_or(format!("{peers:?}"))
        };
        eventually("the sessions", PATIENCE, ask).await;
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the signal is sent");
    }

    /// Stops it, and returns when every thread of it has stopped: the signal
    /// alone only begins that.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let pid = Pid::from_child(&self.child);
        let stopped = waitpid(Some(pid), WaitOptions::UNTRACED).expect("a child");
        let (_, status) = stopped.expect("a change of state");
        assert!(status.stopped(), "it ended instead: {status:?}");
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("the child ends");
    }

    /// Waits until the process has ended.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let child = std::sync::Mutex::new(&mut self.child);
        let ask = || async {
            let ended = child.lock().expect("one thread").try_wait();
            ended
                .map_err(|e| e.to_string())?
                .ok_or("it runs".to_owned())
        };
        eventually("the end of the process", within, ask).await
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
