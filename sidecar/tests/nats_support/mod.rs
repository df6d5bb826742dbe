//! A real NATS server for tests, current or too old, and a sink to wait on. The
//! servers are found through UNSTALE_NATS_SERVER and UNSTALE_NATS_SERVER_OLD or
//! at target/tools/bin; a missing one fails the test. Waiting always has a deadline, and nothing waits by sleeping.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod reading;
pub mod secrets;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};
use unstale_engine::coherence::record::RecordId;
use unstale_engine::log::{Append, Event, Opened, Sink, Subject};
use unstale_sidecar::log::nats::{NatsLog, NatsLogConfig};
use unstale_sidecar::nats::NatsConfig;

pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Server {
    pub dir: TempDir,
    pub port: u16,
    binary: PathBuf,
    child: Option<Child>,
}

impl Server {
    pub fn start() -> Self {
        Self::with(|_| String::new())
    }

    /// One from before per-message ttl, which the sidecar cannot use.
    pub fn too_old() -> Self {
        Self::of(
            binary("UNSTALE_NATS_SERVER_OLD", "nats-server-2.10"),
            |_| String::new(),
        )
    }

    /// A server whose configuration has what `more` says; it is given the
    /// directory for further files.
    pub fn with(more: impl FnOnce(&Path) -> String) -> Self {
        Self::of(binary("UNSTALE_NATS_SERVER", "nats-server"), more)
    }

    fn of(binary: PathBuf, more: impl FnOnce(&Path) -> String) -> Self {
        let dir = TempDir::new().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let store = dir.path().join("store");
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {store:?} }}\n{}\n",
            more(dir.path())
        );
        std::fs::write(dir.path().join("server.conf"), text).unwrap();
        let mut server = Self {
            dir,
            port,
            binary,
            child: None,
        };
        server.resume();
        server
    }

    pub fn resume(&mut self) {
        let log = std::fs::File::create(self.dir.path().join("server.log")).unwrap();
        let child = Process::new(&self.binary)
            .arg("-c")
            .arg(self.dir.path().join("server.conf"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap());
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops the process as a machine that hangs would: its connections stay,
    /// nothing is answered. Returns when every thread has stopped.
    pub fn pause(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
        let stopped = waitpid(Some(self.pid()), WaitOptions::UNTRACED).unwrap();
        assert!(stopped.unwrap().1.stopped());
    }

    pub fn go_on(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().unwrap())
    }

    /// What it has logged since it was started last.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default()
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A client of the server, as an administrator would use it.
    pub async fn admin(&self) -> async_nats::Client {
        let connecting = async {
            loop {
                if let Ok(admin) = async_nats::connect(self.url()).await {
                    return admin;
                }
            }
        };
        let connected = tokio::time::timeout(PATIENCE, connecting).await;
        connected.expect("the server listens")
    }

    /// Makes a stream by hand.
    pub async fn make_stream(&self, config: &serde_json::Value) {
        let name = config["name"].as_str().expect("a name");
        let subject = format!("$JS.API.STREAM.CREATE.{name}");
        let body = config.to_string().into();
        let answer = self.admin().await.request(subject, body).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        assert!(answer["error"].is_null(), "{answer}");
    }

    pub fn connection(&self) -> NatsConfig {
        NatsConfig {
            urls: vec![self.url()],
            ..NatsConfig::default()
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

fn binary(variable: &str, name: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let path = target.join("tools/bin").join(name);
    assert!(
        path.exists(),
        "no {}: run tests/tools/install or set {variable}",
        path.display()
    );
    path
}

/// Keeps events until somebody waits for them.
pub struct Events {
    give: mpsc::UnboundedSender<Event>,
    take: AsyncMutex<mpsc::UnboundedReceiver<Event>>,
    seen: Mutex<Vec<Event>>,
}

impl Sink for Events {
    fn event(&self, event: Event) {
        self.give.send(event).unwrap();
    }
}

impl Events {
    pub fn new() -> Arc<Self> {
        let (give, take) = mpsc::unbounded_channel();
        Arc::new(Self {
            give,
            take: AsyncMutex::new(take),
            seen: Mutex::default(),
        })
    }

    /// The first event from now on of which `pick` makes something.
    pub async fn wait<T>(&self, pick: impl Fn(&Event) -> Option<T>) -> T {
        let mut take = self.take.lock().await;
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let event = take.recv().await.unwrap();
                self.seen.lock().unwrap().push(event.clone());
                if let Some(found) = pick(&event) {
                    return found;
                }
            }
        });
        match found.await {
            Ok(found) => found,
            Err(_) => panic!("waited in vain; seen: {:?}", self.seen.lock().unwrap()),
        }
    }

    pub async fn opened(&self) -> Opened {
        self.wait(|e| match e {
            Event::Opened(opened) => Some(opened.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for a loss whose text contains `part`.
    pub async fn lost(&self, part: &str) -> String {
        self.wait(|e| match e {
            Event::Lost(why) if why.contains(part) => Some(why.clone()),
            _ => None,
        })
        .await
    }
}

/// A log that runs until it is dropped.
pub struct Running {
    pub log: Arc<NatsLog>,
    pub events: Arc<Events>,
    _stop: DropGuard,
}

pub fn run(config: NatsLogConfig) -> Running {
    let events = Events::new();
    let cancel = CancellationToken::new();
    let log = NatsLog::new(config);
    tokio::spawn(log.clone().run(events.clone(), cancel.clone()));
    let _stop = cancel.drop_guard();
    Running { log, events, _stop }
}

pub fn log_config(connection: NatsConfig) -> NatsLogConfig {
    NatsLogConfig {
        connection,
        fleet: "test".to_owned(),
        ..NatsLogConfig::default()
    }
}

pub fn append(id: u128, subject: Subject) -> Append {
    Append {
        id: RecordId(id),
        subject,
        payload: format!("record {id}").into(),
        expect_last: None,
    }
}
