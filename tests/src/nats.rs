//! A real NATS server with JetStream; it can be stopped and started again on
//! the same port with the same store.

use crate::place::{self, free_port};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::fs::File;
use std::path::PathBuf;
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
    binary: PathBuf,
}

impl Nats {
    /// Starts one and waits until it listens.
    pub fn start() -> Self {
        let mut nats = Self::stopped();
        nats.restart();
        nats
    }

    /// Starts one from before per-message ttl, which a sidecar cannot use.
    pub fn too_old() -> Self {
        let mut nats = Self::of(place::nats_server_too_old());
        nats.restart();
        nats
    }

    /// One whose wall clock can be set ([`Nats::set_clock`]).
    pub fn with_clock() -> Self {
        let mut nats = Self::of(place::nats_server_with_clock());
        nats.restart();
        nats
    }

    /// From now on its wall clock is this many seconds off. The server looks
    /// every 50 ms.
    pub fn set_clock(&self, seconds: i64) {
        std::fs::write(self.clock(), seconds.to_string()).expect("written");
    }

    fn clock(&self) -> PathBuf {
        self.dir.path().join("clock")
    }

    /// One that does not run yet.
    pub fn stopped() -> Self {
        Self::of(place::nats_server())
    }

    fn of(binary: PathBuf) -> Self {
        let dir = TempDir::with_prefix("unstale-nats-").expect("a directory");
        let port = free_port();
        Self {
            child: None,
            dir,
            port,
            binary,
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

    /// Stops it as a machine that hangs would: connections stay, nothing is
    /// answered. Returns when every thread has stopped.
    pub fn pause(&self) {
        let pid = self.pid();
        kill_process(pid, Signal::STOP).expect("the signal is sent");
        let stopped = waitpid(Some(pid), WaitOptions::UNTRACED).expect("a child");
        let (_, status) = stopped.expect("a change of state");
        assert!(status.stopped(), "it ended instead: {status:?}");
    }

    /// Lets it go on after [`Nats::pause`].
    pub fn go_on(&self) {
        kill_process(self.pid(), Signal::CONT).expect("the signal is sent");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("it runs"))
    }

    /// Starts it (again) on the same port and store, and waits until it
    /// listens.
    pub fn restart(&mut self) {
        self.stop();
        let log = self.dir.path().join("log");
        let output = File::options().create(true).append(true).open(&log);
        let output = output.expect("a log file");
        let child = Command::new(&self.binary)
            .env("NATS_WALL_CLOCK", self.clock())
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
