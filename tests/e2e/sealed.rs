//! Records that are compressed and encrypted in a real Redis: who reads whose,
//! what a look into the server shows, and how keys are rotated.

use crate::calls::{found, get_after, set};
use crate::fleet::Fleet;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use unstale_tests::{PATIENCE, Redis, Sidecar, eventually};

/// 32 bytes in base64 each.
const OLD: &str = "1 b3M0y2nq9Q0Jd1m9w8o4k6Y7c5T3r2e1i0u9z8x7v6c=\n";
const NEW: &str = "2 9f0Xh5cWcYkq0cU0oJmBqv9nRjJwq0b8s8m1Jt1r4bE=\n";

/// A directory with key files.
struct Keys(TempDir);

impl Keys {
    fn new() -> Self {
        Self(TempDir::with_prefix("unstale-keys-").expect("a directory"))
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

/// Settings of a pod on this Redis.
fn config(redis: &Redis, keys: Option<&Path>, compress_from: &str) -> String {
    let url = redis.url();
    let keys = keys.map(|path| format!("encryption_key_file = {path:?}\n"));
    let keys = keys.unwrap_or_default();
    format!("remote = \"{url}\"\ncompress_from = \"{compress_from}\"\n{keys}")
}

/// One more pod of the fleet, with settings of its own.
async fn more(fleet: &Fleet, config: &str) -> Sidecar {
    let pod = Sidecar::builder().nats(&fleet.nats.url());
    pod.config(config).fresh().await
}

async fn reads(pod: &Sidecar, key: &str, position: &str) -> Option<String> {
    let answer = get_after(pod, ("", key), position).await;
    let answer = answer.expect("Get answers");
    assert!(answer.degraded.is_none(), "{answer:?}");
    found(&answer)
}

async fn unopened(pod: &Sidecar, reason: &str) -> u64 {
    let name = "unstale_remote_records_unopened_total";
    pod.metric(&format!("{name}{{reason={reason:?}}}")).await
}

/// Everything that lies in Redis.
fn contents(redis: &Redis) -> String {
    let keys = redis.command_lines(&["KEYS", "*"]);
    let value = |key: &String| redis.command(&["GET", key]);
    assert!(!keys.is_empty());
    keys.iter().map(value).chain(keys.clone()).collect()
}

/// Text that compresses well, and is known when it is seen.
fn plaintext() -> String {
    "a well known sentence. ".repeat(200)
}

#[tokio::test]
async fn pods_of_one_key_file_share_entries_that_redis_cannot_read() {
    let (redis, keys) = (Redis::start(), Keys::new());
    let file = keys.file("keys", OLD);
    let fleet = Fleet::configured(2, &config(&redis, Some(&file), "off")).await;
    let [a, b] = &fleet.pods[..] else {
        panic!("two pods")
    };
    let position = set(a, "a-secret-name", &plaintext()).await;
    let lies = contents(&redis);
    assert!(
        !lies.contains("known") && !lies.contains("secret"),
        "{lies}"
    );
    assert!(lies.len() > plaintext().len(), "it is not compressed");
    let read = reads(b, "a-secret-name", &position).await;
    assert_eq!(read, Some(plaintext()));
    // A pod without keys can read none of it, and what it stores is not believed.
    let open = more(&fleet, &config(&redis, None, "off")).await;
    assert_eq!(reads(&open, "a-secret-name", &position).await, None);
    assert_eq!(unopened(&open, "no_keys").await, 1);
    let position = set(&open, "plain", &plaintext()).await;
    assert!(contents(&redis).contains("known"));
    assert_eq!(reads(b, "plain", &position).await, None);
    assert_eq!(unopened(b, "not_encrypted").await, 1);
    let logs = [a.log(), b.log(), a.status().await.config].concat();
    assert!(!logs.contains("b3M0"), "{logs}");
}

#[tokio::test]
async fn what_was_changed_in_redis_is_a_miss_and_a_new_value_takes_its_place() {
    let (redis, keys) = (Redis::start(), Keys::new());
    let file = keys.file("keys", OLD);
    let fleet = Fleet::configured(2, &config(&redis, Some(&file), "off")).await;
    let [a, b] = &fleet.pods[..] else {
        panic!("two pods")
    };
    let position = set(a, "k", "first").await;
    let lies = redis.command_lines(&["KEYS", "*"]);
    // Redis keeps eight bytes before the record: the change is in the ciphertext.
    let change = ["SETRANGE", &lies[0], "60", "!!!!"];
    assert!(redis.command(&change).starts_with(':'));
    assert_eq!(reads(b, "k", &position).await, None);
    assert_eq!(unopened(b, "tampered").await, 1);
    let position = set(b, "k", "second").await;
    assert_eq!(reads(a, "k", &position).await.as_deref(), Some("second"));
}

#[tokio::test]
async fn keys_are_rotated_without_a_restart_and_a_bad_file_changes_nothing() {
    let (redis, keys) = (Redis::start(), Keys::new());
    let file = keys.file("keys", OLD);
    let fleet = Fleet::configured(2, &config(&redis, Some(&file), "off")).await;
    let [a, b] = &fleet.pods[..] else {
        panic!("two pods")
    };
    let old = set(a, "old", "old").await;
    keys.file("keys", "2 too short\n");
    for pod in [a, b] {
        reloaded(pod, "failed", 1).await;
        assert!(pod.log().contains("line 1: the key must be 32 bytes"));
    }
    set(a, "between", "between").await;
    keys.file("keys", &format!("{NEW}{OLD}"));
    for pod in [a, b] {
        reloaded(pod, "ok", 2).await;
    }
    assert_eq!(reads(b, "old", &old).await.as_deref(), Some("old"));
    let position = set(a, "new", "new").await;
    assert_eq!(reads(b, "new", &position).await.as_deref(), Some("new"));
    // Who has the new key only misses what is older, and nothing else.
    let only = keys.file("only", NEW);
    let late = more(&fleet, &config(&redis, Some(&only), "off")).await;
    assert_eq!(reads(&late, "new", &position).await.as_deref(), Some("new"));
    for key in ["old", "between"] {
        assert_eq!(reads(&late, key, &position).await, None, "{key}");
    }
    assert_eq!(unopened(&late, "unknown_key").await, 2);
}

async fn reloaded(pod: &Sidecar, result: &str, least: u64) {
    let name = format!("unstale_encryption_key_reloads_total{{result={result:?}}}");
    let ask = || async {
        let count = pod.metric(&name).await;
        (count >= least).then_some(()).ok_or(format!("{count}"))
    };
    eventually("a key file that was read", PATIENCE, ask).await;
}

#[tokio::test]
async fn pods_that_compress_and_pods_that_do_not_read_each_other() {
    let redis = Redis::start();
    let fleet = Fleet::configured(1, &config(&redis, None, "1KiB")).await;
    let small = &fleet.pods[0];
    let large = more(&fleet, &format!("remote = \"{}\"\n", redis.url())).await;
    let position = set(small, "small", &plaintext()).await;
    let lies = contents(&redis);
    assert!(lies.len() < 1000, "{} bytes", lies.len());
    let read = reads(&large, "small", &position).await;
    assert_eq!(read, Some(plaintext()));
    let position = set(&large, "large", &plaintext()).await;
    assert!(contents(&redis).len() > plaintext().len());
    let read = reads(small, "large", &position).await;
    assert_eq!(read, Some(plaintext()));
    let position = set(small, "tiny", "not worth it").await;
    assert!(contents(&redis).contains("not worth it"));
    let read = reads(&large, "tiny", &position).await;
    assert_eq!(read.as_deref(), Some("not worth it"));
}
