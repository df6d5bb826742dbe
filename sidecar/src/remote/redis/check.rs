//! For `unstale check`: asks Redis what it is and how it is set, and names what
//! is unsafe with the safe value, and what its user may not do with what to grant
//! ([`rights`]). Reads only.

use super::dial::{Connection, Dialer};
use super::failure::Failure;
use super::{Layout, RedisConfig, RedisTier, rights};
use crate::entropy::OsRandom;
use crate::findings::Findings;
use crate::remote::check::reads;
use crate::remote::hints::Hints;
use crate::remote::upkeep::{Dial, NotUp};
use std::collections::HashMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The oldest that is supported, and the oldest that is tested with.
const SUPPORTED: (u32, u32) = (6, 2);
const TESTED: (u32, u32) = (7, 0);
const SLOTS: &str = "16384";

/// A server's answer to INFO or CONFIG GET, by its fields.
type Table = HashMap<String, String>;

/// Connects, looks at every server's version and settings, and reads.
pub async fn check(config: RedisConfig) -> Findings {
    let mut found = Findings::default();
    let dialer = Dialer(config.clone());
    match dialer.dial().await {
        Ok(connection) => {
            look(&connection, &config, &mut found).await;
            drop(connection);
            read(config, &mut found).await;
        }
        Err(NotUp::Away(why) | NotUp::Refused(why)) => found.errors.push(format!("redis: {why}")),
    }
    found
}

/// As `serve` would.
async fn read(config: RedisConfig, found: &mut Findings) {
    let tier = RedisTier::new(config, Hints::here(), Arc::new(OsRandom));
    let reading = async {
        tier.upkeep.settled().await;
        reads(&*tier, &OsRandom, found).await;
    };
    tokio::select! {
        () = tier.clone().run(CancellationToken::new()) => {}
        () = reading => {}
    }
}

async fn look(connection: &Connection, config: &RedisConfig, found: &mut Findings) {
    rights::judge(connection, config, found).await;
    for (server, info) in connection.each(&["INFO"]).await {
        let name = format!("redis {server}");
        match info {
            Ok(text) => server_info(&name, &table(&text, ':'), config, found),
            Err(why) => found.warnings.push(format!(
                "{name}: its settings cannot be judged; grant +info for the check ({})",
                why.of_read()
            )),
        }
    }
    if config.layout == Layout::Cluster {
        coverage(connection, found).await;
    }
}

fn server_info(name: &str, info: &Table, config: &RedisConfig, found: &mut Findings) {
    let field = |field: &str| info.get(field).map_or("", String::as_str);
    version(name, info, found);
    if field("role") == "slave" {
        let why = "a read-only replica: give the address of the primary, or of its Sentinels";
        found.errors.push(format!("{name}: {why}"));
    }
    if field("cluster_enabled") == "1" && config.layout != Layout::Cluster {
        let why = "part of a cluster: write redis+cluster:// instead of redis://";
        found.errors.push(format!("{name}: {why}"));
    }
    memory(name, field("maxmemory"), field("maxmemory_policy"), found);
    if field("aof_enabled") == "1" {
        found.warnings.push(format!(
            "{name}: appendonly is yes, so that every put goes to disk; no is enough for values that can be loaded again"
        ));
    }
    if field("rdb_last_bgsave_status") == "err" {
        found.warnings.push(format!(
            "{name}: the last snapshot failed, and with stop-writes-on-bgsave-error yes every put does; save \"\" needs no snapshots"
        ));
    }
}

fn version(name: &str, info: &Table, found: &mut Findings) {
    // Valkey says 7.2.4 as its Redis version, for clients that ask for one.
    let (product, text) = match (info.get("valkey_version"), info.get("redis_version")) {
        (Some(version), _) => ("Valkey", version.as_str()),
        (None, Some(version)) => ("Redis", version.as_str()),
        (None, None) => ("Redis", "of no known version"),
    };
    let mut numbers = text.split('.').map_while(|part| part.parse().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let line = |why: &str| format!("{name}: {product} {text}{why}");
    if version < SUPPORTED {
        found
            .errors
            .push(line(" is too old: 6.2 or newer is needed"));
    } else if version < TESTED {
        found.warnings.push(line(
            " is older than what is tested with; 7.0 or newer is safe",
        ));
    } else {
        found.good.push(line(""));
    }
}

fn memory(name: &str, limit: &str, policy: &str, found: &mut Findings) {
    if limit == "0" {
        found.warnings.push(format!(
            "{name}: maxmemory is 0, so that it grows until its machine ends it; a maxmemory with maxmemory-policy allkeys-lru is safe"
        ));
    } else if policy == "noeviction" {
        found.warnings.push(format!(
            "{name}: maxmemory-policy is noeviction, so that every put fails when it is full; allkeys-lru is safe"
        ));
    } else if !policy.is_empty() {
        found.good.push(format!("{name}: makes room by {policy}"));
    }
}

async fn coverage(connection: &Connection, found: &mut Findings) {
    for (server, info) in connection.each(&["CLUSTER", "INFO"]).await {
        let info = info.map(|text| table(&text, ':')).unwrap_or_default();
        let ok = info.get("cluster_slots_ok").map_or("0", String::as_str);
        if ok != SLOTS {
            found.errors.push(format!(
                "redis {server}: the cluster serves {ok} of {SLOTS} slots; the keys of the others cannot be stored"
            ));
        }
    }
    let question = ["CONFIG", "GET", "cluster-require-full-coverage"];
    for (server, answer) in connection.each(&question).await {
        if answer.is_ok_and(|answer| answer.ends_with("yes")) {
            found.warnings.push(format!(
                "redis {server}: cluster-require-full-coverage is yes, so that one lost primary takes all keys away; no is safe"
            ));
        }
    }
}

/// `name:value` on each line.
fn table(text: &str, between: char) -> Table {
    let pair = |line: &str| {
        let (name, value) = line.split_once(between)?;
        Some((name.to_owned(), value.trim_end().to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

/// Of a server's answer: its address, and the text or why there is none.
pub(super) type Each = (String, Result<String, Failure>);

#[cfg(test)]
mod tests {
    use super::*;

    fn found(info: &str) -> Findings {
        let config = RedisConfig {
            layout: Layout::One,
            hosts: vec![("h".into(), 6379)],
            tls: false,
            database: 0,
            login: Default::default(),
            fleet: String::new(),
        };
        let mut found = Findings::default();
        server_info("redis h", &table(info, ':'), &config, &mut found);
        found
    }

    #[test]
    fn a_server_that_is_too_old_or_a_replica_is_an_error() {
        let errors = found("redis_version:5.0.3\r\nrole:slave\r\ncluster_enabled:1\r\n").errors;
        assert_eq!(errors.len(), 3, "{errors:?}");
        let warnings = found("redis_version:6.2.7\r\nmaxmemory:1\r\n").warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
    }

    #[test]
    fn valkey_is_known_by_its_own_version() {
        let good = found("redis_version:7.2.4\r\nvalkey_version:9.1.2\r\nmaxmemory:1\r\n").good;
        assert_eq!(good, ["redis h: Valkey 9.1.2"]);
    }
}
