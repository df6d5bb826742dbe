//! Where things are: free ports, and the programs under the target directory.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// Below the range from which the kernel takes ports of outgoing connections,
/// so that none of them is taken between the choice and its use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A TCP port nobody listens on, given out once in this process.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that run at the same time begin at different places.
    let begin = (std::process::id() % 60) as u16 * 200;
    (0..COUNT)
        .map(|_| FIRST + (begin + NEXT.fetch_add(1, Relaxed)) % COUNT)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// The NATS server: UNSTALE_NATS_SERVER, else the installed one.
pub fn nats_server() -> PathBuf {
    match std::env::var_os("UNSTALE_NATS_SERVER") {
        Some(path) => path.into(),
        None => program("tools/bin/nats-server", "run tests/tools/install"),
    }
}

/// A NATS server of the same version whose wall clock is as many seconds off as
/// the file says that NATS_WALL_CLOCK names: UNSTALE_NATS_SERVER_CLOCK, else the
/// one that the installation built.
pub fn nats_server_with_clock() -> PathBuf {
    match std::env::var_os("UNSTALE_NATS_SERVER_CLOCK") {
        Some(path) => path.into(),
        None => program("tools/bin/nats-server-clock", "run tests/tools/install"),
    }
}

/// A NATS server that is too old: UNSTALE_NATS_SERVER_OLD, else the installed
/// one.
pub(crate) fn nats_server_too_old() -> PathBuf {
    match std::env::var_os("UNSTALE_NATS_SERVER_OLD") {
        Some(path) => path.into(),
        None => program("tools/bin/nats-server-2.10", "run tests/tools/install"),
    }
}

/// Redis: UNSTALE_REDIS_SERVER, else the system's.
pub(crate) fn redis_server() -> PathBuf {
    system("UNSTALE_REDIS_SERVER", "redis-server")
}

/// Memcached: UNSTALE_MEMCACHED, else the system's.
pub(crate) fn memcached() -> PathBuf {
    system("UNSTALE_MEMCACHED", "memcached")
}

/// Valkey: UNSTALE_VALKEY_SERVER, else the installed one.
pub(crate) fn valkey_server() -> PathBuf {
    match std::env::var_os("UNSTALE_VALKEY_SERVER") {
        Some(path) => path.into(),
        None => program("tools/bin/valkey-server", "run tests/tools/install"),
    }
}

/// A program of the system; one that is missing fails when it is started.
fn system(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| name.into(), PathBuf::from)
}

/// A program under the target directory; `how` says how to get it.
pub(crate) fn program(under: &str, how: &str) -> PathBuf {
    let path = target().join(under);
    assert!(path.exists(), "{} is missing: {how}", path.display());
    path
}

fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => target.into(),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
    }
}
