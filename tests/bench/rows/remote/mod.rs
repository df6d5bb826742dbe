//! Get and BatchGet of what only the remote tier has, for each tier, beside the
//! bare echo and the bare client's read of as many bytes. BatchGet stands beside
//! two echoes: one of a single value, and one of as many as it answers.
//!
//! One pod writes, another reads every key once: its L1 has none of them.

mod bare;

use crate::figure::{Figure, size};
use crate::goal::{Bound, Row};
use crate::part::Part;
use crate::processes::Running;
use crate::samples::Samples;
use crate::{ROUNDS, Result, calls, processes, rounds};
use bare::Bare;
use futures::future::try_join_all;
use std::time::{Duration, Instant};
use tonic::transport::Channel;
use unstale_tests::{Memcached, Redis, RedisCluster};

/// Single reads in one round, and reads of [`calls::BATCH`] keys.
const GETS: usize = 384;
const BATCHES: usize = 30;

/// Bytes of a value that is read alone, and how many calls are under way.
const CELLS: [(usize, usize); 6] = [
    (64, 1),
    (256, 1),
    (1024, 1),
    (16 << 10, 1),
    (1024, 16),
    (1024, 64),
];

const WORDS: &str = "Values which only the remote tier has: one pod wrote them, another reads each once; batches of 1 KiB \
values one call at a time. Memcached has a connection for each call under way. The reference is what an application without a cache would do, and a trip to a sidecar: one call of the bare echo, \
then the bare client's read of as much from the same server.";

/// Single reads and batches of each tier.
pub(super) async fn part(sidecar: &str, nats: &str) -> Result<Part> {
    let nats = processes::nats(nats)?;
    let (redis, valkey, memcached) = (Redis::start(), Redis::valkey(), Memcached::start());
    let cluster = RedisCluster::start().await;
    let echo = processes::echo()?;
    let echo = echo.connected().await?;
    let tiers = [
        ("Redis", Some(redis.url()), Bare::redis(redis.port()).await?),
        (
            "Valkey",
            Some(valkey.url()),
            Bare::redis(valkey.port()).await?,
        ),
        (
            "a Redis cluster of 3",
            Some(cluster.url()),
            Bare::cluster(cluster.nodes[0].port()).await?,
        ),
        (
            "memcached",
            Some(memcached.url()),
            Bare::memcached(memcached.port()).await?,
        ),
        ("NATS", None, Bare::nats(nats.port).await?),
    ];
    let mut part = Part::new("remote", "Reads of the remote tier", WORDS);
    for (name, remote, mut bare) in tiers {
        let fleet = Fleet::start(sidecar, nats.port, name, remote.as_deref()).await?;
        let mut bench = Bench {
            fleet: &fleet,
            echo: &echo,
            bare: &mut bare,
        };
        for cell in CELLS {
            bench.single(name, cell, &mut part).await?;
        }
        bench.batch(name, &mut part).await?;
    }
    Ok(part)
}

/// A pod that writes and one that reads.
struct Fleet {
    writer: Channel,
    reader: Channel,
    _pods: [Running; 2],
}

impl Fleet {
    async fn start(sidecar: &str, nats: u16, name: &str, remote: Option<&str>) -> Result<Self> {
        let (url, fleet) = (format!("nats://127.0.0.1:{nats}"), name.replace(' ', "-"));
        let fleet = fleet.to_lowercase();
        let mut flags = vec!["--nats", &url, "--fleet", &fleet];
        flags.extend(remote.iter().flat_map(|remote| ["--remote", remote]));
        let pods = [
            processes::sidecar(sidecar, &flags)?,
            processes::sidecar(sidecar, &flags)?,
        ];
        Ok(Self {
            writer: pods[0].in_fleet_of(2).await?,
            reader: pods[1].in_fleet_of(2).await?,
            _pods: pods,
        })
    }
}

/// What one tier is measured with.
struct Bench<'a> {
    fleet: &'a Fleet,
    echo: &'a Channel,
    bare: &'a mut Bare,
}

