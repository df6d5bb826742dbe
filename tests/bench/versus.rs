//! Builds of the sidecar against one another: reads of L1 in short rounds that
//! take turns.
//!
//! `bench versus SIDECAR SIDECAR...`; the first is what the others are compared
//! with. What is compared round by round, and then as a median, says something on a
//! machine that is busy with other work, too; rates and times by themselves do not.

use crate::Result;
use crate::calls;
use crate::contender::Contender;
use crate::rounds::{Round, in_turns};
use crate::rows::{Own, hit};

/// Rounds of each; the first warms up.
const ROUNDS: usize = 41;

/// What is read how: size of the value, how many in flight.
const READS: [(usize, usize); 5] = [
    (256, 1),
    (1024, 1),
    (1024, 16),
    (16 << 10, 1),
    (16 << 10, 16),
];

/// The ways to a sidecar.
const WAYS: [&str; 3] = ["TCP", "Unix socket", "stream"];

/// Prints a table.
pub(crate) async fn run(sidecars: &[&str]) -> Result<()> {
    let mut all = Vec::new();
    for sidecar in sidecars {
        all.push((Own::alone(sidecar, &[]).await?, *sidecar));
    }
    println!("| Get, L1 hit | value | in flight | sidecar | p50 | CPU/op | op/s | of the first |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (bytes, in_flight) in READS {
        for (own, _) in &all {
            calls::set_of(&own.uds, calls::key(bytes), calls::value(bytes)).await?;
        }
        for way in WAYS {
            let mut contenders = Vec::new();
            for (own, name) in &all {
                contenders.push(reader(own, name, way, bytes).await?);
            }
            let rounds = in_turns(&contenders, in_flight, ROUNDS).await?;
            for ((_, name), own) in all.iter().zip(&rounds) {
                print(way, bytes, in_flight, name, own, &rounds[0]);
            }
        }
    }
    Ok(())
}

async fn reader(own: &Own, name: &str, way: &str, bytes: usize) -> Result<Contender> {
    let (key, value, pids) = (calls::key(bytes), calls::value(bytes), [own.process.pid()]);
    let channel = match way {
        "stream" => {
            let stream = own.stream().await?;
            return Ok(Contender::new(name, &pids, move |_| {
                let (stream, key, value) = (stream.clone(), key.clone(), value.clone());
                async move { hit(&stream, key, &value).await }
            }));
        }
        "TCP" => own.tcp.clone(),
        _ => own.uds.clone(),
    };
    Ok(Contender::new(name, &pids, move |_| {
        let (channel, key, value) = (channel.clone(), key.clone(), value.clone());
        async move { calls::get_of(&channel, key, &value).await }
    }))
}

fn print(way: &str, bytes: usize, in_flight: usize, name: &str, own: &[Round], first: &[Round]) {
    let name = name.rsplit('/').next().unwrap_or(name);
    let pairs = own.iter().zip(first);
    let ratio = median(pairs.map(|(own, first)| own.rate() / first.rate()));
    let rate = median(own.iter().map(Round::rate));
    let p50 = median(own.iter().map(|round| round.p50_us));
    let calls: usize = own.iter().map(|round| round.calls).sum();
    let cpu: f64 = own.iter().map(|round| round.cpu_us).sum();
    let each = cpu / calls as f64;
    println!(
        "| {way} | {bytes} | {in_flight} | {name} | {p50:.1} µs | {each:.1} µs | {rate:.0} | {ratio:.2} |"
    );
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
