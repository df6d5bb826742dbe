//! Reads of many keys: one read of the tier, and each key judged by itself.

use super::world::{Pod, World, hard, key, new};
use crate::request::*;
use std::sync::atomic::Ordering::SeqCst;

fn many(p: &Pod, keys: &[&str]) -> GetMany {
    GetMany {
        keys: keys.iter().map(|k| key(k)).collect(),
        min_position: None,
        level: Level::Bounded,
        max_staleness: None,
        deadline: p.dl(),
    }
}

type Seen = Option<(String, Tier)>;

/// What is found under each key, and where.
async fn get_many(p: &Pod, keys: &[&str]) -> (Vec<Seen>, Degraded) {
    let answer = p.e.get_many(many(p, keys)).await.unwrap();
    let seen = answer.result.iter().map(|outcome| {
        let found = outcome.found()?;
        let text = String::from_utf8(found.payload.data().to_vec()).unwrap();
        Some((text, found.tier))
    });
    (seen.collect(), answer.degraded)
}

fn remote(text: &str) -> Seen {
    Some((text.into(), Tier::Remote))
}

#[tokio::test(start_paused = true)]
async fn all_keys_that_l1_does_not_have_are_one_read_of_the_tier() {
    let mut w = World::new();
    let (writer, reader) = (w.pod().await, w.pod().await);
    for k in ["a", "b", "near"] {
        writer.set(k, new(k, 60_000), Ack::Log).await;
    }
    reader
        .e
        .get(Get::plain(key("near"), reader.dl()))
        .await
        .unwrap();
    let before = reader.tier.4.load(SeqCst);
    let (seen, degraded) = get_many(&reader, &["b", "near", "none", "a", "b"]).await;
    let near = Some(("near".to_owned(), Tier::L1));
    let right = [remote("b"), near, None, remote("a"), remote("b")];
    assert_eq!(seen, right);
    assert_eq!(degraded, Degraded::default());
    assert_eq!(reader.tier.4.load(SeqCst) - before, 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_invalidated_is_missing_among_those_that_were_not() {
    let mut w = World::new();
    let (writer, reader) = (w.pod().await, w.pod().await);
    for k in ["a", "b", "c"] {
        writer.set(k, new(k, 60_000), Ack::Log).await;
    }
    let invalidate = Invalidate {
        ack: Ack::Fleet,
        ..hard(&writer, "b")
    };
    writer.e.invalidate(invalidate).await.unwrap();
    let (seen, _) = get_many(&reader, &["a", "b", "c"]).await;
    assert_eq!(seen, [remote("a"), None, remote("c")]);
}

#[tokio::test(start_paused = true)]
async fn another_keys_record_is_a_miss_of_its_key_alone() {
    let mut w = World::new();
    let (writer, reader) = (w.pod().await, w.pod().await);
    for k in ["a", "b", "c"] {
        writer.set(k, new(k, 60_000), Ack::Log).await;
    }
    w.mix_up("a", "b");
    let (seen, _) = get_many(&reader, &["a", "b", "c"]).await;
    assert_eq!(seen, [remote("a"), None, remote("c")]);
    assert_eq!(reader.tier.2.load(SeqCst), 1, "the tier is told");
}

#[tokio::test(start_paused = true)]
async fn with_the_tier_away_l1_answers_and_the_rest_is_missing_and_flagged() {
    let mut w = World::new();
    let p = w.pod().await;
    p.set("near", new("near", 60_000), Ack::Log).await;
    p.tier.1.store(true, SeqCst);
    let (seen, degraded) = get_many(&p, &["far", "near"]).await;
    assert_eq!(seen, [None, Some(("near".to_owned(), Tier::L1))]);
    assert!(degraded.remote && !degraded.session);
}

#[tokio::test(start_paused = true)]
async fn calls_that_overlap_share_one_read_of_a_key() {
    let mut w = World::new();
    let p = w.pod().await;
    p.tier.1.store(true, SeqCst);
    p.tier.3.store(50, SeqCst);
    let before = p.tier.4.load(SeqCst);
    let one = p.e.get(Get::plain(key("b"), p.dl()));
    let twice = || get_many(&p, &["a", "b", "c"]);
    let (_, (first, _), (second, _), _) = tokio::join!(one, twice(), twice(), twice());
    assert_eq!((first, second), (vec![None; 3], vec![None; 3]));
    // Of b by the Get, of a and c by the first that came with them.
    assert_eq!(p.tier.4.load(SeqCst) - before, 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_takes_nobodys_read_away() {
    let mut w = World::new();
    let (writer, p) = (w.pod().await, w.pod().await);
    writer.set("b", new("b", 60_000), Ack::Log).await;
    p.tier.1.store(true, SeqCst);
    p.tier.3.store(50, SeqCst);
    let before = p.tier.4.load(SeqCst);
    let keys = ["a", "b"];
    let mut given_up = Box::pin(get_many(&p, &keys));
    assert!(futures::poll!(given_up.as_mut()).is_pending());
    let mut joined = Box::pin(p.e.get(Get::plain(key("b"), p.dl())));
    assert!(futures::poll!(joined.as_mut()).is_pending());
    drop(given_up);
    let answer = joined.await.unwrap();
    assert!(answer.degraded.remote);
    assert_eq!(p.tier.4.load(SeqCst) - before, 1);
    // Nothing of the old flight is left to be joined.
    p.tier.1.store(false, SeqCst);
    assert_eq!(get_many(&p, &keys).await.0, [None, remote("b")]);
}

/// `reader` was told of a newer value than `behind` holds, with a position. Given
/// that, `behind` must not go back to the older value.
async fn told(one: bool) -> Option<String> {
    let mut w = World::new();
    let (writer, reader, behind) = (w.pod().await, w.pod().await, w.pod().await);
    writer.set("k", new("old", 60_000), Ack::Log).await;
    assert_eq!(behind.get("k", Level::Bounded).await.unwrap().0, "old");
    let mark = w.core.lock().unwrap().recs.len();
    reader.log.deaf.store(true, SeqCst);
    behind.log.deaf.store(true, SeqCst);
    let stored = writer.set("k", new("new", 60_000), Ack::Log).await;
    let read = async {
        if one {
            let a = reader
                .e
                .get(Get::plain(key("k"), reader.dl()))
                .await
                .unwrap();
            (a.result, a.position)
        } else {
            let mut a = reader.e.get_many(many(&reader, &["k"])).await.unwrap();
            (a.result.pop().unwrap(), a.position)
        }
    };
    let mut read = Box::pin(read);
    assert!(
        futures::poll!(read.as_mut()).is_pending(),
        "waits for the record of it"
    );
    reader.log.undeaf(mark);
    let (outcome, position) = read.await;
    let found = outcome.found().expect("it is fresh").clone();
    assert_eq!(found.payload.data(), b"new");
    assert!(position.sequence >= stored.position.sequence);
    let again = Get {
        min_position: Some(position),
        deadline: behind.e.now().plus(std::time::Duration::from_millis(300)),
        ..Get::plain(key("k"), behind.dl())
    };
    let again = behind.e.get(again).await.ok()?;
    let found = again.result.found()?;
    Some(String::from_utf8(found.payload.data().to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn nobody_goes_back_behind_the_position_of_a_get() {
    assert_ne!(told(true).await.as_deref(), Some("old"));
}

#[tokio::test(start_paused = true)]
async fn nobody_goes_back_behind_the_position_of_a_read_of_many() {
    assert_ne!(told(false).await.as_deref(), Some("old"));
}

/// I-12: nothing is fresh later than its expiry + 50 ms.
#[tokio::test(start_paused = true)]
async fn what_expires_while_the_tier_is_waited_for_is_not_answered_as_fresh() {
    let mut w = World::new();
    let p = w.pod().await;
    p.set("near", new("near", 100), Ack::Log).await;
    p.tier.1.store(true, SeqCst);
    p.tier.3.store(400, SeqCst);
    let began = p.e.now();
    let answer = p.e.get_many(many(&p, &["near", "far"])).await.unwrap();
    let late = p.e.now().since(began);
    let fresh = answer.result[0].found().is_some_and(|f| f.stale.is_none());
    assert!(
        !fresh,
        "fresh {late:?} after the call began, of a ttl of 100 ms"
    );
}

/// What L1 holds stale was covered while the tier was waited for.
async fn covered_meanwhile(one: bool) -> Option<String> {
    let mut w = World::new();
    let p = w.pod().await;
    let mut old = new("old", 50);
    old.stale_for = Some(std::time::Duration::from_secs(600));
    p.set("near", old, Ack::Log).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    p.tier.1.store(true, SeqCst);
    p.tier.3.store(300, SeqCst);
    let read = async {
        if one {
            let mut get = Get::plain(key("near"), p.dl());
            get.level = Level::StaleOk;
            p.e.get(get).await.unwrap().result
        } else {
            let mut get = many(&p, &["near", "far"]);
            get.level = Level::StaleOk;
            p.e.get_many(get).await.unwrap().result.remove(0)
        }
    };
    let mut read = Box::pin(read);
    assert!(
        futures::poll!(read.as_mut()).is_pending(),
        "the tier is slow"
    );
    p.e.invalidate(hard(&p, "near")).await.unwrap();
    let outcome = read.await;
    let found = outcome.found()?;
    Some(String::from_utf8(found.payload.data().to_vec()).unwrap())
}

/// Below a hard invalidation nothing is served, and its position, given to Set,
/// would bring it back as fresh (I-6).
#[tokio::test(start_paused = true)]
async fn what_is_covered_while_the_tier_is_waited_for_is_not_answered() {
    assert_eq!(covered_meanwhile(true).await, None);
    assert_eq!(covered_meanwhile(false).await, None);
}
