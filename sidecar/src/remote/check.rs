//! For `unstale check`: the part of the behavior suite that only reads, against
//! a user's own servers. tests/behavior has the rest.

use crate::findings::Findings;
use tokio::time::Instant;
use unstale_engine::key::NameHash;
use unstale_engine::random::Random;
use unstale_engine::remote::{Read, Remote, RemoteError};

/// Reads under way together.
const READS: usize = 100;
/// Keys that are tried until one is in another's part of the tier: more than
/// there are parts.
const TRIES: usize = 1_000;

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
    reads.into_iter().try_for_each(is_absent)?;
    together(remote, random).await?;
    let took = began.elapsed().as_millis();
    let name = remote.name();
    Ok(format!(
        "{name}: {READS} reads at once, and one of many keys, answered in {took} ms"
    ))
}

/// Two keys in one read, one of them twice: an answer for each.
async fn together(remote: &dyn Remote, random: &dyn Random) -> Result<(), RemoteError> {
    let key = || NameHash(random.bits());
    let one = key();
    let same = |key: &NameHash| remote.part(*key) == remote.part(one);
    let mut others = std::iter::repeat_with(key).take(TRIES);
    let keys = [one, others.find(same).unwrap_or(one), one];
    let reads = remote.get_many(&keys).await;
    if reads.len() != keys.len() {
        let why = format!(
            "{} keys read together have {} answers",
            keys.len(),
            reads.len()
        );
        return Err(RemoteError::Misconfigured(why));
    }
    reads.into_iter().try_for_each(is_absent)
}

fn is_absent(read: Read) -> Result<(), RemoteError> {
    match read? {
        None => Ok(()),
        Some(_) => {
            let why = "a key that nobody stored has a value: it gives others' answers";
            Err(RemoteError::Misconfigured(why.into()))
        }
    }
}
