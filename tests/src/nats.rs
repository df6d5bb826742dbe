//! A real NATS server with JetStream; it can be stopped and started again on
//! the same port with the same store.

use crate::place::{free_port, nats_server};
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(20);

/// A NATS server; killed when it is dropped.
pub struct Nats {
    child: Option<Child>,
    dir: TempDir,
    port: u16,
}

impl Nats {
    /// Starts one and waits until it listens.
    pub fn start() -> Self {
        let mut nats = Self::stopped();
        nats.restart();
        nats
    }

    /// One that does not run yet.
    pub fn stopped() -> Self {
        let dir = TempDir::with_prefix("unstale-nats-").expect("a directory");
        let port = free_port();
        Self {
            child: None,
            dir,
            port,
        }
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends the process at once, as a crash would; its store stays.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; there is nobody to tell.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it (again) on the same port and store, and waits until it
    /// listens.
    pub fn restart(&mut self) {
        self.stop();
        let log = self.dir.path().join("log");
        let output = File::options().create(true).append(true).open(&log);
        let output = output.expect("a log file");
        let server = nats_server();
        let child = Command::new(server)
            .args([
                "-a",
                "127.0.0.1",
                "-p",
                &self.port.to_string(),
                "-js",
                "-sd",
            ])
            .arg(self.dir.path().join("store"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn();
        self.child = Some(child.expect("nats-server starts"));
        let deadline = Instant::now() + START;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let late = Instant::now() > deadline;
            assert!(
                !late,
                "{}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
            std::thread::yield_now();
        }
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.stop();
    }
}
