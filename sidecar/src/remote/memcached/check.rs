//! For `unstale check`: asks each memcached what it is and how it was started,
//! and names what is unsafe with the safe value. Reads only.

use super::dial::Dialer;
use super::{MemcachedConfig, MemcachedTier};
use crate::entropy::OsRandom;
use crate::findings::Findings;
use crate::remote::check::reads;
use crate::remote::hints::Hints;
use crate::remote::upkeep::{Dial, NotUp};
use std::collections::HashMap;
use tokio_util::sync::CancellationToken;
use unstale_engine::limits;

/// What memcached keeps beside a record: its key and its own words.
const BESIDE: usize = 512;

/// Connects to every server, looks at its settings, and reads.
pub async fn check(config: MemcachedConfig) -> Findings {
    let mut found = Findings::default();
    let tier = MemcachedTier::new(config, Hints::here());
    for server in &tier.servers {
        let name = format!("memcached {}", server.name);
        let dialer = server.links[0].dialer();
        // As `serve` does, with all that it refuses.
        match dialer.dial().await {
            Ok(_) => look(&name, dialer, &mut found).await,
            Err(NotUp::Away(why) | NotUp::Refused(why)) => found.errors.push(why),
        }
    }
    if found.errors.is_empty() {
        read(&tier, &mut found).await;
    }
    found
}

async fn read(tier: &std::sync::Arc<MemcachedTier>, found: &mut Findings) {
    let links = || tier.servers.iter().flat_map(|server| &server.links);
    let reading = async {
        futures::future::join_all(links().map(|link| link.settled())).await;
        reads(&**tier, &OsRandom, found).await;
    };
    tokio::select! {
        () = tier.clone().run(CancellationToken::new()) => {}
        () = reading => {}
    }
}

async fn look(name: &str, dialer: &Dialer, found: &mut Findings) {
    let Ok(mut talk) = dialer.talk().await else {
        let why = "took one connection and not the next";
        return found.errors.push(format!("{name}: {why}"));
    };
    let stats = talk.stats("stats").await.unwrap_or_default();
    let settings = talk.stats("stats settings").await.unwrap_or_default();
    judge(name, &stats, &settings, found);
}

fn judge(
    name: &str,
    stats: &HashMap<String, String>,
    settings: &HashMap<String, String>,
    found: &mut Findings,
) {
    let version = stats.get("version").map_or("", String::as_str);
    match version.starts_with("1.6.") {
        true => found.good.push(format!("{name}: memcached {version}")),
        false => found.errors.push(format!(
            "{name}: memcached {version} is not of the line 1.6, which has the meta commands"
        )),
    }
    let largest = settings.get("item_size_max").and_then(|n| n.parse().ok());
    if largest.is_some_and(|largest: usize| largest < limits::RECORD_BYTES + BESIDE) {
        let largest = largest.unwrap_or_default() / 1024;
        found.warnings.push(format!(
            "{name}: its largest item is {largest} KiB, so that larger values are not shared; -I 2m is safe"
        ));
    }
    if settings.get("evictions").is_some_and(|on| on == "off") {
        found.warnings.push(format!(
            "{name}: started with -M, so that every put fails when it is full; without -M it makes room"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_line_is_an_error() {
        let stats = HashMap::from([("version".to_owned(), "1.5.22".to_owned())]);
        let mut found = Findings::default();
        judge("memcached h", &stats, &HashMap::new(), &mut found);
        assert_eq!(found.errors.len(), 1, "{found:?}");
    }
}
