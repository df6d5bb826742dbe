//! Partitions by nftables, on one host: packets to or from others are dropped,
//! or refused with a reset. They compose: each has a table of its own.

use super::{Fault, Kind, lasts};
use crate::fleet::Fleet;
use crate::network::Host;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

/// What a pod calls its two connections.
const LOG: &str = "unstale log";
const REMOTE: &str = "unstale remote";
/// How long a pod may take to have the connection that is spared.
const CONNECTED: Duration = Duration::from_secs(8);

/// Partitions for as long as the fault lasts; whether a packet met it.
pub(super) async fn apply(fault: &Fault, fleet: &Fleet) -> bool {
    cut(fault, fleet, None).await
}

/// Partitions one of a pod's two connections: everything but the other, which
/// needs to be there. Not of the pod behind the proxy, whom servers know by the
/// proxy's address.
pub(super) async fn one_link(fault: &Fault, fleet: &Fleet) -> bool {
    let fault = Fault {
        pod: fault.pod % (fleet.pods.len() - 1),
        ..fault.clone()
    };
    let spared = match fault.kind {
        Kind::LogLinkCut | Kind::LogLinkOneWay => REMOTE,
        _ => LOG,
    };
    let from = fleet.pods[fault.pod].host.address;
    let port = async {
        loop {
            if let Some(port) = fleet.cluster.port_of(from, spared).await {
                return port;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(CONNECTED, port).await {
        Ok(port) => cut(&fault, fleet, Some(port)).await,
        Err(_) => false,
    }
}

/// Cuts all but the connection from the port that is spared.
async fn cut(fault: &Fault, fleet: &Fleet, spared: Option<u16>) -> bool {
    during(fault, fleet, spared, lasts(fault)).await.0
}

/// Cuts a pod from all servers until `work` is done; whether a packet met it,
/// and what came of the work.
pub(super) async fn pod_while<T>(
    fault: &Fault,
    fleet: &Fleet,
    work: impl Future<Output = T>,
) -> (bool, T) {
    let cut = Fault {
        kind: Kind::PodFromNats,
        ..fault.clone()
    };
    during(&cut, fleet, None, work).await
}

/// The rules are in force before `work` begins.
async fn during<T>(
    fault: &Fault,
    fleet: &Fleet,
    spared: Option<u16>,
    work: impl Future<Output = T>,
) -> (bool, T) {
    let (host, others) = ends(fault, fleet);
    let others: Vec<_> = others.iter().map(Ipv4Addr::to_string).collect();
    let rules = chains(fault.kind, &others.join(", "), spared);
    host.filter(&fault.name, &rules);
    let done = work.await;
    let packets = host.unfilter(&fault.name);
    let cut = format!(
        "{} cut {packets} packets of pod {}, spared {spared:?}",
        fault.name, fault.pod
    );
    fleet.history.tell(None, cut);
    (packets > 0, done)
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

fn chains(kind: Kind, others: &str, spared: Option<u16>) -> String {
    let (to, from) = match kind {
        Kind::PodFromNatsReset => (Some("meta l4proto tcp reject with tcp reset"), None),
        Kind::PodToNatsOneWay | Kind::NodeToNodeOneWay => (Some("drop"), None),
        Kind::NatsToPodOneWay | Kind::LogLinkOneWay | Kind::RemoteLinkOneWay => {
            (None, Some("drop"))
        }
        _ => (Some("drop"), Some("drop")),
    };
    let mut text = String::new();
    let ways = [
        ("output", "daddr", "sport", to),
        ("input", "saddr", "dport", from),
    ];
    for (hook, whose, port, verdict) in ways {
        if let Some(verdict) = verdict {
            let but = spared.map_or(String::new(), |spared| format!("tcp {port} != {spared}"));
            let rule = format!("ip {whose} {{ {others} }} {but} counter {verdict}");
            let chain = format!("chain {hook} {{\ntype filter hook {hook} priority 0\n{rule}\n}}");
            writeln!(text, "{chain}").expect("a string takes it");
        }
    }
    text
}
