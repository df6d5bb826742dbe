//! The position in an answer is none newer than what is in it: a Set of what was
//! made of that, given the position, must not stand over what covers it.

use super::world::{Pod, World, key, new};
use crate::Error;
use crate::key::Namespace;
use crate::position::Position;
use crate::request::*;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// More than any call looks at the clock.
const LOOKS: u32 = 200;

fn hard(pod: &Pod) -> Invalidate {
    Invalidate {
        namespace: Namespace::new("").unwrap(),
        keys: vec![key("k")],
        tags: vec![],
        prefixes: vec![],
        all: false,
        mode: Mode::Hard,
        min_source_version: None,
        ack: Ack::Log,
        id: None,
        reason: None,
        trace_id: None,
        deadline: pod.dl(),
    }
}

/// What is in an answer, in words, and its position.
type Told = (Option<&'static str>, Position);

/// One call while an invalidation comes, at each moment at which the call looks
/// at the clock, in turn. How often there was something in the answer.
async fn at_every_moment<A, C>(
    before: impl AsyncFn(&Pod) -> A,
    call: impl Fn(Arc<Pod>, A) -> C,
) -> u32
where
    C: Future<Output = Result<Told, Error>>,
{
    let mut told = 0;
    for look in 0..LOOKS {
        let mut w = World::new();
        let (p, q) = (Arc::new(w.pod().await), w.pod().await);
        let needed = before(&p).await;
        let mark = w.core.lock().unwrap().recs.len();
        p.log.deaf.store(true, SeqCst);
        let gone = q.e.invalidate(hard(&q)).await.unwrap().position.unwrap();
        let reads = p.clone();
        let deed = move || {
            let may = !reads.e.is_locked();
            if may {
                reads.log.undeaf(mark);
            }
            may
        };
        *w.clk.2.lock().unwrap() = Some((look, Box::new(deed)));
        let (what, position) = call(p.clone(), needed).await.unwrap();
        let came = w.clk.2.lock().unwrap().take().is_none();
        if let Some(what) = what {
            told += 1;
            assert!(
                position.sequence < gone.sequence,
                "look {look}: {what} at {position}"
            );
        }
        if !came {
            return told;
        }
    }
    panic!("the call looks at the clock without end");
}

async fn stored(pod: &Pod) {
    pod.set("k", new("v", 60_000), Ack::Log).await;
}

async fn shared(pod: &Pod) {
    stored(pod).await;
    pod.e.evict(&key("k"));
}

async fn get(pod: Arc<Pod>, (): ()) -> Result<Told, Error> {
    let answer = pod.e.get(Get::plain(key("k"), pod.dl())).await?;
    let found = answer.result.found().map(|_| "found");
    Ok((found, answer.position))
}

fn lease(pod: &Pod) -> Lease {
    Lease {
        key: key("k"),
        term: Duration::from_secs(10),
        wait: Duration::ZERO,
        min_position: None,
        may_refresh: true,
        deadline: pod.dl(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_get_finds_is_judged_at_its_position() {
    assert!(at_every_moment(stored, get).await > 0);
    assert!(at_every_moment(shared, get).await > 0);
}

#[tokio::test(start_paused = true)]
async fn what_lease_finds_is_judged_at_its_position() {
    let call = async |pod: Arc<Pod>, (): ()| {
        let answer = pod.e.lease(lease(&pod)).await?;
        let hit = matches!(answer.result, LeaseOutcome::Hit(_)).then_some("hit");
        Ok((hit, answer.position))
    };
    assert!(at_every_moment(stored, call).await > 0);
    assert!(at_every_moment(shared, call).await > 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_swap_conflicts_with_is_judged_at_its_position() {
    let call = async |pod: Arc<Pod>, (): ()| {
        let swap = CompareAndSet {
            key: key("k"),
            expected: Expected::Absent,
            entry: new("other", 60_000),
            ack: Ack::Log,
            deadline: pod.e.now().plus(Duration::from_millis(300)),
        };
        let (what, position) = match pod.e.compare_and_set(swap).await {
            Ok(answer) => (answer.result, answer.position),
            // Covered in time: the swap was under way when nothing was read yet.
            Err(Error::DeadlineExceeded) => return Ok((None, Position::default())),
            Err(error) => return Err(error),
        };
        let conflict = matches!(what, CasOutcome::Conflict(_, Some(_))).then_some("conflict");
        Ok((conflict, position))
    };
    assert!(at_every_moment(stored, call).await > 0);
}

async fn granted(pod: &Pod) -> LeaseToken {
    match pod.lease("k", 0).await {
        LeaseOutcome::Granted(token, ..) => token,
        other => panic!("{other:?}"),
    }
}

/// A lease of this pod alone.
async fn granted_here(pod: &Pod) -> LeaseToken {
    pod.tier.1.store(true, SeqCst);
    granted(pod).await
}

#[tokio::test(start_paused = true)]
async fn a_fill_is_judged_at_its_position_and_a_void_one_was_read_after_it() {
    let call = async |pod: Arc<Pod>, token| {
        let fill = Fill {
            token,
            entry: new("loaded", 60_000),
            deadline: pod.dl(),
        };
        let answer = pod.e.fill(fill).await?;
        let what = match answer.result {
            FillOutcome::Stored(_) => "stored",
            // Its holder has what it loaded.
            FillOutcome::Voided(_) => "voided",
        };
        Ok((Some(what), answer.position))
    };
    assert!(at_every_moment(granted, call).await > 0);
    assert!(at_every_moment(granted_here, call).await > 0);
}

/// A tier that stalls: invalidated between the write's record and its answer.
#[tokio::test(start_paused = true)]
async fn a_write_is_answered_with_its_own_position() {
    let mut w = World::new();
    let (p, q) = (Arc::new(w.pod().await), w.pod().await);
    p.tier.1.store(true, SeqCst);
    p.tier.3.store(300, SeqCst);
    let writer = p.clone();
    let set = tokio::spawn(async move { writer.set("k", new("v", 60_000), Ack::Log).await });
    // The first 300 ms go to looking whether it would change anything.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let gone = q.e.invalidate(hard(&q)).await.unwrap().position.unwrap();
    let answer = set.await.unwrap();
    assert!(
        matches!(answer.result, SetOutcome::Stored(Some(_))),
        "{answer:?}"
    );
    assert!(
        answer.position.sequence < gone.sequence,
        "{answer:?}, and gone at {gone}"
    );
}
