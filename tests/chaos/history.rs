//! What happened, in order, for people who look for the cause of a violation:
//! faults, changes of the origin, invalidations, fills, and what a pod returned
//! for a key whenever that was not what it had returned before.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

struct Event {
    at: Duration,
    key: Option<usize>,
    what: String,
}

/// The events of one fleet's life.
pub(crate) struct History {
    began: Instant,
    events: Mutex<Vec<Event>>,
    seen: Mutex<HashMap<(usize, usize), u64>>,
    /// Keys read, written and invalidated; a batch counts each of its keys.
    pub(crate) operations: AtomicU64,
    /// Reads that found something.
    pub(crate) hits: AtomicU64,
    /// Invalidations answered OK with FLEET.
    pub(crate) fleets: AtomicU64,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            events: Mutex::default(),
            seen: Mutex::default(),
            operations: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            fleets: AtomicU64::new(0),
        }
    }

    /// Something happened to this key, or to all.
    pub(crate) fn tell(&self, key: Option<usize>, what: String) {
        let at = self.began.elapsed();
        let mut events = self.events.lock().expect("no panic");
        events.push(Event { at, key, what });
    }

    /// A pod returned this value.
    pub(crate) fn read(&self, pod: usize, key: usize, value: u64, asked: Instant) {
        self.hits.fetch_add(1, Relaxed);
        let mut seen = self.seen.lock().expect("no panic");
        if seen.insert((pod, key), value) != Some(value) {
            let ago = asked.elapsed();
            self.tell(
                Some(key),
                format!("pod {pod} returned {value}, asked {ago:?} ago"),
            );
        }
    }

    /// Counts operations.
    pub(crate) fn count(&self, operations: usize) {
        self.operations.fetch_add(operations as u64, Relaxed);
    }

    /// Operations so far.
    pub(crate) fn operations(&self) -> u64 {
        self.operations.load(Relaxed)
    }

    /// The events of one key and of the fleet within the last `within`.
    pub(crate) fn timeline(&self, key: Option<usize>, within: Duration) -> String {
        let events = self.events.lock().expect("no panic");
        let from = self.began.elapsed().saturating_sub(within);
        let mut text = String::new();
        let all = events.iter().filter(|e| e.at >= from);
        for event in all.filter(|e| e.key.is_none() || e.key == key) {
            line(&mut text, event);
        }
        text
    }

    /// Writes everything to a file.
    pub(crate) fn keep(&self, path: &Path) {
        let mut text = String::new();
        for event in self.events.lock().expect("no panic").iter() {
            line(&mut text, event);
        }
        std::fs::write(path, text).expect("the history is written");
    }
}

fn line(text: &mut String, event: &Event) {
    let key = event.key.map_or("-".to_owned(), |key| key.to_string());
    let at = event.at.as_secs_f64();
    writeln!(text, "{at:10.4} key {key:>2} {}", event.what).expect("a string takes it");
}
