//! The decorators around a tier in memory that stalls or fails when told to.

use super::breaker::Breaker;
use super::concurrency::Concurrency;
use super::hedge::Hedge;
use super::memory::MemoryTier;
use super::sealed::SealConfig;
use super::stack::{self, Calls};
use super::timeout::Timeout;
use crate::boottime::BootTime;
use crate::entropy::OsRandom;
use crate::keyring::Keyring;
use crate::telemetry::remote::{Breaker as Phase, RemoteCounts};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use unstale_engine::key::NameHash;
use unstale_engine::random::Random;
use unstale_engine::remote::{Expect, PutOutcome, Read, Remote, RemoteError, Revision, Stored};

const KEY: NameHash = NameHash(1);
const SOON: Duration = Duration::from_millis(100);
/// Of the loops that ask again: a state that never comes is a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// A tier in memory with a switch for each fault.
struct Faulty {
    tier: Arc<MemoryTier>,
    stalls: AtomicBool,
    fails: AtomicBool,
    refuses: AtomicBool,
    /// Reads whose number is odd never end.
    odd_stall: AtomicBool,
    /// Each key is a part of its own.
    parts: AtomicBool,
    calls: AtomicU64,
    at_once: AtomicU64,
    most: AtomicU64,
}

impl Faulty {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            tier: MemoryTier::new(1 << 20, Arc::new(BootTime)),
            stalls: AtomicBool::new(false),
            fails: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
            odd_stall: AtomicBool::new(false),
            parts: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            at_once: AtomicU64::new(0),
            most: AtomicU64::new(0),
        })
    }

    async fn fault(&self) -> Result<(), RemoteError> {
        let number = self.calls.fetch_add(1, SeqCst) + 1;
        let _inside = Inside::new(self);
        if self.stalls.load(SeqCst) || (self.odd_stall.load(SeqCst) && number % 2 == 1) {
            std::future::pending::<()>().await;
        }
        tokio::task::yield_now().await;
        if self.refuses.load(SeqCst) {
            return Err(RemoteError::Refused("it is full".to_owned()));
        }
        match self.fails.load(SeqCst) {
            true => Err(RemoteError::Unavailable("it fails".to_owned())),
            false => Ok(()),
        }
    }
}

/// A call inside the tier.
struct Inside<'a>(&'a Faulty);

impl<'a> Inside<'a> {
    fn new(faulty: &'a Faulty) -> Self {
        let now = faulty.at_once.fetch_add(1, SeqCst) + 1;
        faulty.most.fetch_max(now, SeqCst);
        Self(faulty)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, SeqCst);
    }
}

#[async_trait::async_trait]
impl Remote for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    async fn get(&self, key: NameHash) -> Result<Option<Stored>, RemoteError> {
        self.fault().await?;
        self.tier.get(key).await
    }

    /// One call. Of a tier that fails, keys from 100 on are there.
    async fn get_many(&self, keys: &[NameHash]) -> Vec<Read> {
        let fault = self.fault().await;
        let read = |key: &NameHash| match &fault {
            Err(error) if key.0 < 100 => Err(error.clone()),
            Ok(()) | Err(_) => Ok(None),
        };
        keys.iter().map(read).collect()
    }

    async fn put(
        &self,
        key: NameHash,
        expect: Expect,
        record: Bytes,
        ttl: Duration,
    ) -> Result<PutOutcome, RemoteError> {
        self.fault().await?;
        self.tier.put(key, expect, record, ttl).await
    }

    async fn delete(&self, key: NameHash, revision: Revision) -> Result<(), RemoteError> {
        self.fault().await?;
        self.tier.delete(key, revision).await
    }

    async fn ping(&self) -> Result<(), RemoteError> {
        self.fault().await
    }

    fn hint(&self, key: NameHash) {
        self.tier.hint(key);
    }

    async fn hinted(&self, key: NameHash) {
        self.tier.hinted(key).await;
    }

    fn part(&self, key: NameHash) -> u16 {
        match self.parts.load(SeqCst) {
            true => u16::try_from(key.0).expect("a small key"),
            false => 0,
        }
    }
}

