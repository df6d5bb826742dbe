//! `unstale check`: reads the settings as `serve` would, asks the servers, and
//! names what is unsafe with the safe value. Changes nothing anywhere.

use super::settings;
use crate::config::{Config, Flags, show_size};
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
    findings.extend(memory(&config, cgroup_limit()));
    findings.extend(exposure(&config));
    findings.extend(replicas(&config));
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
        crate::config::RemoteTier::Memory => config.memory_bytes,
        crate::config::RemoteTier::Nats => 0,
    };
    let wanted = config.l1_bytes + local;
    let Some(limit) = limit else {
        return vec![Finding::Good("memory: no container limit".into())];
    };
    // Besides the caches: the process itself, connections, requests in flight.
    let safe = limit / 2;
    let (wants, has, keep) = (show_size(wanted), show_size(limit), show_size(safe));
    if wanted >= limit {
        let text = format!(
            "memory: l1_bytes and memory_bytes are {wants}, the container has {has}; keep them under {keep} together"
        );
        return vec![Finding::Error(text)];
    }
    if wanted > safe {
        let text = format!(
            "memory: l1_bytes and memory_bytes are {wants} of the container's {has}; keep them under {keep} together"
        );
        return vec![Finding::Warning(text)];
    }
    vec![Finding::Good(format!(
        "memory: {wants} of the container's {has}"
    ))]
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

/// What the servers say.
fn servers(config: &Config) -> Vec<Finding> {
    let Some(nats) = &config.nats else {
        return Vec::new();
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return vec![Finding::Error(error.to_string())],
    };
    let connection = crate::tiers::connection(nats);
    let found = runtime.block_on(crate::nats::check::check(connection, &nats.fleet));
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
    use crate::config::gather;

    fn config() -> Config {
        let flags = Flags::default();
        assert!(gather(&flags, &|_| None).is_ok());
        Config::load(&flags).expect("the defaults are good")
    }

    #[test]
    fn caches_larger_than_the_container_are_an_error_that_names_the_safe_value() {
        let findings = memory(&config(), Some(100 << 20));
        assert!(matches!(&findings[..], [Finding::Error(text)] if text.contains("under 50MiB")));
        let findings = memory(&config(), Some(1 << 30));
        assert!(matches!(&findings[..], [Finding::Good(_)]));
    }
}
