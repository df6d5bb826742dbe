//! The Python client beside grpcio and redis-py, each in a process of its own
//! (bench/python/client.py) that is idle while another is measured.

use super::{CALLS, ROUNDS, Servers};
use crate::Result;
use crate::samples::Samples;
use crate::table::Row;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Tasks of an event loop, as client.py has them, and the calls of each.
const TASKS: u32 = 64;
const CALLS_OF_A_TASK: usize = 10;

/// Rows of each transport, then those that the transport says little about.
pub(super) fn rows(servers: &Servers) -> Result<Vec<Row>> {
    let (tcp, redis) = (servers.cache.tcp(), servers.redis.port());
    let (uds, socket) = (servers.cache.uds(), &servers.redis_socket);
    let mut over_uds = Clients::start(&uds, socket)?;
    let mut over_tcp = Clients::start(&tcp, &format!("http://127.0.0.1:{redis}"))?;
    let mut rows = over_uds.gets("Unix socket")?;
    rows.extend(over_tcp.gets("TCP")?);
    rows.push(over_uds.tasks()?);
    rows.push(over_uds.decorated()?);
    Ok(rows)
}

/// The three clients over one transport.
struct Clients {
    unstale: Client,
    grpcio: Client,
    redis: Client,
}

impl Clients {
    fn start(sidecar: &str, redis: &str) -> Result<Self> {
        Ok(Self {
            unstale: Client::start("unstale", sidecar)?,
            grpcio: Client::start("grpcio", sidecar)?,
            redis: Client::start("redis", redis)?,
        })
    }

    fn gets(&mut self, transport: &str) -> Result<Vec<Row>> {
        let mut turns = [&mut self.unstale, &mut self.grpcio, &mut self.redis];
        let turns = turns.each_mut().map(|client| (&mut **client, "get"));
        let [own, grpcio, redis] = measured(turns)?;
        let name = format!("Python get, 1 KiB in L1, {transport}");
        Ok(vec![
            Row::latency(&name, &own, ("grpcio", &grpcio)).goal("≤ 0.6"),
            Row::latency(&name, &own, ("redis-py, hiredis", &redis)).goal("≤ 1.5"),
        ])
    }

    fn tasks(&mut self) -> Result<Row> {
        let (mut own, mut redis) = (Samples::default(), Samples::default());
        for round in 0..=ROUNDS {
            let one = self.unstale.measure("tasks", CALLS_OF_A_TASK)?;
            let other = self.redis.measure("tasks", CALLS_OF_A_TASK)?;
            if round > 0 {
                own.extend(per_call(one));
                redis.extend(per_call(other));
            }
        }
        let name = "Python asyncio get, 64 tasks, Unix socket: time per call";
        Ok(Row::latency(name, &own, ("redis-py asyncio, hiredis", &redis)).goal("≤ 1"))
    }

    /// Of one process: the calls differ by less than two processes do.
    fn decorated(&mut self) -> Result<Row> {
        let (mut get, mut decorated) = (Samples::default(), Samples::default());
        for round in 0..=ROUNDS {
            let one = self.unstale.measure("get", CALLS)?;
            let other = self.unstale.measure("decorated", CALLS)?;
            if round > 0 {
                get.extend(one);
                decorated.extend(other);
            }
        }
        let row = Row::latency("Python decorated function", &decorated, ("get", &get));
        let more = decorated.p50().as_secs_f64() - get.p50().as_secs_f64();
        let more = format!("{:+.1} µs", more * 1e6);
        Ok(row.ratio(more).goal("≤ +5 µs"))
    }
}

/// Every client's calls, in rounds that take turns.
fn measured<const N: usize>(mut clients: [(&mut Client, &str); N]) -> Result<[Samples; N]> {
    let mut samples: [Samples; N] = std::array::from_fn(|_| Samples::default());
    for round in 0..=ROUNDS {
        for ((client, what), samples) in clients.iter_mut().zip(&mut samples) {
            let times = client.measure(what, CALLS)?;
            if round > 0 {
                samples.extend(times);
            }
        }
    }
    Ok(samples)
}

fn per_call(whole: Vec<Duration>) -> impl Iterator<Item = Duration> {
    let calls = TASKS * u32::try_from(CALLS_OF_A_TASK).unwrap_or(u32::MAX);
    whole.into_iter().map(move |whole| whole / calls)
}

/// A Python process that makes calls when it is told to.
struct Client {
    kind: String,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Client {
    fn start(kind: &str, endpoint: &str) -> Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/python/client.py");
        let mut child = Command::new("python")
            .args([script, kind, endpoint])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().ok_or("no stdin")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        Ok(Self {
            kind: kind.to_owned(),
            child,
            orders,
            answers,
        })
    }

    fn measure(&mut self, what: &str, calls: usize) -> Result<Vec<Duration>> {
        writeln!(self.orders, "{what} {calls}")?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(format!("the client {} has ended", self.kind).into());
        }
        let numbers = line.split_whitespace().map(str::parse);
        let times: Vec<u64> = numbers.collect::<std::result::Result<_, _>>()?;
        Ok(times.into_iter().map(Duration::from_nanos).collect())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
