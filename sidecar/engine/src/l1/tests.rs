//! L1 keeps what moka alone would keep.

use super::*;
use crate::clock::LogTime;
use crate::entry::{self, Version};
use crate::key::{Delimiters, Key, Namespace};
use crate::position::Position;
use crate::request::{Etag, Value};

/// Keys, reads, and entries that fit.
const KEYS: usize = 10_000;
const READS: usize = 200_000;
const ROOM: u64 = 500;

fn entry(name: &str, bytes: usize) -> Entry {
    let namespace = Namespace::new("shop").expect("a good namespace");
    let key = Key::new(namespace, name).expect("a good key");
    let at = Position::default();
    Entry {
        facts: entry::facts(&key, &[], at, &Delimiters::default()),
        version: Version::Write(at),
        etag: Etag(1),
        payload: Payload::Value(Value {
            data: vec![7; bytes].into(),
            text: false,
            content_type: String::new(),
        }),
        tags: [].into(),
        stored: LogTime(0),
        valid_until: LogTime(u64::MAX),
        load_time: None,
        why: crate::policy::ttl::Why::default(),
    }
}

/// Reads of keys by Zipf's law with an exponent of 0.9, from a fixed seed.
fn reads() -> impl Iterator<Item = usize> {
    let mut sum = 0.0;
    let sums = (1..=KEYS).map(|rank| {
        sum += (rank as f64).powf(-0.9);
        sum
    });
    let sums: Vec<f64> = sums.collect();
    let mut state = 1_u64;
    (0..READS).map(move |_| {
        // Knuth's MMIX generator: the upper bits are good enough.
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        state = state.wrapping_add(1_442_695_040_888_963_407);
        let drawn = (state >> 11) as f64 / (1_u64 << 53) as f64 * sum;
        sums.partition_point(|sum| *sum < drawn)
    })
}

#[test]
fn l1_hits_as_often_as_moka_alone() {
    let entries: Vec<_> = (0..KEYS).map(|n| entry(&format!("{n:05}"), 64)).collect();
    let weight = weigh(&entries[0].facts.key.hash(), &Arc::new(entries[0].clone()));
    let l1 = L1::new(ROOM * u64::from(weight), 0);
    let moka = moka::sync::Cache::builder()
        .max_capacity(ROOM * u64::from(weight))
        .weigher(move |_, ()| weight)
        .build_with_hasher(ByName::default());
    let (mut hits, mut alone) = (0, 0);
    for n in reads() {
        let key = entries[n].facts.key.hash();
        match l1.get(key) {
            Some(_) => hits += 1,
            None => l1.insert(entries[n].clone()),
        }
        match moka.get(&key) {
            Some(()) => alone += 1,
            None => moka.insert(key, ()),
        }
    }
    let points = |hits: i32| 100.0 * f64::from(hits) / READS as f64;
    let (hits, alone) = (points(hits), points(alone));
    assert!(hits > alone - 1.0, "{hits:.1} % with {alone:.1} %");
}

#[test]
fn a_full_l1_lets_a_write_in() {
    let entries: Vec<_> = (0..140).map(|n| entry(&format!("{n:03}"), 64)).collect();
    let weight = weigh(&entries[0].facts.key.hash(), &Arc::new(entries[0].clone()));
    let l1 = L1::new(50 * u64::from(weight), 0);
    let (old, new) = entries.split_at(100);
    old.iter()
        .for_each(|entry| l1.insert_written(entry.clone()));
    // Other reads, in vain: what was wanted before them counts for less.
    for _ in 0..30 {
        for n in 0..40 {
            l1.get(entry(&format!("other {n}"), 64).facts.key.hash());
        }
        l1.size();
    }
    let held = |entry: &&Entry| l1.map.contains_key(&entry.facts.key.hash());
    new.iter()
        .for_each(|entry| l1.insert_written(entry.clone()));
    l1.size();
    assert!(new.iter().filter(held).count() > 0);
}

/// What a full L1 holds in the end, when its first entries were wanted, or looked
/// at, before others came.
async fn held_after(first: impl AsyncFn(&L1, NameHash)) -> Vec<bool> {
    let all = ROOM as usize * 2;
    let entries: Vec<_> = (0..all).map(|n| entry(&format!("{n:05}"), 64)).collect();
    let weight = weigh(&entries[0].facts.key.hash(), &Arc::new(entries[0].clone()));
    let l1 = L1::new(ROOM * u64::from(weight), 0);
    let name = |entry: &Entry| entry.facts.key.hash();
    for (n, entry) in entries.iter().enumerate() {
        if n == ROOM as usize {
            for wanted in entries.iter().take(100) {
                first(&l1, name(wanted)).await;
            }
        }
        drop(l1.get(name(entry)));
        l1.insert(entry.clone());
        l1.size();
    }
    let held = entries.iter().map(|entry| l1.peek(name(entry)).is_some());
    held.collect()
}

#[tokio::test]
async fn who_looks_does_not_count_as_who_wants_it() {
    let untouched = held_after(async |_, _| {}).await;
    let looked = held_after(async |l1, key| drop(l1.look_at(key).await)).await;
    assert!(looked == untouched, "it goes as if nobody had looked");
    let read = held_after(async |l1, key| (0..5).for_each(|_| drop(l1.get(key)))).await;
    assert!(read != untouched, "it goes otherwise if somebody reads");
}

#[tokio::test]
async fn a_look_finds_each_that_is_held_however_many_there_are() {
    let l1 = L1::new(u64::MAX, 0);
    let entries: Vec<_> = (0..WALK * 3)
        .map(|n| entry(&format!("{n:05}"), 64))
        .collect();
    for entry in &entries {
        l1.insert(entry.clone());
    }
    for held in entries.iter().step_by(97) {
        let found = l1.look_at(held.facts.key.hash()).await;
        assert_eq!(found.as_deref(), Some(held));
    }
    assert_eq!(l1.look_at(NameHash(1)).await, None);
}

/// Two entries whose keys are referred to, with room for one.
fn full() -> (L1, [Entry; 2]) {
    let both = ["a", "b"].map(|name| entry(name, 64));
    let weight = weigh(&both[0].facts.key.hash(), &Arc::new(both[0].clone()));
    let l1 = L1::new(u64::MAX, u64::from(weight));
    for entry in &both {
        l1.pin(entry.facts.key.hash());
        l1.insert(entry.clone());
    }
    (l1, both)
}

#[test]
fn a_hit_that_finds_no_room_to_be_kept_asks_nobody_to_make_some() {
    let (l1, [_, second]) = full();
    assert_eq!(l1.when_full().len(), 1, "the second found no room");
    assert_eq!(l1.get(second.facts.key.hash()).as_deref(), Some(&second));
    assert_eq!(l1.when_full().len(), 0);
    assert_eq!(l1.here(second.facts.key.hash()), Here::NoRoom);
}

#[test]
fn what_took_the_place_of_a_dead_entry_is_not_given_up_with_it() {
    let (l1, [first, _]) = full();
    let key = first.facts.key.hash();
    let dead = l1.get(key).expect("it is kept");
    l1.remove(key);
    l1.insert(first);
    l1.give_up(&dead);
    assert_eq!(l1.here(key), Here::Pinned);
    l1.give_up(&l1.get(key).expect("it is kept"));
    assert_eq!(l1.here(key), Here::NotCached);
}
