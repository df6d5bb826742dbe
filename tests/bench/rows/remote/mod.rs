//! Get and BatchGet of what only the remote tier has, for each tier, beside the
//! bare echo and the bare client's read of as many bytes. BatchGet stands beside
//! two echoes: one of a single value, and one of as many as it answers.
//!
//! One pod writes, another reads every key once: its L1 has none of them.

mod bare;

use super::reads::{IN_FLIGHT, SIZES};
use crate::contender::{Contender, Length};
use crate::figure::{Figure, size};
use crate::goal::{Bound, Row};
use crate::part::Part;
use crate::processes::Running;
use crate::rounds::compared_for;
use crate::{Result, calls, processes};
use bare::{Bare, Clients};
use std::ops::Range;
use std::sync::Arc;
use tonic::transport::Channel;
use unstale_tests::{Memcached, Redis, RedisCluster};

/// Single reads in one round, so many that there are ten above a p99.9; of the
/// longest values fewer, as all of them are written.
const GETS: u64 = 2000;
const LONG_GETS: u64 = 400;
/// Reads of [`calls::BATCH`] keys in one round.
const BATCHES: u64 = 64;
/// More than what one round reads has room in it.
const MEMCACHED: [&str; 2] = ["-m", "1024"];

const WORDS: &str = "Values which only the remote tier has: one pod wrote them, another reads each once; batches of 1 KiB \
values. Memcached has a connection for each call under way. The reference is what an application without a cache would do, and a \
trip to a sidecar: one call of the bare echo, then the bare client's read of as much from the same server. Processor time and \
memory are those of the pod that reads, or of the echo, with the tier's servers; operations and processor time of a batch are \
per key. Of batches with 64 in flight each client makes one call a round, of 16 KiB values six: that many at once, from idle. Pods run with \
`--remote-concurrency 8192`: by default they refuse 64 batches of 100 at once.";

/// Single reads and batches of each tier.
pub(super) async fn part(sidecar: &str, nats: &str) -> Result<Part> {
    let nats = processes::nats(nats)?;
    let (redis, valkey) = (Redis::start(), Redis::valkey());
    let memcached = Memcached::with(&MEMCACHED);
    let cluster = RedisCluster::start().await;
    let process = processes::echo()?;
    let echo = (process.connected().await?, process.pid());
    let nodes: Vec<u32> = cluster.nodes.iter().map(Redis::pid).collect();
    let tiers = [
        Tier {
            name: "Redis",
            url: Some(redis.url()),
            bare: Bare::redis(redis.port()).await?,
            servers: vec![redis.pid()],
        },
        Tier {
            name: "Valkey",
            url: Some(valkey.url()),
            bare: Bare::redis(valkey.port()).await?,
            servers: vec![valkey.pid()],
        },
        Tier {
            name: "a Redis cluster of 3",
            url: Some(cluster.url()),
            bare: Bare::cluster(cluster.nodes[0].port()).await?,
            servers: nodes,
        },
        Tier {
            name: "memcached",
            url: Some(memcached.url()),
            bare: Bare::memcached(memcached.port()).await?,
            servers: vec![memcached.pid()],
        },
        Tier {
            name: "NATS",
            url: None,
            bare: Bare::nats(nats.port).await?,
            servers: vec![nats.pid()],
        },
    ];
    let mut part = Part::new("remote", "Reads of the remote tier", WORDS);
    for tier in tiers {
        let fleet = Fleet::start(sidecar, nats.port, &tier).await?;
        let echo = echo.clone();
        let mut bench = Bench { fleet, echo, tier };
        for in_flight in IN_FLIGHT {
            for bytes in SIZES {
                bench.single((bytes, in_flight), &mut part).await?;
            }
        }
        for in_flight in IN_FLIGHT {
            bench.batch(in_flight, &mut part).await?;
        }
    }
    Ok(part)
}

/// A remote tier.
struct Tier {
    name: &'static str,
    /// None: the one that pods have by themselves.
    url: Option<String>,
    bare: Bare,
    servers: Vec<u32>,
}

/// A pod that writes and one that reads.
struct Fleet {
    writer: Channel,
    reader: Channel,
    pods: [Running; 2],
}

impl Fleet {
    async fn start(sidecar: &str, nats: u16, tier: &Tier) -> Result<Self> {
        let url = format!("nats://127.0.0.1:{nats}");
        let fleet = tier.name.replace(' ', "-").to_lowercase();
        let mut flags = vec!["--nats", &url, "--fleet", &fleet];
        flags.extend(["--remote-concurrency", "8192"]);
        flags.extend(tier.url.iter().flat_map(|remote| ["--remote", remote]));
        let pods = [
            processes::sidecar(sidecar, &flags)?,
            processes::sidecar(sidecar, &flags)?,
        ];
        Ok(Self {
            writer: pods[0].in_fleet_of(2).await?,
            reader: pods[1].in_fleet_of(2).await?,
            pods,
        })
    }
}

/// What one tier is measured with.
struct Bench {
    fleet: Fleet,
    echo: (Channel, u32),
    tier: Tier,
}

