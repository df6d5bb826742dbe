//! Partitions by nftables, on one host: packets to or from others are dropped,
//! or refused with a reset. They compose: each has a table of its own.

use super::{Fault, Kind, lasts};
use crate::fleet::Fleet;
use crate::network::Host;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// Partitions for as long as the fault lasts.
pub(super) async fn apply(fault: &Fault, fleet: &Fleet) {
    let (host, others) = ends(fault, fleet);
    let others: Vec<_> = others.iter().map(Ipv4Addr::to_string).collect();
    host.filter(&fault.name, &chains(fault.kind, &others.join(", ")));
    lasts(fault).await;
    host.unfilter(&fault.name);
}

/// Whose rules, and about whom.
fn ends<'a>(fault: &Fault, fleet: &'a Fleet) -> (&'a Host, Vec<Ipv4Addr>) {
    let nodes = &fleet.cluster.nodes;
    let all = nodes.iter().map(|node| node.host.address);
    match fault.kind {
        Kind::NodeFromNode | Kind::NodeToNodeOneWay => {
            let own = &nodes[fault.node].host;
            (own, all.filter(|other| *other != own.address).collect())
        }
        // The proxy is how the last pod reaches them.
        _ => {
            let all = all.chain([fleet.proxy.address()]);
            (&fleet.pods[fault.pod].host, all.collect())
        }
    }
}

fn chains(kind: Kind, others: &str) -> String {
    let (to, from) = match kind {
        Kind::PodFromNatsReset => (Some("meta l4proto tcp reject with tcp reset"), None),
        Kind::PodToNatsOneWay | Kind::NodeToNodeOneWay => (Some("drop"), None),
        Kind::NatsToPodOneWay => (None, Some("drop")),
        _ => (Some("drop"), Some("drop")),
    };
    let mut text = String::new();
    for (hook, whose, verdict) in [("output", "daddr", to), ("input", "saddr", from)] {
        if let Some(verdict) = verdict {
            let rule = format!("ip {whose} {{ {others} }} {verdict}");
            let chain = format!("chain {hook} {{\ntype filter hook {hook} priority 0\n{rule}\n}}");
            writeln!(text, "{chain}").expect("a string takes it");
        }
    }
    text
}
