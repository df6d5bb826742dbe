//! The outages of a value tier that is one server behind a wire, and the tiers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;
use unstale_tests::{Flow, Memcached, PATIENCE, Redis, Wire, eventually};

/// Longer than a call waits for the tier, shorter than its connection is
/// believed dead.
const SLOW: Duration = Duration::from_millis(800);
const USER: &str = "app";
const FIRST: &str = "sesame";
const PASSWORD: &str = "another";
/// Sizes of values that fill every kind of room of a memcached.
const FILLERS: [usize; 13] = [20, 40, 60, 90, 120, 160, 210, 270, 340, 440, 560, 700, 900];

/// What happens to the value tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outage {
    Killed,
    Stopped,
    Cut,
    Stalled,
    Slow,
    Full,
    ReadOnly,
    Password,
}

/// What still works during an outage; none: some calls do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Works {
    pub(super) reads: Option<bool>,
    pub(super) puts: Option<bool>,
}

impl Works {
    pub(super) fn during(outage: Outage, kind: Kind) -> Self {
        let [no, yes] = [Some(false), Some(true)];
        let (reads, puts) = match (outage, kind) {
            // What is deleted makes room, for a record of its size.
            (Outage::Full, Kind::Memcached) => (yes, None),
            (Outage::Full, _) => (yes, no),
            (Outage::ReadOnly, _) => (yes, no),
            _ => (no, no),
        };
        Self { reads, puts }
    }
}

/// Whose servers they are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Redis,
    Valkey,
    Memcached,
    /// With a user and password, and room for all.
    MemcachedLogin,
}

impl Kind {
    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Redis => "Redis",
            Self::Valkey => "Valkey",
            Self::Memcached | Self::MemcachedLogin => "memcached",
        }
    }
}

enum Server {
    Redis(Redis),
    Memcached(Memcached),
}

/// A value tier of one server.
pub(super) struct Tier {
    server: Server,
    wire: Wire,
    /// Whether it wants a user and password from the start.
    login: bool,
    /// Whose copy it becomes.
    primary: Option<Redis>,
}

impl Tier {
    pub(super) async fn start(kind: Kind) -> Self {
        let server = match kind {
            Kind::Redis => Server::Redis(Redis::start()),
            Kind::Valkey => Server::Redis(Redis::valkey()),
            // A small one that never evicts.
            Kind::Memcached => Server::Memcached(Memcached::with(&["-m", "2", "-M"])),
            Kind::MemcachedLogin => Server::Memcached(Memcached::with_login(USER, FIRST)),
        };
        let port = match &server {
            Server::Redis(redis) => redis.port(),
            Server::Memcached(memcached) => memcached.port(),
        };
        let wire = Wire::start(port).await;
        let login = matches!(kind, Kind::MemcachedLogin);
        let primary = None;
        Self {
            server,
            wire,
            login,
            primary,
        }
    }

    /// The settings of its pods.
    pub(super) fn config(&self) -> String {
        let scheme = match self.server {
            Server::Redis(_) => "redis",
            Server::Memcached(_) => "memcached",
        };
        let login = match self.login {
            true => format!("remote_user = \"{USER}\"\nremote_password = \"{FIRST}\"\n"),
            false => String::new(),
        };
        let port = self.wire.port();
        format!("remote = \"{scheme}://127.0.0.1:{port}\"\n{login}")
    }

    pub(super) async fn begin(&mut self, outage: Outage) {
        match outage {
            Outage::Killed => match &mut self.server {
                Server::Redis(redis) => redis.stop(),
                Server::Memcached(memcached) => memcached.stop(),
            },
            Outage::Stopped => match &self.server {
                Server::Redis(redis) => redis.pause(),
                Server::Memcached(memcached) => memcached.pause(),
            },
            Outage::Cut => self.wire.set(Flow::Cut),
            Outage::Stalled => self.wire.set(Flow::Stalled),
            Outage::Slow => self.wire.set(Flow::Slow(SLOW)),
            Outage::Full => match &self.server {
                Server::Redis(redis) => {
                    let full = redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
                    assert_eq!(full, "+OK");
                }
                Server::Memcached(memcached) => fill_up(memcached.port()),
            },
            Outage::ReadOnly => self.becomes_a_replica().await,
            Outage::Password => match &mut self.server {
                Server::Redis(redis) => wants_a_password(redis),
                Server::Memcached(memcached) => memcached.restart_with_login(USER, PASSWORD),
            },
        }
    }

