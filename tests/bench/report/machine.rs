//! What the figures were taken on.

use crate::rows::Programs;
use serde::Serialize;
use std::process::Command;

/// The machine and the versions of what was measured.
#[derive(Serialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    /// Processes that wanted a core in the minute before: an idle machine has few.
    pub(super) load: String,
    pub(super) commit: String,
    pub(super) date: String,
    pub(super) versions: Vec<String>,
}

impl Machine {
    /// This one; what it does not tell is left empty.
    pub(super) fn now(programs: &Programs<'_>) -> Self {
        let cores = std::thread::available_parallelism();
        let versions = [
            said(programs.sidecar, &["--version"]),
            said(programs.nats, &["--version"]),
            said("redis-server", &["--version"]),
            said(&beside(programs.nats, "valkey-server"), &["--version"]),
            said("memcached", &["--version"]),
            said("python", &["--version"]),
            said("python", &["-c", PYTHON_PEERS]),
            said("node", &["--version"]),
            node_peers(),
        ];
        Self {
            processor: processor(),
            cores: cores.map_or(0, Into::into),
            kernel: said("uname", &["-sr"]),
            load: first_word(&read("/proc/loadavg")),
            commit: said("git", &["describe", "--always", "--dirty"]),
            date: said("date", &["-u", "+%Y-%m-%d"]),
            versions: versions
                .into_iter()
                .filter(|said| !said.is_empty())
                .collect(),
        }
    }
}

/// What the Python clients are measured beside.
const PYTHON_PEERS: &str = "import grpc, hiredis, redis; print('grpcio', grpc.__version__, \
    'redis-py', redis.__version__, 'hiredis', hiredis.__version__)";

/// The library cache and its client, which are pinned.
fn node_peers() -> String {
    let package = include_str!("../node/package.json");
    let package: serde_json::Value = serde_json::from_str(package).unwrap_or_default();
    let peers = package["dependencies"].as_object().into_iter().flatten();
    let peers = peers.map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or("?")));
    peers.collect::<Vec<_>>().join(" ")
}

/// Another of the tools that were installed in one folder.
fn beside(tool: &str, other: &str) -> String {
    let path = std::path::Path::new(tool).with_file_name(other);
    path.display().to_string()
}

fn processor() -> String {
    let info = read("/proc/cpuinfo");
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    let model = lines.find(|(name, _)| name.trim() == "model name");
    model.map_or_else(String::new, |(_, model)| model.trim().to_owned())
}

fn read(file: &str) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

fn first_word(text: &str) -> String {
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// The first line that a program prints.
fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output();
    let output = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&output);
    text.lines().next().unwrap_or_default().trim().to_owned()
}
