//! Redis' own benchmark on the same machine: what its C client sees.

use crate::figure::Figure;
use crate::part::Part;
use crate::rounds;
use crate::stores::Stores;
use crate::{ROUNDS, Result};
use std::process::Command;

/// Requests of one run.
const REQUESTS: usize = 50_000;
const WORDS: &str = "`redis-benchmark` with 1 KiB over the Unix socket: a connection for each call under way, no pipelining, \
a client in C that checks no answer. The medians of several runs; it prints no 99.9th percentile.";

/// GET and SET of each server, with so many connections.
pub(super) fn part() -> Result<Part> {
    let servers = Stores::start()?;
    let mut part = Part::new("redis-benchmark", "redis-benchmark", WORDS);
    for connections in super::reads::IN_FLIGHT {
        let mut all = vec![Vec::new(); 4];
        for _ in 0..ROUNDS {
            for (at, (name, socket)) in servers.sockets().iter().enumerate() {
                let figures = run(name, socket, connections)?;
                all[2 * at..]
                    .iter_mut()
                    .zip(figures)
                    .for_each(|(all, figure)| all.push(figure));
            }
        }
        part.figures.extend(all.into_iter().map(median));
    }
    Ok(part)
}

/// SET and GET of one run.
fn run(name: &str, socket: &str, connections: usize) -> Result<Vec<Figure>> {
    let requests = rounds::some(REQUESTS);
    let (connections_, requests) = (connections.to_string(), requests.to_string());
    let output = Command::new("redis-benchmark")
        .args([
            "-s",
            socket,
            "-c",
            &connections_,
            "-n",
            &requests,
            "-d",
            "1024",
        ])
        .args(["-t", "set,get", "--csv"])
        .output()
        .map_err(|e| format!("redis-benchmark: {e}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<_> = said
        .lines()
        .skip(1)
        .filter_map(|line| figure(name, line))
        .collect();
    match figures.len() {
        2 => Ok(figures
            .into_iter()
            .map(|figure| Figure {
                in_flight: Some(connections),
                bytes: Some(1024),
                ..figure
            })
            .collect()),
        _ => Err(format!("redis-benchmark said: {said}").into()),
    }
}

/// `"GET","137741.05","0.110","0.040","0.111","0.135","0.151","0.415"`: calls a
/// second, then milliseconds: mean, least, p50, p95, p99, most.
fn figure(name: &str, line: &str) -> Option<Figure> {
    let fields: Vec<&str> = line
        .split(',')
        .map(|field| field.trim_matches('"'))
        .collect();
    let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some(Figure {
        row: format!("redis-benchmark {}", fields.first()?),
        what: format!("{name}, Unix socket"),
        per_second: number(1),
        p50_us: number(4)? * 1e3,
        p99_us: number(6)? * 1e3,
        ..Figure::default()
    })
}

/// The figure of the run with the median rate.
fn median(mut runs: Vec<Figure>) -> Figure {
    let rate = |figure: &Figure| figure.per_second.unwrap_or_default();
    runs.sort_by(|one, other| rate(one).total_cmp(&rate(other)));
    let middle = runs.len() / 2;
    runs.swap_remove(middle)
}