    pub(super) fn end(&mut self, outage: Outage) {
        match outage {
            Outage::Killed => match &mut self.server {
                Server::Redis(redis) => redis.restart(),
                Server::Memcached(memcached) => memcached.restart(),
            },
            Outage::Stopped => match &self.server {
                Server::Redis(redis) => redis.go_on(),
                Server::Memcached(memcached) => memcached.go_on(),
            },
            Outage::Cut | Outage::Stalled | Outage::Slow => self.wire.set(Flow::Free),
            Outage::Full => match &self.server {
                Server::Redis(redis) => {
                    let room = redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
                    assert_eq!(room, "+OK");
                }
                Server::Memcached(memcached) => {
                    assert_eq!(Talk::to(memcached.port()).ask("flush_all"), "OK");
                }
            },
            Outage::ReadOnly => {
                let primary = self.as_redis().command(&["REPLICAOF", "NO", "ONE"]);
                assert_eq!(primary, "+OK");
            }
            Outage::Password => match &mut self.server {
                Server::Redis(redis) => redis.set_password(None),
                Server::Memcached(memcached) => memcached.restart_with_login(USER, FIRST),
            },
        }
    }

    fn as_redis(&self) -> &Redis {
        match &self.server {
            Server::Redis(redis) => redis,
            Server::Memcached(_) => panic!("no Redis"),
        }
    }

    /// Of a server that has what it has.
    async fn becomes_a_replica(&mut self) {
        let server = self.as_redis();
        let primary = match server.command(&["INFO", "server"]).contains("valkey") {
            true => Redis::valkey(),
            false => Redis::start(),
        };
        follows(&primary, server).await;
        assert_eq!(primary.command(&["REPLICAOF", "NO", "ONE"]), "+OK");
        follows(server, &primary).await;
        self.primary = Some(primary);
    }
}

/// Makes a replica of `primary`, and waits until it has everything.
async fn follows(replica: &Redis, primary: &Redis) {
    let of = ["REPLICAOF", "127.0.0.1", &primary.port().to_string()];
    assert_eq!(replica.command(&of), "+OK");
    let ask = || async {
        let link = replica.info("replication", "master_link_status");
        (link == "up").then_some(()).ok_or(link)
    };
    eventually("a replica", PATIENCE, ask).await;
}

/// Nobody who is connected is asked, so that connections have to end.
fn wants_a_password(redis: &mut Redis) {
    redis.set_password(Some(PASSWORD));
    let killed = redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    assert!(killed.starts_with(':'), "{killed}");
}

/// Leaves no room for values of any size that matters.
fn fill_up(port: u16) {
    let mut talk = Talk::to(port);
    for size in FILLERS {
        let value = "x".repeat(size);
        let is_full = |n: u32| {
            let set = format!("set filler:{size}:{n} 0 0 {size}\r\n{value}");
            talk.ask(&set).starts_with("SERVER_ERROR")
        };
        assert!((0..100_000).any(is_full), "there is always room");
    }
}

/// A plain conversation with a memcached.
struct Talk(BufReader<TcpStream>);

impl Talk {
    fn to(port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        socket.set_nodelay(true).expect("a socket");
        Self(BufReader::new(socket))
    }

    /// One question, and the first line of the answer.
    fn ask(&mut self, question: &str) -> String {
        let asked = self
            .0
            .get_mut()
            .write_all(format!("{question}\r\n").as_bytes());
        asked.expect("it takes the question");
        let mut line = String::new();
        self.0.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }
}
