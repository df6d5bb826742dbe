//! The clients beside what their users would take instead: Python's beside stock
//! grpcio on the same sidecar and redis-py on a Redis, Rust's beside a bare
//! tonic client on the same sidecar.
//!
//! Rounds are short and take turns. A pair is always of one transport.

mod python;
mod rust;

use crate::part::Part;
use crate::{Result, processes};
use tempfile::TempDir;
use unstale_tests::Redis;

/// Rounds of each client, beside the first, which warms all up.
const ROUNDS: usize = 20;
/// Calls of one client in one round: in all there are ten above a p99.9.
const CALLS: usize = 500;

/// Whatever a client is measured on.
struct Servers {
    cache: processes::Running,
    redis: Redis,
    redis_socket: String,
    _dir: TempDir,
}

const WORDS: &str = "1 KiB in L1, one call at a time but for the row of 64 tasks. The clients in Python are processes of their own; \
redis-py has hiredis. The clients of unstale send their calls on its stream, the bare tonic client and grpcio make unary ones. \
Operations a second of a client in Python are those of its whole round, with what tells it to begin.";

/// Over the Unix socket, which the guides advise, and over TCP, the default.
pub(super) async fn part(sidecar: &str) -> Result<Part> {
    let dir = TempDir::with_prefix("unstale-bench-")?;
    let socket = dir.path().join("redis.sock").display().to_string();
    let servers = Servers {
        cache: processes::sidecar(sidecar, &[])?,
        redis: Redis::with(&["--unixsocket", &socket]),
        redis_socket: format!("unix://{socket}"),
        _dir: dir,
    };
    servers.cache.in_fleet_of(1).await?;
    let mut part = Part::new("sdk", "Clients", WORDS);
    rust::measure(&servers, &mut part).await?;
    python::measure(&servers, &mut part)?;
    Ok(part)
}
