//! A server process on one port: started, killed, stopped as a machine that
//! hangs, started again with the same arguments. Dropping it kills it.

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(20);

/// A server, with a directory of its own.
pub(crate) struct Server {
    child: Option<Child>,
    binary: PathBuf,
    arguments: Vec<OsString>,
    port: u16,
    dir: TempDir,
}

impl Server {
    /// Does not run yet.
    pub(crate) fn new(binary: PathBuf, port: u16) -> Self {
        let dir = TempDir::with_prefix("unstale-server-").expect("a directory");
        Self {
            child: None,
            binary,
            arguments: Vec::new(),
            port,
            dir,
        }
    }

    /// Arguments of the next start on.
    pub(crate) fn arguments<A: Into<OsString>>(&mut self, more: impl IntoIterator<Item = A>) {
        self.arguments.extend(more.into_iter().map(Into::into));
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Starts it (again), and waits until it listens.
    pub(crate) fn start(&mut self) {
        self.stop();
        let log = self.dir.path().join("log");
        let output = File::options().create(true).append(true).open(&log);
        let output = output.expect("a log file");
        let child = Command::new(&self.binary)
            .args(&self.arguments)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn();
        self.child =
            Some(child.unwrap_or_else(|e| {
                panic!("{}: {e}: run tests/tools/install", self.binary.display())
            }));
        let deadline = Instant::now() + START;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let late = Instant::now() > deadline;
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(!late, "{}: {}", self.binary.display(), said());
            std::thread::yield_now();
        }
    }

    /// Ends the process at once, as a crash would.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; there is nobody to tell.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Connections stay, nothing is answered. Returns when every thread has
    /// stopped.
    pub(crate) fn pause(&self) {
        let pid = self.pid();
        kill_process(pid, Signal::STOP).expect("the signal is sent");
        let stopped = waitpid(Some(pid), WaitOptions::UNTRACED).expect("a child");
        let (_, status) = stopped.expect("a change of state");
        assert!(status.stopped(), "it ended instead: {status:?}");
    }

    /// Lets it go on after [`Server::pause`].
    pub(crate) fn go_on(&self) {
        kill_process(self.pid(), Signal::CONT).expect("the signal is sent");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("it runs"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
