//! Get and BatchGet of what only the remote tier has, for each tier, beside the
//! bare echo and the bare client's read of as many bytes. BatchGet stands beside
//! two echoes: one of a single value, and one of as many as it answers.
//!
//! One pod writes, another reads every key once: its L1 has none of them.

mod bare;

use crate::figure::Figure;
use crate::goal::{Bound, Row};
use crate::part::Part;
use crate::processes::Running;
use crate::samples::Samples;
use crate::{ROUNDS, Result, calls, processes, rounds};
use bare::Bare;
use std::time::Instant;
use tonic::transport::Channel;
use unstale_tests::{Memcached, Redis, RedisCluster};

/// Single reads in one round, and reads of [`calls::BATCH`] keys.
const GETS: usize = 400;
const BATCHES: usize = 30;

const WORDS: &str = "1 KiB values which only the remote tier has: one pod wrote them, another reads each once, one call at \
a time. The reference is what an application without a cache would do, and a trip to a sidecar: one call of the bare echo, \
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
        bench.single(name, &mut part).await?;
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
    async fn single(&mut self, name: &str, part: &mut Part) -> Result<()> {
        let (mut measured, mut reference) = (Samples::default(), Samples::default());
        for round in 0..=ROUNDS {
            // The round before the first warms everything up.
            if round == 1 {
                (measured, reference) = (Samples::default(), Samples::default());
            }
            let keys = calls::keys(&format!("one/{round}"), rounds::some(GETS));
            calls::fill(&self.fleet.writer, &keys).await?;
            for at in 0..rounds::some(GETS) {
                let begin = Instant::now();
                calls::echo(self.echo).await?;
                self.bare.get(at).await?;
                reference.add(begin);
            }
            for key in &keys {
                let begin = Instant::now();
                calls::get_remote(&self.fleet.reader, key).await?;
                measured.add(begin);
            }
        }
        let (row, bare) = (format!("Get, 1 KiB in {name}"), "bare echo + bare get");
        let goal = Row::latency(&format!("{row}: p50"), &measured, (bare, &reference));
        part.goals.push(goal.goal(Bound::AtMost(1.3)));
        part.figures.push(Figure::of(&row, "unstale", &measured));
        part.figures.push(Figure::of(&row, bare, &reference));
        Ok(())
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
