//! Records through a tier in memory, as they lie there and as they come back.

use super::*;
use crate::boottime::BootTime;
use crate::entropy::OsRandom;
use crate::remote::memory::MemoryTier;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

const KEY: NameHash = NameHash(1);
const OTHER: NameHash = NameHash(2);
const LONG: Duration = Duration::from_secs(600);

/// A tier in memory that counts how often it is distrusted.
struct Distrusted(Arc<MemoryTier>, AtomicU64);

#[async_trait::async_trait]
impl Remote for Distrusted {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    async fn get(&self, key: NameHash) -> Result<Option<Stored>, RemoteError> {
        self.0.get(key).await
    }

    async fn put(
        &self,
        key: NameHash,
        expect: Expect,
        record: Bytes,
        ttl: Duration,
    ) -> Result<PutOutcome, RemoteError> {
        self.0.put(key, expect, record, ttl).await
    }

    async fn delete(&self, key: NameHash, revision: Revision) -> Result<(), RemoteError> {
        self.0.delete(key, revision).await
    }

    async fn ping(&self) -> Result<(), RemoteError> {
        self.0.ping().await
    }

    fn hint(&self, key: NameHash) {
        self.0.hint(key);
    }

    async fn hinted(&self, key: NameHash) {
        self.0.hinted(key).await;
    }

    fn distrust(&self, _key: NameHash) {
        self.1.fetch_add(1, SeqCst);
    }
}

fn tier() -> Arc<Distrusted> {
    let memory = MemoryTier::new(8 << 20, Arc::new(BootTime));
    Arc::new(Distrusted(memory, AtomicU64::new(0)))
}

fn line(id: u32) -> String {
    format!("{id} {}\n", STANDARD.encode([id as u8; 32]))
}

/// A pod that compresses, with these keys; none: it has no key file.
fn pod(tier: &Arc<Distrusted>, keys: &[u32]) -> Arc<Sealed> {
    let text: String = keys.iter().map(|id| line(*id)).collect();
    let config = SealConfig {
        compress_from: Some(64),
        keys: (!keys.is_empty()).then(|| Keyring::parse(&text).unwrap()),
        fleet: "fleet".into(),
    };
    let counts = Arc::new(RemoteCounts::default());
    let random = Arc::new(OsRandom);
    Arc::new(Sealed::new(tier.clone(), config, random, counts))
}

async fn put(tier: &dyn Remote, key: NameHash, record: &Bytes) {
    let expect = match tier.get(key).await.unwrap() {
        Some(there) => Expect::Revision(there.revision),
        None => Expect::Absent,
    };
    let put = tier.put(key, expect, record.clone(), LONG).await;
    assert!(matches!(put, Ok(PutOutcome::Stored(_))), "{put:?}");
}

async fn get(tier: &dyn Remote, key: NameHash) -> Bytes {
    let there = tier.get(key).await.unwrap();
    there.expect("something is stored").record
}

fn refused(pod: &Sealed) -> Vec<(&'static str, u64)> {
    let all = pod.counts.unopened();
    all.filter(|(_, count)| *count > 0).collect()
}

fn record() -> Bytes {
    Bytes::from(b"UNS2 a name, and a name again. ".repeat(100))
}

#[tokio::test]
async fn what_lies_in_the_tier_is_small_and_shows_nothing() {
    let tier = tier();
    put(&*pod(&tier, &[1]), KEY, &record()).await;
    let lies = get(&*tier, KEY).await;
    assert!(lies.len() < 300, "{} bytes", lies.len());
    assert!(!lies.windows(4).any(|part| part == b"name"));
    put(&*pod(&tier, &[]), OTHER, &record()).await;
    assert!(get(&*tier, OTHER).await.len() < 300);
    // Each time under another nonce.
    put(&*pod(&tier, &[1]), KEY, &record()).await;
    assert_ne!(get(&*tier, KEY).await, lies);
}

#[tokio::test]
async fn pods_read_what_they_have_the_key_of_and_miss_the_rest() {
    let tier = tier();
    let (none, old, both, new) = (
        pod(&tier, &[]),
        pod(&tier, &[1]),
        pod(&tier, &[2, 1]),
        pod(&tier, &[2]),
    );
    let empty = Bytes::new();
    put(&*old, KEY, &record()).await;
    put(&*both, OTHER, &record()).await;
    assert_eq!(get(&*both, KEY).await, record());
    assert_eq!(get(&*new, KEY).await, empty);
    assert_eq!(get(&*old, OTHER).await, empty);
    assert_eq!(get(&*new, OTHER).await, record());
    assert_eq!(get(&*none, KEY).await, empty);
    assert_eq!(refused(&new), [("unknown_key", 1)]);
    assert_eq!(refused(&old), [("unknown_key", 1)]);
    assert_eq!(refused(&none), [("no_keys", 1)]);
    // What is not encrypted is nobody's who encrypts.
    put(&*none, KEY, &record()).await;
    assert_eq!(get(&*both, KEY).await, empty);
    assert_eq!(refused(&both), [("not_encrypted", 1)]);
}

#[tokio::test]
async fn records_from_before_compression_and_of_others_who_compress_are_read() {
    let tier = tier();
    put(&*tier, KEY, &record()).await;
    assert_eq!(get(&*pod(&tier, &[]), KEY).await, record());
    put(&*pod(&tier, &[]), KEY, &record()).await;
    let mut plain = Arc::into_inner(pod(&tier, &[])).unwrap();
    plain.compress_from = None;
    assert_eq!(get(&plain, KEY).await, record());
    put(&plain, KEY, &record()).await;
    assert_eq!(get(&*tier, KEY).await, record());
}

#[tokio::test]
async fn another_keys_record_is_nothing_and_the_tier_is_told() {
    let tier = tier();
    let pod = pod(&tier, &[1]);
    put(&*pod, KEY, &record()).await;
    put(&*tier, OTHER, &get(&*tier, KEY).await).await;
    assert_eq!(get(&*pod, OTHER).await, Bytes::new());
    assert_eq!(refused(&pod), [("other_key", 1)]);
    assert_eq!(tier.1.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_file_is_followed_and_a_bad_one_changes_nothing() {
    let tier = tier();
    let (pod, writer) = (pod(&tier, &[1]), pod(&tier, &[2]));
    put(&*writer, KEY, &record()).await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(line(1).as_bytes()).unwrap();
    let path = file.path().to_path_buf();
    let mut watch = key_file::KeyFile::new(path, pod.clone(), pod.counts.clone());
    let counts = || (pod.counts.keys_read.read(), pod.counts.keys_refused.read());
    for _ in 0..3 {
        watch.look().await;
    }
    assert_eq!(counts(), (1, 0));
    assert_eq!(get(&*pod, KEY).await, Bytes::new());
    file.write_all(b"2 half a line").unwrap();
    watch.look().await;
    assert_eq!(counts(), (1, 0), "it may be written just now");
    for _ in 0..3 {
        watch.look().await;
    }
    assert_eq!(counts(), (1, 1));
    put(&*pod, OTHER, &record()).await;
    assert_eq!(get(&*pod, OTHER).await, record(), "the old key still works");
    std::fs::write(file.path(), line(2) + &line(1)).unwrap();
    watch.look().await;
    watch.look().await;
    assert_eq!(counts(), (2, 1));
    assert_eq!(get(&*pod, KEY).await, record());
    assert_eq!(get(&*pod, OTHER).await, record());
    std::fs::remove_file(file.path()).unwrap();
    watch.look().await;
    watch.look().await;
    assert_eq!(counts(), (2, 2));
    assert_eq!(get(&*pod, OTHER).await, record());
}
