//! False misses of the floor table: live entries that a collision in all its
//! rows makes look covered, after 300 s of 1,000 invalidations a second.
//!
//! What counts is how many names were invalidated since an entry was stored,
//! not how fast: the 300,000 are made as fast as they go, and an entry's age is
//! told in seconds of that rate.

use crate::pod::{Pod, entry, key};
use unstale_engine::Options;
use unstale_engine::key::Key;
use unstale_engine::request::{Get, NewEntry, Payload};

const SECONDS: u64 = 300;
const PER_SECOND: u64 = 1_000;
/// Entries stored in each second.
const ENTRIES: u64 = 30;
/// Bytes of a register pair, and rows.
const REGISTER: usize = 16;
const ROWS: usize = 4;

pub(crate) async fn print() {
    println!(
        "| registers a row | table | RSS added | false misses, entries ≤ 10 s old | 10-60 s | 60-300 s |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for width in [1 << 14, 1 << 16, 1 << 18, 1 << 20] {
        let before = rss_kib();
        let pod = Pod::start(Options {
            floor_width: width,
            ..Options::default()
        })
        .await;
        fill(&pod).await;
        let added = rss_kib().saturating_sub(before) / 1024;
        let table = ROWS * width * REGISTER / (1 << 20);
        let [young, middle, old] = [(0, 10), (10, 60), (60, SECONDS)].map(|ages| (ages, &pod));
        let young = missed(young).await;
        let middle = missed(middle).await;
        let old = missed(old).await;
        println!("| {width} | {table} MiB | {added} MiB | {young} | {middle} | {old} |");
    }
}

fn entry_key(second: u64, n: u64) -> Key {
    key(&format!("entry-{second}-{n}"))
}

/// 300 s of invalidations of names that nobody reads, and entries between.
async fn fill(pod: &Pod) {
    for second in 0..SECONDS {
        for n in 0..ENTRIES {
            let small = NewEntry {
                payload: Payload::NotFound,
                ..entry()
            };
            pod.set(&entry_key(second, n), small).await;
        }
        for n in 0..PER_SECOND {
            let name = key(&format!("other-{second}-{n}"));
            pod.invalidate(|what| what.keys = vec![name]).await;
        }
    }
}

/// The share of entries of these ages that are missed.
async fn missed(((from, to), pod): ((u64, u64), &Pod)) -> String {
    let (mut count, mut missed) = (0_u64, 0_u64);
    for second in SECONDS - to..SECONDS - from {
        for n in 0..ENTRIES {
            let get = Get::plain(entry_key(second, n), pod.deadline());
            let answer = pod.engine.get(get).await.expect("Get answers");
            count += 1;
            missed += u64::from(answer.result.found().is_none());
        }
    }
    format!("{:.2} %", 100.0 * missed as f64 / count as f64)
}

fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|text| text.parse().ok()).unwrap_or(0)
}
