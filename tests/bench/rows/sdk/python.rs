//! The Python client beside grpcio and redis-py, each in a process of its own
//! (bench/python/client.py) that is idle while another is measured.

use super::{CALLS, ROUNDS, Servers};
use crate::figure::Figure;
use crate::goal::{Bound, Row};
use crate::part::Part;
use crate::rounds::Measured;
use crate::scripts::Client;
use crate::{Result, rounds};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/python/client.py");

/// Tasks of an event loop, as client.py has them, and the calls of each.
const TASKS: usize = 64;
const CALLS_OF_A_TASK: usize = 10;
/// Rounds of them.
const TASK_ROUNDS: usize = 20;

/// Over each transport, then what the transport says little about.
pub(super) fn measure(servers: &Servers, part: &mut Part) -> Result<()> {
    let (tcp, redis) = (servers.cache.tcp(), servers.redis.port());
    let (uds, socket) = (servers.cache.uds(), &servers.redis_socket);
    let mut over_uds = Clients::start(&uds, socket)?;
    let mut over_tcp = Clients::start(&tcp, &format!("http://127.0.0.1:{redis}"))?;
    over_uds.gets("Unix socket", servers, part)?;
    over_tcp.gets("TCP", servers, part)?;
    over_uds.tasks(servers, part)?;
    over_uds.decorated(servers, part)
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
            unstale: Client::start("python", &[SCRIPT, "unstale", sidecar])?,
            grpcio: Client::start("python", &[SCRIPT, "grpcio", sidecar])?,
            redis: Client::start("python", &[SCRIPT, "redis", redis])?,
        })
    }

    fn gets(&mut self, transport: &str, servers: &Servers, part: &mut Part) -> Result<()> {
        let (cache, redis) = (servers.cache.pid(), servers.redis.pid());
        let name = format!("Python get, 1 KiB in L1, {transport}");
        let mut turns = [
            Turn::new("unstale", cache, &mut self.unstale, "get"),
            Turn::new("grpcio", cache, &mut self.grpcio, "get"),
            Turn::new("redis-py, hiredis", redis, &mut self.redis, "get"),
        ];
        measure_all(&mut turns, CALLS, rounds::some(ROUNDS))?;
        let figures = turns.each_ref().map(|turn| turn.figure(&name));
        let [own, grpcio, redis] = &figures;
        for (other, most) in [(grpcio, 0.6), (redis, 1.5)] {
            let goal = Row::latency(&format!("{name}: p50"), own, other);
            part.goals.push(goal.goal(Bound::AtMost(most)));
        }
        part.figures.extend(figures);
        Ok(())
    }

    /// All tasks together, and the time of one call.
    fn tasks(&mut self, servers: &Servers, part: &mut Part) -> Result<()> {
        let name = "Python asyncio get, 64 tasks, Unix socket: time per call";
        let (cache, redis) = (servers.cache.pid(), servers.redis.pid());
        let mut turns = [
            Turn::new("unstale", cache, &mut self.unstale, "tasks"),
            Turn::new("redis-py asyncio, hiredis", redis, &mut self.redis, "tasks"),
        ];
        measure_all(&mut turns, CALLS_OF_A_TASK, rounds::some(TASK_ROUNDS))?;
        let figures = turns.each_ref().map(|turn| of_tasks(turn.figure(name)));
        let [own, redis] = &figures;
        part.goals
            .push(Row::latency(name, own, redis).goal(Bound::AtMost(1.0)));
        part.figures.extend(figures);
        Ok(())
    }

    /// Of one process: the calls differ by less than two processes do.
    fn decorated(&mut self, servers: &Servers, part: &mut Part) -> Result<()> {
        let (cache, mut figures) = (servers.cache.pid(), Vec::new());
        // One process is in two turns: a round of each at a time.
        let mut get = Measured::of(&[cache]);
        let mut decorated = Measured::of(&[cache]);
        for round in 0..=rounds::some(ROUNDS) {
            for (what, measured) in [("get", &mut get), ("decorated", &mut decorated)] {
                if round == 1 {
                    *measured = Measured::of(&[cache]);
                }
                let began = measured.begin()?;
                let times = self.unstale.measure(what, CALLS)?;
                measured.end(began, times)?;
            }
        }
        for measured in [&get, &decorated] {
            figures.push(measured.figure("Python decorated function", "unstale", 1, 1));
        }
        let more = figures[1].p50_us - figures[0].p50_us;
        let name = "Python decorated function, beyond its get: p50";
        let row = Row::alone(name, format!("{more:+.1} µs"), more, "µs");
        part.goals.push(row.goal(Bound::AtMost(5.0)));
        part.figures.extend(figures.pop());
        Ok(())
    }
}

/// A client whose turn comes round after round.
struct Turn<'a> {
    name: &'static str,
    client: &'a mut Client,
    what: &'static str,
    measured: Measured,
    server: u32,
}

impl<'a> Turn<'a> {
    fn new(name: &'static str, server: u32, client: &'a mut Client, what: &'static str) -> Self {
        Self {
            name,
            client,
            what,
            measured: Measured::of(&[server]),
            server,
        }
    }

    fn figure(&self, row: &str) -> Figure {
        self.measured.figure(row, self.name, 1, 1)
    }
}

/// Every client's calls, in rounds that take turns.
fn measure_all(turns: &mut [Turn<'_>], calls: usize, rounds: usize) -> Result<()> {
    for round in 0..=rounds {
        for turn in &mut *turns {
            if round == 1 {
                turn.measured = Measured::of(&[turn.server]);
            }
            let began = turn.measured.begin()?;
            let times = turn.client.measure(turn.what, calls)?;
            turn.measured.end(began, times)?;
        }
    }
    Ok(())
}

/// What was measured of all tasks' calls together, by call.
fn of_tasks(all: Figure) -> Figure {
    let calls = (TASKS * CALLS_OF_A_TASK) as f64;
    Figure {
        in_flight: Some(TASKS),
        p50_us: all.p50_us / calls,
        p99_us: all.p99_us / calls,
        p999_us: 0.0,
        per_second: all.per_second.map(|rounds| rounds * calls),
        cpu_us: all.cpu_us.map(|cpu| cpu / calls),
        ..all
    }
}
