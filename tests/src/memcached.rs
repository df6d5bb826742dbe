//! A real memcached; it forgets everything when it ends.

use crate::place::{free_port, memcached};
use crate::server::Server;
use std::path::PathBuf;

/// A memcached; killed when it is dropped.
pub struct Memcached {
    server: Server,
    /// The file with the user and password that it wants.
    login: Option<PathBuf>,
}

impl Memcached {
    /// Starts one that takes the largest record, and waits until it listens.
    pub fn start() -> Self {
        Self::with(&["-I", "2m"])
    }

    /// Starts one with these arguments.
    pub fn with(more: &[&str]) -> Self {
        let mut server = Self::server();
        server.arguments(more.iter().copied());
        server.start();
        let login = None;
        Self { server, login }
    }

    /// Starts one that wants this user and password.
    pub fn with_login(user: &str, password: &str) -> Self {
        let mut server = Self::server();
        let login = server.dir().join("login");
        server.arguments(["-I", "2m", "-Y"]);
        server.arguments([&login]);
        let login = Some(login);
        let mut memcached = Self { server, login };
        memcached.restart_with_login(user, password);
        memcached
    }

    fn server() -> Server {
        let mut server = Server::new(memcached(), free_port());
        let port = server.port().to_string();
        // The user counts only for root, which memcached does not run as.
        server.arguments(["-u", "nobody", "-l", "127.0.0.1", "-p", &port, "-U", "0"]);
        server.arguments(["-t", "2"]);
        server
    }

    /// Starts one of [`Memcached::with_login`] again, empty; from now on it wants
    /// this user and password.
    pub fn restart_with_login(&mut self, user: &str, password: &str) {
        let file = self.login.as_ref().expect("one that wants a login");
        // Read before it becomes nobody.
        std::fs::write(file, format!("{user}:{password}\n")).expect("written");
        self.server.start();
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.server.id()
    }

    /// The remote tier's setting.
    pub fn url(&self) -> String {
        format!("memcached://127.0.0.1:{}", self.port())
    }

    /// Ends the process at once, as a crash would.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts it (again) on the same port, empty.
    pub fn restart(&mut self) {
        self.server.start();
    }

    /// Stops it as a machine that hangs would.
    pub fn pause(&self) {
        self.server.pause();
    }

    /// Lets it go on after [`Memcached::pause`].
    pub fn go_on(&self) {
        self.server.go_on();
    }
}
