//! A real sidecar and the client commands as a shell runs them.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

pub const BINARY: &str = env!("CARGO_BIN_EXE_unstale");

/// A sidecar with nothing but a Unix socket of its own.
pub struct Sidecar {
    pub process: Child,
    folder: tempfile::TempDir,
}

impl Sidecar {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = program()
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .arg("--uds")
            .arg(folder.path().join("sock"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let serving = log.any(|line| line.unwrap().contains("serving"));
        assert!(serving, "the sidecar did not start");
        // Keep reading, or the sidecar's log gets stuck in the pipe.
        std::thread::spawn(move || log.count());
        let sidecar = Self { process, folder };
        // It serves before its session is fresh, and misses until then.
        while json(&sidecar.run(&["status", "--json"]))["session_state"] != "FRESH" {}
        sidecar
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        let endpoint = format!("unix:{}", self.path("sock").display());
        command.args(arguments).env("UNSTALE_ENDPOINT", endpoint);
        command.current_dir(self.folder.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program, without the settings of whoever runs the tests.
pub fn program() -> Command {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("UNSTALE_") {
            command.env_remove(name);
        }
    }
    command
}

/// Exit code and stdout.
#[track_caller]
pub fn expect(output: &Output, code: i32, stdout: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout, "{errors}");
}

pub fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Exit code, stdout, and a word of what stderr says.
#[track_caller]
pub fn expect_with(output: &Output, code: i32, stdout: &str, word: &str) {
    expect(output, code, stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains(word), "{errors}");
}

/// A value under this key that has expired and may be served stale.
pub fn expired(sidecar: &Sidecar, key: &str, value: &str) {
    let stored = ["--ttl", "1ms", "--stale-for", "60s"];
    let set = sidecar.run(&[&["set", key, value], &stored[..]].concat());
    assert_eq!(set.status.code(), Some(0));
    // Its ttl has passed when a read without stale ones misses.
    while sidecar.run(&["get", key]).status.success() {}
}

pub fn mkfifo(sidecar: &Sidecar, name: &str) {
    let made = Command::new("mkfifo").arg(sidecar.path(name)).status();
    assert!(made.unwrap().success());
}
