//! Network namespaces on one bridge: a host for every process, and a leg of
//! this process on the same wire.
//!
//! Everything of a network carries its id and is removed by its [`guard`].

mod guard;

pub(crate) use guard::{impossible, sweep};

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What every network's id begins with; the process's id and a letter follow.
const PREFIX: &str = "uc";
/// This process on the wire.
const SELF: u8 = 254;

/// A bridge with hosts; removed when it is dropped, whatever runs in it.
pub(crate) struct Network {
    id: String,
    dir: PathBuf,
    guard: Child,
}

impl Network {
    /// A new one; `number` tells those of this process apart.
    pub(crate) fn open(number: usize) -> Self {
        let id = format!(
            "{PREFIX}{}{}",
            std::process::id(),
            ["a", "b", "c", "d"][number % 4]
        );
        let dir = std::env::temp_dir().join(&id);
        std::fs::create_dir_all(&dir).expect("a directory");
        let guard = guard::of(&id, &dir).stdin(Stdio::piped()).spawn();
        let guard = guard.expect("a guard");
        let network = Self { id, dir, guard };
        network.build();
        network
    }

    fn build(&self) {
        let (switch, leg) = (self.switch(), format!("{}h", self.id));
        ip(&["netns", "add", &switch]);
        ip(&["-n", &switch, "link", "add", "br0", "type", "bridge"]);
        ip(&["-n", &switch, "link", "set", "br0", "up"]);
        self.plug(&["link", "add", &leg], "self");
        let address = format!("{}/24", self.address(SELF));
        ip(&["addr", "add", &address, "dev", &leg]);
        ip(&["link", "set", &leg, "up"]);
    }

    /// Makes a veth pair whose other end is a port of the bridge.
    fn plug(&self, end: &[&str], port: &str) {
        let switch = self.switch();
        let pair = ["type", "veth", "peer", "name", port, "netns", &switch];
        ip(&[end, &pair].concat());
        ip(&["-n", &switch, "link", "set", port, "master", "br0", "up"]);
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.id)
    }

    fn address(&self, host: u8) -> Ipv4Addr {
        // Networks of processes that run at the same time differ.
        let letter = self.id.bytes().last().expect("a letter");
        let number = std::process::id().wrapping_mul(4) + u32::from(letter - b'a');
        Ipv4Addr::new(10, 200 + (number >> 8 & 31) as u8, number as u8, host)
    }

    /// Where this process can be reached.
    pub(crate) fn own_address(&self) -> Ipv4Addr {
        self.address(SELF)
    }

    /// A directory that goes with the network.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A new host.
    pub(crate) fn host(&self, name: &str, number: u8) -> Host {
        let host = Host {
            namespace: format!("{}-{name}", self.id),
            address: self.address(number),
        };
        let (of, port) = (host.namespace.as_str(), format!("p{number}"));
        ip(&["netns", "add", of]);
        self.plug(&["link", "add", "eth0", "netns", of], &port);
        let address = format!("{}/24", host.address);
        ip(&["-n", of, "addr", "add", &address, "dev", "eth0"]);
        for link in ["lo", "eth0"] {
            ip(&["-n", of, "link", "set", link, "up"]);
        }
        host
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // It has nothing to say that could be acted upon here.
        let _ = self.guard.wait();
    }
}

/// One machine on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    namespace: String,
    pub(crate) address: Ipv4Addr,
}

impl Host {
    /// A command that runs there; its process id is the program's own.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.namespace])
            .arg(program);
        command
    }

    /// Adds a table of packet rules of this name.
    pub(crate) fn filter(&self, name: &str, chains: &str) {
        self.nft(&format!("table inet {name} {{\n{chains}}}\n"));
    }

    /// Takes the table away; how many packets its rules had counted.
    pub(crate) fn unfilter(&self, name: &str) -> u64 {
        let mut nft = self.command(Path::new("nft"));
        let table = nft.args(["list", "table", "inet", name]).output();
        let table = table.expect("nft starts").stdout;
        self.nft(&format!("delete table inet {name}\n"));
        let words = String::from_utf8_lossy(&table);
        let mut words = words.split_whitespace();
        let mut packets = 0;
        while words.any(|word| word == "packets") {
            let count = words.next().and_then(|count| count.parse::<u64>().ok());
            packets += count.expect("a number of packets");
        }
        packets
    }

    fn nft(&self, script: &str) {
        let mut nft = self.command(Path::new("nft"));
        let child = nft.args(["-f", "-"]).stdin(Stdio::piped()).spawn();
        let mut child = child.expect("nft starts");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(script.as_bytes()).expect("nft reads");
        drop(input);
        assert!(child.wait().expect("nft ends").success(), "{script}");
    }
}

fn ip(words: &[&str]) {
    let done = Command::new("ip").args(words).output().expect("ip starts");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "ip {}: {said}", words.join(" "));
}
