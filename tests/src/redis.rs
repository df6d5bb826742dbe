//! Real Redis and Valkey servers, alone and as a cluster of three. Nothing is
//! kept over a restart unless asked for.

use crate::place::{self, free_port};
use crate::server::Server;
use crate::wait::eventually;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a cluster may take to be whole.
const WHOLE: Duration = Duration::from_secs(30);
/// Slots of a cluster.
const SLOTS: u32 = 16_384;

/// A Redis or Valkey server; killed when it is dropped.
pub struct Redis {
    server: Server,
    password: Option<String>,
}

impl Redis {
    /// Starts a Redis and waits until it listens.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a Valkey.
    pub fn valkey() -> Self {
        Self::valkey_with(&[])
    }

    /// Starts a Valkey with more arguments.
    pub fn valkey_with(more: &[&str]) -> Self {
        Self::of(place::valkey_server(), free_port(), more)
    }

    /// Starts a Redis with more arguments: `["--maxmemory", "10mb"]`.
    pub fn with(more: &[&str]) -> Self {
        Self::of(place::redis_server(), free_port(), more)
    }

    /// Starts a Sentinel that watches this primary under a name.
    pub fn sentinel(primary: &Self, name: &str) -> Self {
        let mut server = Server::new(place::redis_server(), free_port());
        let (port, watched) = (server.port(), primary.port());
        let file = server.dir().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\n\
             sentinel monitor {name} 127.0.0.1 {watched} 1\n\
             sentinel down-after-milliseconds {name} 1000\n\
             sentinel failover-timeout {name} 5000\n"
        );
        std::fs::write(&file, text).expect("written");
        server.arguments([file.as_os_str()]);
        server.arguments(["--sentinel"]);
        server.start();
        let password = None;
        Self { server, password }
    }

    /// Starts a Redis that speaks TLS only, with the users of a file.
    pub fn tls(certificate: &Path, key: &Path, ca: &Path, users: &Path) -> Self {
        let mut server = Server::new(place::redis_server(), free_port());
        let port = server.port().to_string();
        server.arguments(["--port", "0", "--tls-port", &port, "--bind", "127.0.0.1"]);
        server.arguments(["--save", "", "--tls-auth-clients", "no", "--aclfile"]);
        server.arguments([users]);
        for (name, file) in [("cert", certificate), ("key", key), ("ca-cert", ca)] {
            server.arguments([format!("--tls-{name}-file")]);
            server.arguments([file]);
        }
        server.start();
        let password = None;
        Self { server, password }
    }

    fn of(binary: PathBuf, port: u16, more: &[&str]) -> Self {
        let mut server = Server::new(binary, port);
        server.arguments(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
        server.arguments(["--save", "", "--appendonly", "no"]);
        server.arguments(more.iter().copied());
        server.start();
        let mut at = more.iter().skip_while(|more| **more != "--requirepass");
        let password = at.nth(1).map(|password| (*password).to_owned());
        Self { server, password }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.server.id()
    }

    /// The remote tier's setting.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// Ends the process at once, as a crash would.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts it (again) on the same port.
    pub fn restart(&mut self) {
        self.server.start();
    }

    /// Stops it as a machine that hangs would.
    pub fn pause(&self) {
        self.server.pause();
    }

    /// Lets it go on after [`Redis::pause`].
    pub fn go_on(&self) {
        self.server.go_on();
    }

    /// What everybody has to say from now on; connections that are there stay.
    /// None: nothing.
    pub fn set_password(&mut self, password: Option<&str>) {
        let set = ["CONFIG", "SET", "requirepass", password.unwrap_or_default()];
        assert_eq!(self.command(&set), "+OK");
        self.password = password.map(str::to_owned);
    }

    /// One field of INFO.
    pub fn info(&self, section: &str, field: &str) -> String {
        let info = self.command(&["INFO", section]);
        let lines = info.lines().filter_map(|line| line.split_once(':'));
        let found = lines.into_iter().find(|(name, _)| *name == field);
        let (_, value) = found.unwrap_or_else(|| panic!("no {field} in:\n{info}"));
        value.to_owned()
    }

    /// One command that is answered with a list of strings.
    pub fn command_lines(&self, words: &[&str]) -> Vec<String> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port())).expect("it listens");
        let mut answers = BufReader::new(socket.try_clone().expect("a second handle"));
        send(&mut socket, words);
        let count = receive(&mut answers);
        let count = count.strip_prefix('*').and_then(|n| n.parse().ok());
        let each = (0..count.expect("a list")).map(|_: usize| receive(&mut answers));
        each.collect()
    }

    /// One command; the answer as the server writes it: `+OK`, `-ERR …`, a
    /// number, or the bytes of a string.
    pub fn command(&self, words: &[&str]) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port())).expect("it listens");
        let mut answers = BufReader::new(socket.try_clone().expect("a second handle"));
        if let Some(password) = &self.password {
            send(&mut socket, &["AUTH", password]);
            assert_eq!(receive(&mut answers), "+OK");
        }
        send(&mut socket, words);
        receive(&mut answers)
    }
}

fn send(socket: &mut TcpStream, words: &[&str]) {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request += &format!("${}\r\n{word}\r\n", word.len());
    }
    socket.write_all(request.as_bytes()).expect("it is sent");
}

fn receive(answers: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    answers.read_line(&mut line).expect("an answer");
    let line = line.trim_end();
    let Some(length) = line.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()) else {
        return line.to_owned();
    };
    let mut bytes = vec![0; length + 2];
    answers.read_exact(&mut bytes).expect("the whole answer");
    bytes.truncate(length);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Three Redis servers that share the slots of a cluster, without replicas.
pub struct RedisCluster {
    /// The servers.
    pub nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts them and waits until they agree.
    pub async fn start() -> Self {
        let node = |_| {
            let bus = free_port().to_string();
            let mode = ["--cluster-enabled", "yes", "--cluster-port", &bus];
            let more = ["--cluster-node-timeout", "2000"];
            (Redis::with(&[&mode[..], &more].concat()), bus)
        };
        let nodes: Vec<(Redis, String)> = (0..3).map(node).collect();
        let (first, bus) = (nodes[0].0.port().to_string(), &nodes[0].1);
        for (i, (node, _)) in (0..).zip(&nodes) {
            let (from, to) = (SLOTS * i / 3, SLOTS * (i + 1) / 3 - 1);
            let range = [
                "CLUSTER",
                "ADDSLOTSRANGE",
                &from.to_string(),
                &to.to_string(),
            ];
            assert_eq!(node.command(&range), "+OK");
            if i > 0 {
                let meet = ["CLUSTER", "MEET", "127.0.0.1", &first, bus];
                assert_eq!(node.command(&meet), "+OK");
            }
        }
        let nodes = nodes.into_iter().map(|(node, _)| node).collect();
        let cluster = Self { nodes };
        cluster.whole().await;
        cluster
    }

    /// Waits until every server says that all slots are served by three.
    pub async fn whole(&self) {
        let ask = || async {
            let said = |node: &Redis| node.command(&["CLUSTER", "INFO"]);
            let whole = |said: &String| {
                said.contains("cluster_state:ok") && said.contains("cluster_size:3")
            };
            let said: Vec<_> = self.nodes.iter().map(said).collect();
            said.iter().all(whole).then_some(()).ok_or(said.concat())
        };
        eventually("a whole cluster", WHOLE, ask).await;
    }

    /// The remote tier's setting: any server leads to all.
    pub fn url(&self) -> String {
        let port = |node: &Redis| format!("127.0.0.1:{}", node.port());
        let hosts: Vec<_> = self.nodes.iter().map(port).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }
}