impl Bench {
    async fn single(&mut self, (bytes, in_flight): (usize, usize), part: &mut Part) -> Result<()> {
        let clients = self.tier.bare.clients(in_flight).await?;
        let contenders = [
            self.bare(bytes, clients),
            self.reader(format!("one/{bytes}/{in_flight}"), bytes),
        ];
        let row = format!("Get, {} in {}", size(bytes), self.tier.name);
        let length = Length::Calls(if bytes > 1024 { LONG_GETS } else { GETS });
        let figures = compared_for(length, &row, &contenders, in_flight, 1).await?;
        let figures = figures.into_iter().map(|figure| figure.bytes(bytes));
        let figures: Vec<Figure> = figures.collect();
        let [reference, own] = &figures[..] else {
            return Err("there are two contenders".into());
        };
        let name = format!("{row}{}: p50", flying(in_flight));
        let goal = Row::latency(&name, own, reference);
        part.goals.push(goal.goal(Bound::AtMost(1.3)));
        part.figures.extend(figures);
        Ok(())
    }

    /// Reads each key once that the other pod wrote before.
    fn reader(&self, name: String, bytes: usize) -> Contender {
        let (writer, reader) = (self.fleet.writer.clone(), self.fleet.reader.clone());
        let key = move |number: u64| format!("{name}/{number}");
        let written = key.clone();
        Contender::new("unstale", &self.servers(), move |number| {
            let (reader, key) = (reader.clone(), key(number));
            async move { calls::get_remote(&reader, &key, bytes).await }
        })
        .prepared(move |numbers: Range<u64>| {
            let (writer, keys) = (writer.clone(), numbers.map(&written).collect::<Vec<_>>());
            async move { calls::fill_with(&writer, &keys, &calls::value(bytes)).await }
        })
    }

    /// The processes that serve a read.
    fn servers(&self) -> Vec<u32> {
        let reader = [self.fleet.pods[1].pid()];
        [&reader[..], &self.tier.servers].concat()
    }

    fn reference_servers(&self) -> Vec<u32> {
        [&[self.echo.1][..], &self.tier.servers].concat()
    }

    /// One call of the echo and one of a bare client each time.
    fn bare(&self, bytes: usize, clients: Arc<Clients>) -> Contender {
        let (echo, servers) = (self.echo.0.clone(), self.reference_servers());
        Contender::new("bare echo + bare get", &servers, move |number| {
            let (echo, clients) = (echo.clone(), clients.clone());
            async move {
                calls::echo_of(&echo, calls::key(bytes), &calls::value(bytes)).await?;
                let mut client = clients.take()?;
                client.get(number, bytes).await?;
                clients.give(client);
                Ok(())
            }
        })
    }

    /// Beside the bare echo of one value, and of as many.
    async fn batch(&mut self, in_flight: usize, part: &mut Part) -> Result<()> {
        let clients = self.tier.bare.clients(in_flight).await?;
        let contenders = [
            self.many("bare echo", &clients, false),
            self.many("bare echo of 100 x 1 KiB", &clients, true),
            self.batches(in_flight),
        ];
        let row = format!("BatchGet, 100 x 1 KiB in {}", self.tier.name);
        let length = Length::Calls(BATCHES);
        let figures = compared_for(length, &row, &contenders, in_flight, calls::BATCH).await?;
        let [one, as_many, own] = &figures[..] else {
            return Err("there are three contenders".into());
        };
        for reference in [one, as_many] {
            let name = format!("{row}{}: p50", flying(in_flight));
            let goal = Row::latency(&name, own, reference);
            part.goals.push(goal.goal(Bound::AtMost(1.5)));
        }
        part.figures.extend(figures);
        Ok(())
    }

    fn many(&self, name: &str, clients: &Arc<Clients>, as_many: bool) -> Contender {
        let name = format!("{name} + {}", self.tier.bare.many_is());
        let (echo, clients) = (self.echo.0.clone(), clients.clone());
        let keys: Arc<[String]> = calls::keys("many", calls::BATCH).into();
        Contender::new(&name, &self.reference_servers(), move |_| {
            let (echo, clients, keys) = (echo.clone(), clients.clone(), keys.clone());
            async move {
                match as_many {
                    true => calls::echo_many(&echo, &keys).await?,
                    false => calls::echo(&echo).await?,
                }
                let mut client = clients.take()?;
                client.many().await?;
                clients.give(client);
                Ok(())
            }
        })
    }

    fn batches(&self, in_flight: usize) -> Contender {
        let (writer, reader) = (self.fleet.writer.clone(), self.fleet.reader.clone());
        let keys = move |number| calls::keys(&format!("many/{in_flight}/{number}"), calls::BATCH);
        Contender::new("unstale", &self.servers(), move |number| {
            let (reader, keys) = (reader.clone(), keys(number));
            async move { calls::batch_get_remote(&reader, &keys).await }
        })
        .prepared(move |numbers: Range<u64>| {
            let (writer, keys) = (writer.clone(), numbers.flat_map(keys).collect::<Vec<_>>());
            async move { calls::fill(&writer, &keys).await }
        })
    }
}

fn flying(in_flight: usize) -> String {
    match in_flight {
        1 => String::new(),
        _ => format!(", {in_flight} in flight"),
    }
}