fn put(tier: &dyn Remote) -> impl Future<Output = Result<PutOutcome, RemoteError>> {
    tier.put(KEY, Expect::Absent, Bytes::from_static(b"v"), SOON * 600)
}

fn counts() -> Arc<RemoteCounts> {
    Arc::default()
}

fn breaker(faulty: &Arc<Faulty>) -> (Breaker, Arc<RemoteCounts>) {
    let (counts, ports) = (counts(), (Arc::new(BootTime), Arc::new(OsRandom)));
    let breaker = Breaker::new(faulty.clone(), SOON, (ports.0, ports.1), counts.clone());
    (breaker, counts)
}

fn turns(counts: &RemoteCounts, into: Phase) -> u64 {
    let mut turns = counts.turns();
    let found = turns.find(|(name, _)| *name == into.name());
    found.expect("every state is counted").1
}

#[tokio::test(start_paused = true)]
async fn a_late_read_is_unavailable_and_a_late_put_is_unknown() {
    let faulty = Faulty::new();
    faulty.stalls.store(true, SeqCst);
    let counts = counts();
    let tier = Timeout::new(faulty, SOON, counts.clone());
    let read = tier.get(KEY).await;
    assert!(matches!(read, Err(RemoteError::Unavailable(_))), "{read:?}");
    let changed = [
        put(&tier).await.err(),
        tier.delete(KEY, Revision(1)).await.err(),
    ];
    for error in changed {
        assert!(matches!(error, Some(RemoteError::Unknown(_))), "{error:?}");
    }
    assert_eq!(counts.timeouts.read(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_late_read_of_many_is_one_timeout_and_every_key_is_unavailable() {
    let faulty = Faulty::new();
    faulty.stalls.store(true, SeqCst);
    let counts = counts();
    let tier = Timeout::new(faulty, SOON, counts.clone());
    let reads = tier.get_many(&[KEY, NameHash(2)]).await;
    let late = |read: &Read| matches!(read, Err(RemoteError::Unavailable(_)));
    assert!(reads.len() == 2 && reads.iter().all(late), "{reads:?}");
    assert_eq!(counts.timeouts.read(), 1);
}

#[tokio::test]
async fn a_read_of_many_counts_as_one_call_and_is_answered_if_any_key_is() {
    let faulty = Faulty::new();
    faulty.fails.store(true, SeqCst);
    let (tier, counts) = breaker(&faulty);
    for _ in 0..100 {
        let reads = tier.get_many(&[KEY, NameHash(100)]).await;
        assert!(reads[0].is_err() && reads[1] == Ok(None), "{reads:?}");
    }
    assert_eq!(turns(&counts, Phase::Open), 0);
    assert_eq!(faulty.calls.load(SeqCst), 100);
}

#[tokio::test]
async fn reads_of_many_that_fail_open_the_circuit() {
    let faulty = Faulty::new();
    faulty.fails.store(true, SeqCst);
    let (tier, counts) = breaker(&faulty);
    for _ in 0..100 {
        let reads = tier.get_many(&[KEY, NameHash(2)]).await;
        assert!(reads.len() == 2 && reads.iter().all(Result::is_err));
    }
    assert_eq!(faulty.calls.load(SeqCst), 5);
    assert_eq!(turns(&counts, Phase::Open), 1);
}

#[tokio::test]
async fn a_read_of_many_takes_the_place_of_as_many_calls() {
    let faulty = Faulty::new();
    let counts = counts();
    let tier = Concurrency::new(faulty.clone(), (4, 8), counts.clone());
    let keys = |count| (0..count).map(NameHash).collect::<Vec<_>>();
    let (three, nine) = (keys(3), keys(9));
    let reads = join_all((0..10).map(|_| tier.get_many(&three))).await;
    assert_eq!(
        faulty.most.load(SeqCst),
        1,
        "two would be six calls of four"
    );
    let good = |reads: &&Vec<Read>| reads.iter().all(Result::is_ok);
    assert_eq!(reads.iter().filter(good).count(), 4);
    assert_eq!(counts.shed.read(), 6);
    // More keys than places at once.
    assert!(good(&&tier.get_many(&nine).await));
}

#[tokio::test]
async fn a_part_that_fails_takes_no_other_with_it() {
    let faulty = Faulty::new();
    faulty.parts.store(true, SeqCst);
    faulty.fails.store(true, SeqCst);
    let (tier, counts) = breaker(&faulty);
    for _ in 0..10 {
        assert!(tier.get(KEY).await.is_err());
    }
    faulty.fails.store(false, SeqCst);
    // Through all that may stand between: the part is the tier's.
    let tier = Hedge::new(Arc::new(tier), SOON, counts.clone());
    assert_eq!(tier.part(NameHash(2)), 2);
    assert_eq!(
        tier.get(NameHash(2)).await.map(|found| found.is_none()),
        Ok(true)
    );
    let left_alone = tier.get(KEY).await;
    assert!(
        matches!(left_alone, Err(RemoteError::Unavailable(_))),
        "{left_alone:?}"
    );
    assert!(counts.breaker().any(|(state, on)| on && state == "open"));
}

#[tokio::test]
async fn a_tier_that_fails_is_left_alone_and_asked_once_when_the_wait_is_over() {
    let faulty = Faulty::new();
    faulty.fails.store(true, SeqCst);
    let (tier, counts) = breaker(&faulty);
    for _ in 0..100 {
        assert!(tier.get(KEY).await.is_err());
    }
    let opened_after = faulty.calls.load(SeqCst);
    assert!(
        opened_after < 10,
        "{opened_after} calls to a tier that fails"
    );
    faulty.fails.store(false, SeqCst);
    // The wait is over within 250 ms; nothing but a probe passes before.
    let answered = async {
        while tier.get(KEY).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let answered = tokio::time::timeout(PATIENCE, answered).await;
    answered.expect("a tier that works again is asked again");
    assert!(put(&tier).await.is_ok());
    assert_eq!(turns(&counts, Phase::Closed), 1);
}

#[tokio::test]
async fn of_a_hundred_calls_to_a_tier_that_may_be_back_one_is_the_probe() {
    let faulty = Faulty::new();
    faulty.fails.store(true, SeqCst);
    let (tier, counts) = breaker(&faulty);
    for _ in 0..5 {
        assert!(tier.get(KEY).await.is_err());
    }
    assert_eq!(turns(&counts, Phase::Open), 1);
    faulty.fails.store(false, SeqCst);
    faulty.stalls.store(true, SeqCst);
    let before = faulty.calls.load(SeqCst);
    let mut under_way: Vec<_> = Vec::new();
    // Nobody is let through before the wait is over, one is then.
    let probed = async {
        while under_way.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            for _ in 0..100 {
                let mut call = tier.get(KEY);
                match (&mut call).now_or_never() {
                    Some(refused) => assert!(refused.is_err()),
                    None => under_way.push(call),
                }
            }
        }
    };
    let probed = tokio::time::timeout(PATIENCE, probed).await;
    probed.expect("somebody finds out whether it is back");
    assert_eq!(under_way.len(), 1);
    assert_eq!(faulty.calls.load(SeqCst) - before, 1);
    assert_eq!(turns(&counts, Phase::HalfOpen), 1);
}

#[tokio::test]
async fn callers_who_give_up_early_find_out_that_the_tier_is_stalled() {
    let faulty = Faulty::new();
    faulty.stalls.store(true, SeqCst);
    let (tier, counts) = breaker(&faulty);
    for _ in 0..100 {
        let call = tier.get(KEY);
        assert!(call.now_or_never().is_none(), "it is still asked");
    }
    // Longer than the patience of the breaker, and less than any timeout.
    let calls = (0..5).map(|_| tokio::time::timeout(SOON * 2, tier.get(KEY)));
    join_all(calls).await;
    assert_eq!(turns(&counts, Phase::Open), 1);
    assert!(tier.get(KEY).now_or_never().is_some(), "it is left alone");
}

#[tokio::test]
async fn a_tier_that_refuses_is_not_away() {
    let faulty = Faulty::new();
    faulty.refuses.store(true, SeqCst);
    let (tier, counts) = breaker(&faulty);
    for _ in 0..100 {
        let refused = put(&tier).await;
        assert!(
            matches!(refused, Err(RemoteError::Refused(_))),
            "{refused:?}"
        );
    }
    assert_eq!(turns(&counts, Phase::Open), 0);
}

#[tokio::test]
async fn an_open_circuit_says_that_nothing_was_done() {
    let faulty = Faulty::new();
    faulty.fails.store(true, SeqCst);
    let (tier, _) = breaker(&faulty);
    let results = join_all((0..50).map(|_| put(&tier))).await;
    let last = results.last().expect("fifty");
    assert!(matches!(last, Err(RemoteError::Unavailable(_))), "{last:?}");
    faulty.fails.store(false, SeqCst);
    let refused = put(&tier).await;
    assert!(
        matches!(refused, Err(RemoteError::Unavailable(_))),
        "{refused:?}"
    );
    assert_eq!(faulty.tier.get(KEY).await, Ok(None));
}

#[tokio::test]
async fn conflicts_do_not_open_the_circuit() {
    let faulty = Faulty::new();
    let (tier, _) = breaker(&faulty);
    assert!(matches!(put(&tier).await, Ok(PutOutcome::Stored(_))));
    for _ in 0..100 {
        assert_eq!(put(&tier).await, Ok(PutOutcome::Conflict));
    }
}

#[tokio::test]
async fn no_more_calls_than_allowed_are_under_way_and_the_rest_is_told_at_once() {
    let faulty = Faulty::new();
    let counts = counts();
    let tier = Concurrency::new(faulty.clone(), (4, 8), counts.clone());
    let results = join_all((0..100).map(|_| tier.get(KEY))).await;
    assert_eq!(faulty.most.load(SeqCst), 4);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 12);
    assert_eq!(counts.shed.read(), 88);
    let dropped: Vec<_> = (0..12).map(|_| tier.get(KEY).now_or_never()).collect();
    assert!(dropped.iter().all(Option::is_none));
    assert_eq!(tier.get(KEY).await, Ok(None), "their places are free again");
}

#[tokio::test(start_paused = true)]
async fn a_slow_read_is_answered_by_the_second_within_one_in_twenty() {
    let faulty = Faulty::new();
    let counts = counts();
    let tier = Hedge::new(faulty.clone(), SOON, counts.clone());
    for _ in 0..100 {
        assert_eq!(tier.get(KEY).await, Ok(None));
    }
    assert_eq!(
        faulty.calls.load(SeqCst),
        100,
        "a fast read is not repeated"
    );
    faulty.odd_stall.store(true, SeqCst);
    for _ in 0..30 {
        // One that is not asked a second time never ends.
        let read = tokio::time::timeout(SOON * 3, tier.get(KEY)).await;
        assert!(matches!(read, Ok(Ok(None)) | Err(_)), "{read:?}");
    }
    // What a hundred and thirty reads have earned.
    assert_eq!((counts.hedges.read(), counts.hedges_won.read()), (6, 6));
}

const KEYS: &str = "1 b3M0y2nq9Q0Jd1m9w8o4k6Y7c5T3r2e1i0u9z8x7v6c=\n";

/// Each record that is encrypted takes a nonce.
#[derive(Default)]
struct Nonces(AtomicU64);

impl Random for Nonces {
    fn bits(&self) -> u128 {
        u128::from(self.0.fetch_add(1, SeqCst)) << 64
    }
}

#[tokio::test]
async fn what_is_not_sent_is_not_sealed() {
    let (faulty, nonces) = (Faulty::new(), Arc::new(Nonces::default()));
    faulty.stalls.store(true, SeqCst);
    let calls = Calls {
        timeout: SOON,
        concurrency: 2,
        hedge: None,
    };
    let seal = SealConfig {
        compress_from: Some(1),
        keys: Some(Keyring::parse(KEYS).expect("a key")),
        fleet: "fleet".into(),
    };
    let ports = (Arc::new(BootTime) as _, nonces.clone() as _);
    let counts = counts();
    let stack = stack::around(faulty.clone(), (&calls, seal), ports, &counts);
    let tier = stack.remote;
    let mut puts: Vec<_> = (0..50).map(|_| Box::pin(put(&*tier))).collect();
    let polled = puts.iter_mut().map(|put| put.now_or_never());
    let shed: Vec<_> = polled.map(|put| put.is_some()).collect();
    assert_eq!(shed, [[false; 10].as_slice(), &[true; 40]].concat());
    assert_eq!(counts.shed.read(), 40);
    assert_eq!(faulty.calls.load(SeqCst), 2);
    assert_eq!(nonces.0.load(SeqCst), 2, "two are under way, eight wait");
    // They are late, until the circuit opens.
    join_all(puts.into_iter().take(10)).await;
    assert_eq!(turns(&counts, Phase::Open), 1);
    let sent = faulty.calls.load(SeqCst);
    assert!(sent < 10, "{sent} were sent");
    // A nonce, and the chance in the wait after a failure.
    let drawn = nonces.0.load(SeqCst);
    assert_eq!(drawn, 2 * sent);
    assert!(put(&*tier).now_or_never().is_some(), "it is left alone");
    assert_eq!(nonces.0.load(SeqCst), drawn);
}

/// A tier that asks for each key by itself, as NATS and a Redis cluster do: what
/// is asked for [`LOST`] never comes.
struct Each(Arc<dyn Remote>);

const LOST: NameHash = NameHash(u128::MAX);

#[async_trait::async_trait]
impl Remote for Each {
    fn name(&self) -> &'static str {
        "each"
    }

    async fn get(&self, key: NameHash) -> Read {
        match key == LOST {
            true => std::future::pending().await,
            false => self.0.get(key).await,
        }
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
        Ok(())
    }

    fn hint(&self, _: NameHash) {}

    async fn hinted(&self, _: NameHash) {}
}

fn one_is_lost(counts: &Arc<RemoteCounts>) -> Arc<dyn Remote> {
    let calls = Calls {
        timeout: SOON,
        concurrency: 1024,
        hedge: None,
    };
    let ports = (Arc::new(BootTime) as _, Arc::new(OsRandom) as _);
    let tier = Each(MemoryTier::new(1 << 20, Arc::new(BootTime)));
    stack::around(
        Arc::new(tier),
        (&calls, SealConfig::default()),
        ports,
        counts,
    )
    .remote
}

/// The last of 64.
fn with_one_lost() -> Vec<NameHash> {
    (100..163).map(NameHash).chain([LOST]).collect()
}

#[tokio::test]
async fn an_answer_that_is_lost_takes_few_other_keys_answers_with_it() {
    let tier = one_is_lost(&counts());
    let reads = tier.get_many(&with_one_lost()).await;
    assert!(reads[63].is_err());
    assert!(reads[..32].iter().all(Result::is_ok), "of another part");
}

#[tokio::test]
async fn an_answer_that_is_lost_does_not_tell_that_the_tier_is_silent() {
    let counts = counts();
    let tier = one_is_lost(&counts);
    for _ in 0..6 {
        tier.get_many(&with_one_lost()).await;
    }
    assert_eq!(turns(&counts, Phase::Open), 0);
    assert_eq!(tier.get(KEY).await, Ok(None));
}

#[tokio::test]
async fn a_read_of_many_is_no_more_calls_at_once_than_allowed() {
    let faulty = Faulty::new();
    let tier = Concurrency::new(Arc::new(Each(faulty.clone())), (4, 8), counts());
    let keys: Vec<_> = (0..128).map(NameHash).collect();
    tier.get_many(&keys).await;
    assert_eq!(faulty.most.load(SeqCst), 4);
}
