//! `unstale check`: reads the settings as `serve` would, tries the ports and
//! the Unix socket, asks the log's and the remote tier's servers, and names what is unsafe with the safe
//! value. What it calls an error `serve` would not start or never be fresh
//! with. Changes nothing anywhere.

use super::settings;
use crate::config::{Config, Flags, RemoteTier, show_size};
use crate::findings::Findings;
use crate::grpc::listener;
use crate::nats::check::Wanted;
use crate::remote::{memcached, nats_kv, redis};
use crate::tiers;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

/// One finding.
enum Finding {
    /// As it should be.
    Good(String),
    /// Works, but is unsafe or unwise.
    Warning(String),
    /// Does not work.
    Error(String),
}

/// Checks, prints the findings, exits 1 if there is an error.
pub fn run(flags: &Flags) -> ExitCode {
    let config = match settings(flags) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let mut findings = vec![Finding::Good("settings: understood".into())];
    let policies = config.policies().into_iter();
    findings.extend(policies.map(|line| Finding::Good(format!("policy: {line}"))));
    findings.extend(memory(&config, cgroup_limit()));
    findings.extend(places(&config));
    findings.extend(exposure(&config));
    findings.extend(replicas(&config));
    findings.extend(encryption(&config));
    findings.extend(servers(&config));
    let mut failed = false;
    for finding in findings {
        match finding {
            Finding::Good(text) => println!("ok       {text}"),
            Finding::Warning(text) => println!("warning  {text}"),
            Finding::Error(text) => {
                failed = true;
                println!("error    {text}");
            }
        }
    }
    ExitCode::from(u8::from(failed))
}

fn memory(config: &Config, limit: Option<u64>) -> Vec<Finding> {
    let local = match config.remote {
        RemoteTier::Memory => config.memory_bytes,
        RemoteTier::Nats | RemoteTier::Redis(_) | RemoteTier::Memcached(_) => 0,
    };
    let pinned = config.l1_bytes / 100 * u64::from(config.l1_pinned_share);
    let wanted = config.l1_bytes + pinned + local + config.floor_bytes;
    let Some(limit) = limit else {
        return vec![Finding::Good("memory: no container limit".into())];
    };
    // Besides the caches: the process itself, connections, requests in flight.
    let safe = limit / 2;
    let (wants, has, keep) = (show_size(wanted), show_size(limit), show_size(safe));
    if wanted >= limit {
        let text = format!(
            "memory: l1_bytes, memory_bytes and floor_bytes are {wants}, the container has {has}; keep them under {keep} together"
        );
        return vec![Finding::Error(text)];
    }
    if wanted > safe {
        let text = format!(
            "memory: l1_bytes, memory_bytes and floor_bytes are {wants} of the container's {has}; keep them under {keep} together"
        );
        return vec![Finding::Warning(text)];
    }
    vec![Finding::Good(format!(
        "memory: {wants} of the container's {has}"
    ))]
}

/// Whether everything can be bound that `serve` binds.
fn places(config: &Config) -> Vec<Finding> {
    let mut findings = vec![
        address("--listen", config.listen),
        address("--admin", config.admin),
    ];
    if config.listen == config.admin && config.listen.port() != 0 {
        let text = format!("--listen and --admin are both {}", config.listen);
        findings.push(Finding::Error(text));
    }
    if let Some(path) = &config.uds {
        let place = format!("--uds {}", path.display());
        findings.push(match listener::vacant(path) {
            Ok(()) => Finding::Good(format!("{place}: free")),
            Err(why) => Finding::Error(format!("{place}: {why}")),
        });
    }
    findings
}

fn address(flag: &str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::Good(format!("{flag} {address}: free")),
        Err(why) => Finding::Error(format!("{flag} {address}: {why}")),
    }
}

fn exposure(config: &Config) -> Option<Finding> {
    let open = !config.listen.ip().is_loopback();
    open.then(|| {
        let text = format!(
            "listen: {} answers anybody on the network; 127.0.0.1 is safe",
            config.listen
        );
        Finding::Warning(text)
    })
}

fn replicas(config: &Config) -> Option<Finding> {
    let nats = config.nats.as_ref()?;
    (nats.replicas == 1).then(|| {
        let text = "nats_replicas: 1 loses the log with its server; 3 is safe in production";
        Finding::Warning(text.into())
    })
}

fn encryption(config: &Config) -> Option<Finding> {
    let keys = config.records.keys.as_ref()?;
    Some(Finding::Good(format!(
        "encryption: the first of the keys {keys} encrypts, all decrypt"
    )))
}

/// What the servers say.
fn servers(config: &Config) -> Vec<Finding> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return vec![Finding::Error(error.to_string())],
    };
    runtime.block_on(async {
        let mut findings = log(config).await;
        findings.extend(remote(config).await);
        findings
    })
}

async fn log(config: &Config) -> Vec<Finding> {
    let Some(nats) = &config.nats else {
        return Vec::new();
    };
    let connection = tiers::connection(nats);
    let wanted = Wanted {
        fleet: nats.fleet.clone(),
        session_ttl: config.session_ttl,
        remote: config.remote == RemoteTier::Nats,
    };
    lines(crate::nats::check::check(connection, &wanted).await)
}

async fn remote(config: &Config) -> Vec<Finding> {
    let (login, fleet) = (&config.remote_login, config.fleet());
    let found = match &config.remote {
        RemoteTier::Memory => return Vec::new(),
        RemoteTier::Nats => match &config.nats {
            Some(nats) => nats_kv::check::check(tiers::nats_servers(nats)).await,
            None => return Vec::new(),
        },
        RemoteTier::Redis(redis) => {
            redis::check::check(tiers::redis_servers(redis, login, fleet)).await
        }
        RemoteTier::Memcached(hosts) => {
            memcached::check::check(tiers::memcached_servers(hosts, login, fleet)).await
        }
    };
    let mut findings = lines(found);
    if config.nats.is_none() {
        let text = "remote: without --nats this pod's log is its own, so that pods do not believe each other's values; --nats URL --fleet NAME is safe";
        findings.push(Finding::Warning(text.into()));
    }
    findings
}

fn lines(found: Findings) -> Vec<Finding> {
    let good = found.good.into_iter().map(Finding::Good);
    let warnings = found.warnings.into_iter().map(Finding::Warning);
    let errors = found.errors.into_iter().map(Finding::Error);
    good.chain(warnings).chain(errors).collect()
}

/// This process's memory limit, if its cgroup has one.
fn cgroup_limit() -> Option<u64> {
    let files = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let mut limits = files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok());
    let limit = limits.find_map(|text| text.trim().parse::<u64>().ok())?;
    // The older interface says "none" with a number near 2^63.
    (limit < 1 << 60).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::load(&Flags::default()).expect("the defaults are good")
    }

    #[test]
    fn caches_larger_than_the_container_are_an_error_that_names_the_safe_value() {
        let findings = memory(&config(), Some(100 << 20));
        assert!(matches!(&findings[..], [Finding::Error(text)] if text.contains("under 50MiB")));
        let findings = memory(&config(), Some(1 << 30));
        assert!(matches!(&findings[..], [Finding::Good(_)]));
    }
}
