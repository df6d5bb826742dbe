//! The clients beside what their users would take instead: Python's beside stock
//! grpcio on the same sidecar and redis-py on a Redis, Rust's beside a bare
//! tonic client on the same sidecar.
//!
//! Rounds are short and take turns. A pair is always of one transport.

mod python;
mod rust;

use crate::table::Row;
use crate::{Result, processes};
use tempfile::TempDir;
use unstale_tests::Redis;

/// Rounds of each client, beside the first, which warms all up.
const ROUNDS: usize = 20;
/// Calls of one client in one round.
const CALLS: usize = 250;

/// Whatever a client is measured on.
struct Servers {
    cache: processes::Running,
    redis: Redis,
    redis_socket: String,
    _dir: TempDir,
}

/// Over the Unix socket, which the guides advise, and over TCP, the default.
pub(crate) async fn rows(sidecar: &str) -> Result<Vec<Row>> {
    let dir = TempDir::with_prefix("unstale-bench-")?;
    let socket = dir.path().join("redis.sock").display().to_string();
    let servers = Servers {
        cache: processes::sidecar(sidecar, &[])?,
        redis: Redis::with(&["--unixsocket", &socket]),
        redis_socket: format!("unix://{socket}"),
        _dir: dir,
    };
    servers.cache.in_fleet_of(1).await?;
    let mut rows = rust::rows(&servers).await?;
    rows.extend(python::rows(&servers)?);
    Ok(rows)
}