impl Bench<'_> {
    async fn single(
        &mut self,
        name: &str,
        (bytes, in_flight): (usize, usize),
        part: &mut Part,
    ) -> Result<()> {
        let mut clients = Vec::new();
        for _ in 0..in_flight {
            clients.push(self.bare.another().await?);
        }
        let (mut measured, mut reference) = (Samples::default(), Samples::default());
        for round in 0..=ROUNDS {
            // The round before the first warms everything up.
            if round == 1 {
                (measured, reference) = (Samples::default(), Samples::default());
            }
            let name = format!("one/{bytes}/{in_flight}/{round}");
            let keys = calls::keys(&name, rounds::some(GETS));
            calls::fill_with(&self.fleet.writer, &keys, &calls::value(bytes)).await?;
            reference.extend(self.bare_reads(&mut clients, bytes).await?);
            measured.extend(self.reads(&keys, (bytes, in_flight)).await?);
        }
        let (row, bare) = (
            format!("Get, {} in {name}", size(bytes)),
            "bare echo + bare get",
        );
        let goal = match in_flight {
            1 => format!("{row}: p50"),
            _ => format!("{row}, {in_flight} in flight: p50"),
        };
        let goal = Row::latency(&goal, &measured, (bare, &reference));
        part.goals.push(goal.goal(Bound::AtMost(1.3)));
        for (what, samples) in [("unstale", &measured), (bare, &reference)] {
            let mut figure = Figure::of(&row, what, samples).bytes(bytes);
            figure.in_flight = Some(in_flight);
            part.figures.push(figure);
        }
        Ok(())
    }

    /// One call of the echo and one of the bare client each time, by every client.
    async fn bare_reads(&self, clients: &mut [Bare], bytes: usize) -> Result<Vec<Duration>> {
        let calls = (rounds::some(GETS) / clients.len()).max(1);
        let each = clients.iter_mut().map(|client| async move {
            let mut times = Vec::new();
            for at in 0..calls {
                let begin = Instant::now();
                calls::echo_of(self.echo, calls::key(bytes), &calls::value(bytes)).await?;
                client.get(at, bytes).await?;
                times.push(begin.elapsed());
            }
            Ok::<_, crate::Error>(times)
        });
        Ok(try_join_all(each).await?.concat())
    }

    /// Every key once.
    async fn reads(
        &self,
        keys: &[String],
        (bytes, in_flight): (usize, usize),
    ) -> Result<Vec<Duration>> {
        let share = (keys.len() / in_flight).max(1);
        let each = keys.chunks(share).map(|keys| async move {
            let mut times = Vec::new();
            for key in keys {
                let begin = Instant::now();
                calls::get_remote(&self.fleet.reader, key, bytes).await?;
                times.push(begin.elapsed());
            }
            Ok::<_, crate::Error>(times)
        });
        Ok(try_join_all(each).await?.concat())
    }

    /// Beside the bare echo of one value, and of as many.
    async fn batch(&mut self, name: &str, part: &mut Part) -> Result<()> {
        let mut samples: [Samples; 3] = Default::default();
        for round in 0..=ROUNDS {
            if round == 1 {
                samples = Default::default();
            }
            let [measured, reference, as_many] = &mut samples;
            let keys = calls::keys(
                &format!("many/{round}"),
                rounds::some(BATCHES) * calls::BATCH,
            );
            calls::fill(&self.fleet.writer, &keys).await?;
            for _ in 0..rounds::some(BATCHES) {
                let begin = Instant::now();
                calls::echo(self.echo).await?;
                self.bare.many().await?;
                reference.add(begin);
            }
            for keys in keys.chunks(calls::BATCH) {
                let begin = Instant::now();
                calls::echo_many(self.echo, keys).await?;
                self.bare.many().await?;
                as_many.add(begin);
            }
            for keys in keys.chunks(calls::BATCH) {
                let begin = Instant::now();
                calls::batch_get_remote(&self.fleet.reader, keys).await?;
                measured.add(begin);
            }
        }
        let [measured, reference, as_many] = &samples;
        let row = format!("BatchGet, 100 x 1 KiB in {name}");
        let many_is = self.bare.many_is();
        part.figures.push(Figure::of(&row, "unstale", measured));
        let bare = [
            ("bare echo", reference),
            ("bare echo of 100 x 1 KiB", as_many),
        ];
        for (echo, reference) in bare {
            let echo = format!("{echo} + {many_is}");
            let goal = Row::latency(&format!("{row}: p50"), measured, (&echo, reference));
            part.goals.push(goal.goal(Bound::AtMost(1.5)));
            part.figures.push(Figure::of(&row, &echo, reference));
        }
        Ok(())
    }
}
