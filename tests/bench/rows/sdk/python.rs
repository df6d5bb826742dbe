//! The Python client beside grpcio and redis-py, each in a process of its own
//! (bench/python/client.py) that is idle while another is measured.

use super::{CALLS, ROUNDS, Servers};
use crate::figure::Figure;
use crate::goal::{Bound, Row};
use crate::part::Part;
use crate::samples::Samples;
use crate::scripts::Client;
use crate::{Result, rounds};
use std::time::Duration;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/python/client.py");

/// Tasks of an event loop, as client.py has them, and the calls of each.
const TASKS: u32 = 64;
const CALLS_OF_A_TASK: usize = 10;

/// Over each transport, then what the transport says little about.
pub(super) fn measure(servers: &Servers, part: &mut Part) -> Result<()> {
    let (tcp, redis) = (servers.cache.tcp(), servers.redis.port());
    let (uds, socket) = (servers.cache.uds(), &servers.redis_socket);
    let mut over_uds = Clients::start(&uds, socket)?;
    let mut over_tcp = Clients::start(&tcp, &format!("http://127.0.0.1:{redis}"))?;
    over_uds.gets("Unix socket", part)?;
    over_tcp.gets("TCP", part)?;
    over_uds.tasks(part)?;
    over_uds.decorated(part)
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

    fn gets(&mut self, transport: &str, part: &mut Part) -> Result<()> {
        let mut turns = [&mut self.unstale, &mut self.grpcio, &mut self.redis];
        let turns = turns.each_mut().map(|client| (&mut **client, "get"));
        let [own, grpcio, redis] = measured(turns)?;
        let name = format!("Python get, 1 KiB in L1, {transport}");
        for (other, samples, most) in [("grpcio", &grpcio, 0.6), ("redis-py, hiredis", &redis, 1.5)]
        {
            let goal = Row::latency(&format!("{name}: p50"), &own, (other, samples));
            part.goals.push(goal.goal(Bound::AtMost(most)));
        }
        let all = [
            ("unstale", &own),
            ("grpcio", &grpcio),
            ("redis-py, hiredis", &redis),
        ];
        let all = all.map(|(what, samples)| Figure::of(&name, what, samples));
        part.figures.extend(all);
        Ok(())
    }

    fn tasks(&mut self, part: &mut Part) -> Result<()> {
        let (mut own, mut redis) = (Samples::default(), Samples::default());
        for round in 0..=rounds::some(ROUNDS) {
            let one = self.unstale.measure("tasks", CALLS_OF_A_TASK)?;
            let other = self.redis.measure("tasks", CALLS_OF_A_TASK)?;
            if round > 0 {
                own.extend(per_call(one));
                redis.extend(per_call(other));
            }
        }
        let name = "Python asyncio get, 64 tasks, Unix socket: time per call";
        let other = "redis-py asyncio, hiredis";
        part.goals
            .push(Row::latency(name, &own, (other, &redis)).goal(Bound::AtMost(1.0)));
        part.figures.push(Figure::of(name, "unstale", &own));
        part.figures.push(Figure::of(name, other, &redis));
        Ok(())
    }

    /// Of one process: the calls differ by less than two processes do.
    fn decorated(&mut self, part: &mut Part) -> Result<()> {
        let (mut get, mut decorated) = (Samples::default(), Samples::default());
        for round in 0..=rounds::some(ROUNDS) {
            let one = self.unstale.measure("get", CALLS)?;
            let other = self.unstale.measure("decorated", CALLS)?;
            if round > 0 {
                get.extend(one);
                decorated.extend(other);
            }
        }
        let more = (decorated.p50().as_secs_f64() - get.p50().as_secs_f64()) * 1e6;
        let name = "Python decorated function, beyond its get: p50";
        let row = Row::alone(name, format!("{more:+.1} µs"), more, "µs");
        part.goals.push(row.goal(Bound::AtMost(5.0)));
        part.figures.push(Figure::of(
            "Python decorated function",
            "unstale",
            &decorated,
        ));
        Ok(())
    }
}

/// Every client's calls, in rounds that take turns.
fn measured<const N: usize>(mut clients: [(&mut Client, &str); N]) -> Result<[Samples; N]> {
    let mut samples: [Samples; N] = std::array::from_fn(|_| Samples::default());
    for round in 0..=rounds::some(ROUNDS) {
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
