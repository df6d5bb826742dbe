//! The origin behind the cache, which counts, and the callers that ask for all
//! keys on all pods at once.

use futures::future::join_all;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use unstale::{Ack, Cache, EntryOptions, Invalidate, LoadError, LoadOptions, Loaded, NotFilled};

pub(super) const KEYS: usize = 6;
/// Callers of each key on each pod.
const CALLERS: usize = 4;
/// How long the origin works for an answer, so that others come meanwhile.
const WORK: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(600);

/// Reads of one key by one pod.
#[derive(Clone, Copy, Default)]
struct Reads {
    count: u32,
    now: u32,
}

/// By pod and key.
type ByKey = HashMap<(usize, usize), Reads>;

/// Hands out the number of the read.
#[derive(Default)]
pub(super) struct Origin {
    reads: Mutex<(u64, ByKey)>,
}

impl Origin {
    async fn read(&self, pod: usize, key: usize) -> u64 {
        let number = self.with(|(number, reads)| {
            let reads = reads.entry((pod, key)).or_default();
            (reads.count, reads.now) = (reads.count + 1, reads.now + 1);
            assert_eq!(reads.now, 1, "pod {pod} reads key {key} twice at once");
            *number += 1;
            *number
        });
        // What it will answer is decided: the rest is its work.
        tokio::time::sleep(WORK).await;
        self.with(|(_, reads)| reads.entry((pod, key)).or_default().now -= 1);
        number
    }

    /// How many reads there were.
    fn total(&self) -> u64 {
        self.with(|(number, _)| *number)
    }

    /// Forgets the counts; they were by pod and key.
    fn take(&self) -> Vec<u32> {
        let reads = self.with(|(_, reads)| std::mem::take(reads));
        reads.into_values().map(|reads| reads.count).collect()
    }

    fn with<T>(&self, f: impl FnOnce(&mut (u64, ByKey)) -> T) -> T {
        f(&mut self.reads.lock().expect("no panic"))
    }
}

/// Reads of the origin in some rounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// By key and pod, in the mean of the rounds.
    pub(super) mean: f64,
    /// By one key and pod in one round.
    pub(super) most: u32,
    /// The longest that a caller waited, for people.
    pub(super) longest: Duration,
}

/// The pods' callers and their origin.
pub(super) struct Callers {
    pub(super) pods: Vec<Cache>,
    pub(super) origin: Origin,
    /// Of the keys, so that callers of one test have some of their own.
    pub(super) prefix: &'static str,
}

impl Callers {
    pub(super) fn new(pods: Vec<Cache>, prefix: &'static str) -> Self {
        let origin = Origin::default();
        Self {
            pods,
            origin,
            prefix,
        }
    }

    fn key(&self, key: usize) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Those that callers ask for in rounds.
    pub(super) fn keys(&self) -> Vec<String> {
        (0..KEYS).map(|key| self.key(key)).collect()
    }

    /// Rounds: everything is invalidated in the whole fleet, and then asked for.
    pub(super) async fn rounds(&self, rounds: u32) -> Load {
        let (mut count, mut most, mut longest) = (0, 0, Duration::ZERO);
        for _ in 0..rounds {
            self.invalidate().await;
            longest = self.ask().await.max(longest);
            let reads = self.origin.take();
            count += reads.iter().sum::<u32>();
            most = reads.into_iter().fold(most, u32::max);
        }
        let each = rounds as usize * KEYS * self.pods.len();
        let mean = f64::from(count) / each as f64;
        Load {
            mean,
            most,
            longest,
        }
    }

    async fn invalidate(&self) {
        let keys = self.keys().into_iter();
        let keys = keys.fold(Invalidate::default(), Invalidate::key);
        let done = self.pods[0].invalidate(keys.ack(Ack::Fleet)).await;
        let done = done.expect("the log is there");
        assert_eq!(done.acked.len(), self.pods.len(), "{:?}", done.lapsed);
    }

    /// All callers at once. Nobody may get what was read before. How long the
    /// last one waited.
    pub(super) async fn ask(&self) -> Duration {
        let (before, began) = (self.origin.total(), Instant::now());
        let callers = self.pods.iter().enumerate().flat_map(|(pod, cache)| {
            let asks = (0..KEYS).flat_map(|key| std::iter::repeat_n(key, CALLERS));
            asks.map(move |key| self.ask_one(cache, pod, key))
        });
        let got = join_all(callers).await;
        let old: Vec<_> = got.iter().filter(|number| **number <= before).collect();
        assert!(old.is_empty(), "older than {before}: {old:?}");
        began.elapsed()
    }

    /// All callers at once for keys that nobody has asked for yet: nothing holds
    /// them. Reads of the origin meanwhile.
    pub(super) async fn ask_for_more(&self, new: &str) -> Load {
        let began = Instant::now();
        let callers = self.pods.iter().enumerate().flat_map(|(pod, cache)| {
            let asks = (0..KEYS).flat_map(|key| std::iter::repeat_n(key, CALLERS));
            asks.map(move |key| self.ask_for(cache, format!("{new}{key}"), (pod, key)))
        });
        join_all(callers).await;
        let reads = self.origin.take();
        let each = (KEYS * self.pods.len()) as f64;
        Load {
            mean: f64::from(reads.iter().sum::<u32>()) / each,
            most: reads.into_iter().max().unwrap_or_default(),
            longest: began.elapsed(),
        }
    }

    /// All callers at once, whatever they get; reads of the origin meanwhile.
    pub(super) async fn ask_again(&self) -> u32 {
        let callers = self
            .pods
            .iter()
            .enumerate()
            .flat_map(|(pod, cache)| (0..KEYS).map(move |key| self.ask_one(cache, pod, key)));
        join_all(callers).await;
        self.origin.take().iter().sum()
    }

    /// All callers at once, whatever they get; the most reads of one key by one
    /// pod.
    pub(super) async fn ask_whatever(&self) -> u32 {
        let callers = self.pods.iter().enumerate().flat_map(|(pod, cache)| {
            let asks = (0..KEYS).flat_map(|key| std::iter::repeat_n(key, CALLERS));
            asks.map(move |key| self.ask_one(cache, pod, key))
        });
        join_all(callers).await;
        self.origin.take().into_iter().max().unwrap_or_default()
    }

    /// The number of the read whose value a caller gets.
    async fn ask_one(&self, cache: &Cache, pod: usize, key: usize) -> u64 {
        self.ask_for(cache, self.key(key), (pod, key)).await
    }

    /// The same for any name; `at` is where its reads are counted.
    async fn ask_for(&self, cache: &Cache, name: String, at: (usize, usize)) -> u64 {
        let entry = EntryOptions::default().ttl(LONG);
        let load = || async {
            let number = self.origin.read(at.0, at.1).await;
            Ok::<_, std::convert::Infallible>(number.to_string())
        };
        let loaded = cache.get_or_load(name, LoadOptions::from(entry), load);
        let loaded = match loaded.await {
            Ok(loaded) => loaded.result,
            Err(LoadError::Loader(never)) => match never {},
            Err(error) => panic!("{error}"),
        };
        if let Loaded::NotFilled { why, .. } = &loaded {
            assert!(matches!(why, NotFilled::Failed(_)), "{why:?}");
        }
        let value = loaded.value().expect("a value").as_bytes();
        let number = std::str::from_utf8(value).ok().and_then(|n| n.parse().ok());
        number.expect("a number")
    }
}
