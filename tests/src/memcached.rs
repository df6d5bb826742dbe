//! A real memcached; it forgets everything when it ends.

use crate::place::{free_port, memcached};
use crate::server::Server;

/// A memcached; killed when it is dropped.
pub struct Memcached(Server);

impl Memcached {
    /// Starts one that takes the largest record, and waits until it listens.
    pub fn start() -> Self {
        Self::with(&["-I", "2m"])
    }

    /// Starts one with these arguments.
    pub fn with(more: &[&str]) -> Self {
        let mut server = Server::new(memcached(), free_port());
        let port = server.port().to_string();
        // The user counts only for root, which memcached does not run as.
        server.arguments(["-u", "nobody", "-l", "127.0.0.1", "-p", &port, "-U", "0"]);
        server.arguments(["-t", "2"]);
        server.arguments(more.iter().copied());
        server.start();
        Self(server)
    }

    /// Starts one that wants this user and password.
    pub fn with_login(user: &str, password: &str) -> Self {
        let dir = tempfile::TempDir::with_prefix("unstale-login-").expect("a directory");
        let file = dir.path().join("login");
        std::fs::write(&file, format!("{user}:{password}\n")).expect("written");
        // Read before it becomes nobody.
        Self::with(&["-Y", file.to_str().expect("a path of ASCII"), "-I", "2m"])
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// The remote tier's setting.
    pub fn url(&self) -> String {
        format!("memcached://127.0.0.1:{}", self.port())
    }

    /// Ends the process at once, as a crash would.
    pub fn stop(&mut self) {
        self.0.stop();
    }

    /// Starts it (again) on the same port, empty.
    pub fn restart(&mut self) {
        self.0.start();
    }

    /// Stops it as a machine that hangs would.
    pub fn pause(&self) {
        self.0.pause();
    }

    /// Lets it go on after [`Memcached::pause`].
    pub fn go_on(&self) {
        self.0.go_on();
    }
}
