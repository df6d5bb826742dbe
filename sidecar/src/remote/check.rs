//! For `unstale check`: the part of the behavior suite that only reads, against
//! a user's own servers. tests/behavior has the rest.

use crate::findings::Findings;
use tokio::time::Instant;
use unstale_engine::key::NameHash;
use unstale_engine::random::Random;
use unstale_engine::remote::{Remote, RemoteError};

/// Reads under way together.
const READS: usize = 100;

/// Pings, and reads keys that nobody has stored.
pub(super) async fn reads(remote: &dyn Remote, random: &dyn Random, found: &mut Findings) {
    match ask(remote, random).await {
        Ok(line) => found.good.push(line),
        Err(error) => found.errors.push(format!("{}: {error}", remote.name())),
    }
}

async fn ask(remote: &dyn Remote, random: &dyn Random) -> Result<String, RemoteError> {
    remote.ping().await?;
    let began = Instant::now();
    let absent = || remote.get(NameHash(random.bits()));
    let reads = futures::future::join_all((0..READS).map(|_| absent())).await;
    for read in reads {
        if read?.is_some() {
            let why = "a key that nobody stored has a value: it gives others' answers";
            return Err(RemoteError::Misconfigured(why.into()));
        }
    }
    let took = began.elapsed().as_millis();
    let name = remote.name();
    Ok(format!(
        "{name}: {READS} reads at once answered in {took} ms"
    ))
}
