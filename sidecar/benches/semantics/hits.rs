//! A hit in L1 with each feature, beside the plain hit of the same round.

use crate::pod::{Pod, entry, key};
use std::time::{Duration, Instant};
use unstale_engine::Options;
use unstale_engine::key::{Key, Prefix, Tag};
use unstale_engine::request::*;

/// Reads of one sample, samples of one row.
const READS: u32 = 20_000;
const ROUNDS: usize = 15;

/// A row: its name and what is read.
struct Row {
    name: &'static str,
    get: Get,
    ratios: Vec<f64>,
}

pub(crate) async fn print() {
    println!("| hit in L1, 1 KiB | of the plain hit (median of {ROUNDS} rounds) |");
    println!("| --- | --- |");
    for covers in [0, 100, 10_000] {
        let pod = Pod::start(Options::default()).await;
        let mut rows = rows(&pod).await;
        cover(&pod, covers).await;
        // Without covers, in the same process: the reference of every row.
        let plain = Pod::start(Options::default()).await;
        let reference = Get::plain(key("plain"), plain.deadline());
        plain.set(&reference.key, entry()).await;
        for _ in 0..ROUNDS {
            for row in &mut rows {
                let base = sample(&plain, &reference).await;
                row.ratios.push(sample(&pod, &row.get).await / base);
            }
        }
        for row in &mut rows {
            row.ratios.sort_by(f64::total_cmp);
            let median = row.ratios[row.ratios.len() / 2];
            println!("| {}, {covers} live covers | {median:.2} |", row.name);
        }
    }
}

/// Nanoseconds of one read.
async fn sample(pod: &Pod, get: &Get) -> f64 {
    let deadline = pod.engine.now().plus(Duration::from_secs(60));
    let begin = Instant::now();
    for _ in 0..READS {
        let get = Get {
            deadline,
            ..get.clone()
        };
        let answer = pod.engine.get(get).await.expect("Get answers");
        assert!(answer.result.found().is_some(), "a hit");
    }
    begin.elapsed().as_nanos() as f64 / f64::from(READS)
}

async fn rows(pod: &Pod) -> Vec<Row> {
    let tag = |n| Tag::new(&format!("tag-{n}")).expect("a good name");
    let plain = entry();
    let etag = stored(pod, "plain", plain.clone()).await;
    let tagged = NewEntry {
        tags: (0..16).map(tag).collect(),
        ..plain.clone()
    };
    stored(pod, "tagged", tagged).await;
    stored(pod, "shop:user:17/cart", plain.clone()).await;
    let versioned = NewEntry {
        source_version: Some(7),
        ..plain.clone()
    };
    stored(pod, "versioned", versioned).await;
    let negative = NewEntry {
        payload: Payload::NotFound,
        ..plain
    };
    stored(pod, "negative", negative).await;
    let get = |name: &str| Get::plain(key(name), pod.deadline());
    let row = |name, get| Row {
        name,
        get,
        ratios: Vec::new(),
    };
    vec![
        row("plain", get("plain")),
        row("16 tags", get("tagged")),
        row("3 prefixes", get("shop:user:17/cart")),
        row("source version", get("versioned")),
        row("negative", get("negative")),
        row(
            "if_none_match",
            Get {
                if_none_match: Some(etag),
                ..get("plain")
            },
        ),
        row(
            "max_staleness 1 h",
            Get {
                max_staleness: Some(Duration::from_secs(3600)),
                ..get("plain")
            },
        ),
        row(
            "STALE_OK",
            Get {
                level: Level::StaleOk,
                ..get("plain")
            },
        ),
    ]
}

/// Stores, and returns the etag.
async fn stored(pod: &Pod, name: &str, entry: NewEntry) -> Etag {
    let key: Key = key(name);
    pod.set(&key, entry).await;
    let get = Get::plain(key, pod.deadline());
    let answer = pod.engine.get(get).await.expect("Get answers");
    answer.result.found().expect("a hit").etag
}

/// Covers of every kind that touch nothing that is read: a third tags, a third
/// hashed prefixes, and of the rest as many as the exact table takes.
async fn cover(pod: &Pod, count: usize) {
    for n in 0..count {
        let prefix = |text: String| Prefix::new(&text).expect("a good prefix");
        pod.invalidate(|what| match n % 3 {
            0 => what.tags = vec![Tag::new(&format!("cover-{n}")).expect("a good tag")],
            1 => what.prefixes = vec![prefix(format!("cover-{n}:"))],
            _ => what.prefixes = vec![prefix(format!("cover-{}", n % 100))],
        })
        .await;
    }
}
