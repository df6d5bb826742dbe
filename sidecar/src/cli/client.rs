//! The commands that talk to a running sidecar, over the SDK.
//!
//! Values go to stdout untouched; everything for people goes to stderr. The
//! exit code is the answer: see [`exit`].

mod bench;
mod cas;
mod exit;
mod explain;
mod get;
mod interrupts;
mod invalidate;
mod lease;
mod loader;
mod output;
mod own_namespace;
mod peers;
mod reason;
mod retain;
mod set;
mod spread;
mod status;
mod storing;
mod target;
mod value;
mod verify;
mod watch;

use clap::Subcommand;
use std::process::ExitCode;

/// A command for a running sidecar.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Print a cached value.
    Get(get::Get),
    /// Cache a value.
    Set(set::Set),
    /// Cache a value if the cached one is the expected one.
    Cas(cas::Cas),
    /// Print the cached value, or run COMMAND to load it, once in the fleet.
    Lease(lease::Lease),
    /// Make entries unreadable everywhere.
    Invalidate(invalidate::Invalidate),
    /// Refer to a key for a while: no pod evicts its entry meanwhile.
    Retain(retain::Retain),
    /// End a reference to a key.
    Release(retain::Release),
    /// Follow the invalidations of the fleet.
    Watch(watch::Watch),
    /// Show what the sidecar is doing.
    Status(status::Status),
    /// Show who is in the fleet.
    Peers(peers::Peers),
    /// Say why the entry under a key is served, or is not.
    Explain(explain::Explain),
    /// Drive a live fleet and judge every answer; exit 1 on a broken promise.
    Verify(verify::Verify),
    /// Measure a running sidecar: get, set and batches, 1, 16 and 64 at a time.
    Bench(bench::Bench),
}

/// Runs one client command; the exit code is the answer.
pub async fn run(command: ClientCommand) -> ExitCode {
    let ended = match command {
        ClientCommand::Get(get) => get.run().await,
        ClientCommand::Set(set) => set.run().await,
        ClientCommand::Cas(cas) => cas.run().await,
        ClientCommand::Lease(lease) => lease.run().await,
        ClientCommand::Invalidate(invalidate) => invalidate.run().await,
        ClientCommand::Retain(retain) => retain.run().await,
        ClientCommand::Release(release) => release.run().await,
        ClientCommand::Watch(watch) => watch.run().await,
        ClientCommand::Status(status) => status.run().await,
        ClientCommand::Peers(peers) => peers.run().await,
        ClientCommand::Explain(explain) => explain.run().await,
        ClientCommand::Verify(verify) => verify.run().await,
        ClientCommand::Bench(bench) => bench.run().await,
    };
    ended.unwrap_or_else(|failure| failure.report()).into()
}

#[cfg(test)]
mod tests {
    use crate::cli::Cli;
    use clap::{CommandFactory as _, Parser as _};

    fn parses(line: &str) -> bool {
        let words = line.split(' ').filter(|word| !word.is_empty());
        Cli::try_parse_from(std::iter::once("unstale").chain(words)).is_ok()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lines_from_the_manual_are_understood() {
        for line in [
            "get k --json --timeout 2s --namespace shop --endpoint unix:/run/u.sock",
            "set k v --ttl 60s --tag a --tag b --ack fleet --position 1-2",
            "set k -",
            "set k -5",
            "get a b --level strong --min-position 1-2 --max-staleness 5s",
            "get k --level stale-ok --if-none-match e",
            "set k v --stale-for 1h --valid-for 2h --jitter 5s --source-version 7",
            "set k --not-found --ttl 5s --if-absent",
            "cas k v --version 7",
            "cas k v --etag e",
            "cas k - --absent --ttl 1m",
            "cas k --not-found --version 7",
            "invalidate a b --tag t --ack local --reason deploy --id 7",
            "invalidate k --soft --min-source-version 7",
            "invalidate --prefix page: --prefix img/",
            "invalidate --all",
            "watch --position 1-2 --key a --key b --tag t --prefix p:",
            "retain k --owner o --term 30s --drop-at-zero",
            "release k --owner o --json",
            "status --json",
            "peers",
            "explain k --json --namespace shop",
            "invalidate k --traceparent 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "verify --endpoint http://a:7070 --endpoint unix:/run/u.sock --for 5m --rate 1000",
            "verify --namespace probe --json",
            "bench --endpoint unix:/run/u.sock --for 5m --rate 1000000 --bytes 64 --json",
            "bench --namespace probe --bytes 16KiB",
            "lease k --ttl 60s --tag t --wait 30s --term 10s -- curl -s http://x",
            "lease k --stale-for 1h --stale-ok --serve-stale-for 5m --retry-after 2s -- x",
            "lease k --negative-exit 44 --negative-ttl 5s --min-position 1-2 -- x",
        ] {
            assert!(parses(line), "{line}");
        }
    }

    #[test]
    fn lines_that_say_too_little_or_too_much_are_refused() {
        for line in [
            "get",
            "set k",
            "set k v --ttl soon",
            "set k v --ack everyone",
            "set k v --not-found",
            "set k v --if-absent --position 1-2",
            "get k --level certain",
            "cas k v",
            "cas k v --version 7 --absent",
            "cas k v --version 7 --etag e",
            "invalidate --tag t --min-source-version 7",
            "invalidate --soft",
            "lease k --retry-after 2s -- x",
            "lease k --negative-exit 0 -- x",
            "lease k --negative-exit 256 -- x",
            "invalidate",
            "invalidate --ack log",
            "retain k",
            "retain --owner o",
            "retain k --owner o --term ever",
            "release k",
            "explain",
            "explain a b",
            "lease k",
            "lease k --",
            "verify --rate 0",
            "verify --rate 1001",
            "verify --for ever",
            "bench --for 10ms",
            "bench --for 6m",
            "bench --rate 1",
            "bench --bytes 4",
            "bench --bytes 33KiB",
        ] {
            assert!(!parses(line), "{line}");
        }
    }
}
