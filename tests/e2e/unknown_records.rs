//! Records that this version cannot read: everything older falls, reading goes
//! on, and nobody is stopped by them.

use crate::fleet::Fleet;
use crate::sdk::client;
use crate::watcher::sequence;
use crate::words::{any, grant, put, read, text};
use std::time::Duration;
use unstale::{Cache, EntryOptions, Filled, Lookup, Voided};
use unstale_tests::{Nats, PATIENCE, Sidecar, eventually};

const KEYS: [&str; 2] = ["k", "other"];

/// A record of a kind that a later version may have: the fields that every
/// record has, and kind 99.
fn kind_99() -> Vec<u8> {
    let mut record = vec![0x83];
    for field in [[7_u8; 16], [9_u8; 16]] {
        record.push(0x50);
        record.extend(field);
    }
    record.extend([0x18, 99]);
    record
}

/// Bytes that are no record, and one that is cut off.
fn unreadable() -> [Vec<u8>; 4] {
    let cut_off = kind_99()[..20].to_vec();
    [kind_99(), b"garbage".to_vec(), Vec::new(), cut_off]
}

/// Appends to the fleet's log as another version would; its sequence.
async fn append(nats: &Nats, subject: &str, record: Vec<u8>) -> u64 {
    let client = async_nats::connect(nats.url()).await.expect("it listens");
    let subject = format!("unstale.test.log.{subject}");
    let ack = client.request(subject, record.into()).await;
    let ack = ack.expect("the stream answers");
    sequence_of(std::str::from_utf8(&ack.payload).expect("JSON"))
}

/// The sequence in the stream's answer.
fn sequence_of(ack: &str) -> u64 {
    let (_, rest) = ack.split_once("\"seq\":").expect("a sequence");
    let digits = rest.trim_start().chars().take_while(char::is_ascii_digit);
    let digits: String = digits.collect();
    digits.parse().expect("a number")
}

fn keeps() -> EntryOptions {
    let long = Duration::from_secs(600);
    EntryOptions::default().ttl(long).stale_for(long)
}

/// The client, whose reads see at least this sequence.
fn after(cache: &Cache, position: &str, sequence: u64) -> Cache {
    let (epoch, _) = position.split_once('-').expect("a position");
    cache.after(format!("{epoch}-{sequence}"))
}

async fn unreadable_seen(pod: &Sidecar) -> u64 {
    pod.metric("unstale_log_undecodable_total").await
}

#[tokio::test]
async fn what_is_older_than_an_unknown_record_falls_and_reading_goes_on() {
    let fleet = Fleet::of(2).await;
    let pods = fleet.clients().await;
    for (i, record) in unreadable().into_iter().enumerate() {
        let mut position = String::new();
        for key in KEYS {
            position = put(&pods[0], key, "old", keeps()).await;
            assert!(read(&pods[1].after(&position), key).await.is_some());
        }
        let subject = ["r", "w.3"][i % 2];
        let at = append(&fleet.nats, subject, record).await;
        for pod in &pods {
            let pod = after(pod, &position, at);
            for key in KEYS {
                assert_eq!(any(&pod, key).await, None, "record {i}: {key}");
            }
        }
        let position = put(&pods[1], "k", "new", keeps()).await;
        assert!(sequence(&position) > at);
        for (pod, process) in pods.iter().zip(&fleet.pods) {
            let seen = read(&pod.after(&position), "k").await;
            assert_eq!(seen.as_deref(), Some("new"), "record {i}");
            assert_eq!(unreadable_seen(process).await, i as u64 + 1);
        }
    }
    fleet.is_whole().await;
}

#[tokio::test]
async fn a_fill_in_flight_is_voided_by_an_unknown_record() {
    let fleet = Fleet::of(1).await;
    let cache = client(&fleet.pods[0]).await;
    let position = cache.get("k").await.expect("Get answers").position;
    let lease = grant(&cache, "k").await;
    let at = append(&fleet.nats, "r", kind_99()).await;
    assert_eq!(read(&after(&cache, &position, at), "k").await, None);
    let filled = cache.fill(&lease.token, "old", keeps()).await;
    let filled = filled.expect("Fill answers").result;
    assert_eq!(filled, Filled::Voided(Voided::Invalidated));
}

#[tokio::test]
async fn a_pod_that_comes_later_reads_past_unknown_records() {
    let fleet = Fleet::of(1).await;
    let cache = client(&fleet.pods[0]).await;
    put(&cache, "k", "old", keeps()).await;
    for record in unreadable() {
        append(&fleet.nats, "r", record).await;
    }
    let position = put(&cache, "other", "new", keeps()).await;
    let late = fleet.late().await;
    let cache = client(&late).await;
    assert_eq!(any(&cache, "k").await, None, "at once");
    let cache = cache.after(position);
    assert_eq!(read(&cache, "other").await.as_deref(), Some("new"));
    assert_eq!(any(&cache, "k").await, None);
}

#[tokio::test]
async fn garbage_where_epochs_are_told_stops_nobody() {
    let mut fleet = Fleet::of(1).await;
    let cache = client(&fleet.pods[0]).await;
    let position = put(&cache, "k", "old", keeps()).await;
    for _ in 0..2 {
        let at = append(&fleet.nats, "e", b"garbage".to_vec()).await;
        assert_eq!(any(&after(&cache, &position, at), "k").await, None);
    }
    let position = put(&cache, "k", "new", keeps()).await;
    // One opens the log for the first time, and then both do so again.
    let late = fleet.late().await;
    let later = client(&late).await;
    let seen = read(&later.after(&position), "k").await;
    assert_eq!(seen.as_deref(), Some("new"), "of the same epoch");
    fleet.nats.stop();
    let pods = [&fleet.pods[0], &late];
    for pod in pods {
        let ask = || async {
            let error = pod.status().await.log_error;
            (!error.is_empty())
                .then_some(())
                .ok_or("no error yet".into())
        };
        eventually("a pod that misses the log", PATIENCE, ask).await;
    }
    fleet.nats.restart();
    let ask = || async {
        let set = later.set("k", "newer").await.map_err(|e| e.to_string())?;
        let seen = cache.after(set.position).get("k").await;
        match seen.map_err(|e| e.to_string())?.result {
            Lookup::Hit(entry) if text(&entry) == "newer" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    eventually("a fleet that works again", PATIENCE, ask).await;
}
