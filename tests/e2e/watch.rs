//! Watch: what a stream tells is ordered and complete, or it says that it is
//! not.

use crate::calls::{invalidate, patient, set};
use crate::fleet::Fleet;
use crate::watcher::{Watcher, sequence};
use unstale_proto::v1::watch_response::Event;
use unstale_proto::v1::{Ack, All, InvalidateRequest};
use unstale_tests::{PATIENCE, Sidecar, Signal, eventually};

/// Invalidates `range` of keys, one after the other; their positions.
async fn invalidate_all(pod: &Sidecar, range: std::ops::Range<u32>) -> Vec<(String, String)> {
    let mut done = Vec::new();
    for i in range {
        let key = format!("k{i}");
        let answer = invalidate(pod, &key, Ack::Log).await.expect("OK");
        done.push((key, answer.position));
    }
    done
}

#[tokio::test]
async fn a_watcher_is_told_first_where_it_starts_and_then_all_in_log_order() {
    let fleet = Fleet::of(2).await;
    let [writer, watched] = &fleet.pods[..] else {
        panic!("two pods");
    };
    // From before the watch: not reported.
    let before = invalidate(writer, "before", Ack::Fleet).await.expect("OK");
    let (mut watcher, started) = Watcher::after(watched, "").await;
    assert!(sequence(&started) >= sequence(&before.position));
    let expected = invalidate_all(writer, 0..50).await;
    for expected in expected {
        assert_eq!(watcher.key().await, expected);
    }
}

#[tokio::test]
async fn tags_the_namespace_and_the_reason_are_told_and_other_namespaces_are_not() {
    let fleet = Fleet::of(2).await;
    let [writer, watched] = &fleet.pods[..] else {
        panic!("two pods");
    };
    let (mut watcher, _) = Watcher::after(watched, "").await;
    let elsewhere = InvalidateRequest {
        namespace: "other".into(),
        keys: vec!["k".into()],
        ..InvalidateRequest::default()
    };
    let everything = InvalidateRequest {
        tags: vec!["t".into()],
        all: Some(All {}),
        reason: "a deploy".into(),
        ..InvalidateRequest::default()
    };
    for request in [elsewhere, everything] {
        let done = writer.cache().invalidate(patient(request)).await;
        done.expect("OK");
    }
    match watcher.next().await.0 {
        Event::Invalidation(what) => {
            assert_eq!((what.keys, what.tags), (vec![], vec!["t".to_owned()]));
            assert_eq!(what.namespace, "default");
            assert_eq!((what.all, what.reason), (Some(All {}), "a deploy".into()));
        }
        other => panic!("no invalidation: {other:?}"),
    }
}

#[tokio::test]
async fn a_watch_resumed_by_position_on_any_pod_loses_and_repeats_nothing() {
    let fleet = Fleet::of(2).await;
    let [writer, watched] = &fleet.pods[..] else {
        panic!("two pods");
    };
    let (mut watcher, _) = Watcher::after(watched, "").await;
    let mut expected = invalidate_all(writer, 0..20).await;
    let mut seen = Vec::new();
    for _ in 0..10 {
        seen.push(watcher.key().await);
    }
    drop(watcher);
    expected.extend(invalidate_all(writer, 20..40).await);
    // A pod's position means the same on every pod.
    for pod in [watched, writer] {
        let (_, last) = seen.last().expect("ten were seen").clone();
        let (mut watcher, started) = Watcher::after(pod, &last).await;
        assert_eq!(started, last);
        let until = seen.len() + 15;
        while seen.len() < until {
            seen.push(watcher.key().await);
        }
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_position_of_another_epoch_is_lagged_and_then_the_stream_goes_on() {
    let fleet = Fleet::of(1).await;
    let pod = &fleet.pods[0];
    invalidate_all(pod, 0..5).await;
    let (mut watcher, _) = Watcher::after(pod, "00000000deadbeef-1").await;
    let lagged = watcher.is_lagged().await;
    let expected = invalidate_all(pod, 5..8).await;
    assert!(sequence(&lagged) < sequence(&expected[0].1));
    for expected in expected {
        assert_eq!(watcher.key().await, expected);
    }
}

/// Everything in order up to the last of `expected`, or lagged before it.
async fn complete_or_lagged(watcher: &mut Watcher, expected: &[(String, String)]) {
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        match watcher.next().await {
            (Event::Invalidation(what), at) => seen.push((what.keys.concat(), at)),
            (Event::Lagged(_), at) => {
                seen.clear();
                if expected
                    .last()
                    .is_none_or(|(_, last)| sequence(&at) >= sequence(last))
                {
                    return;
                }
            }
            other => panic!("neither: {other:?}"),
        }
        if seen.last() == expected.last() {
            break;
        }
    }
    assert!(expected.ends_with(&seen), "{seen:?} of {expected:?}");
}

#[tokio::test]
async fn a_pod_that_was_stopped_tells_its_watchers_all_or_that_they_lagged() {
    let fleet = Fleet::of(2).await;
    let [writer, stopped] = &fleet.pods[..] else {
        panic!("two pods");
    };
    let (mut watcher, _) = Watcher::after(stopped, "").await;
    stopped.stop();
    let mut expected = invalidate_all(writer, 0..5).await;
    // Long enough that its session has surely lapsed.
    let done = invalidate(writer, "k5", Ack::Fleet).await.expect("OK");
    assert_eq!(done.lapsed.len(), 1);
    expected.push(("k5".into(), done.position));
    stopped.signal(Signal::CONT);
    fleet.is_whole().await;
    expected.extend(invalidate_all(writer, 6..7).await);
    complete_or_lagged(&mut watcher, &expected).await;
}

#[tokio::test]
async fn a_restarted_server_costs_a_watcher_nothing_in_silence() {
    let mut fleet = Fleet::of(2).await;
    let (mut watcher, _) = Watcher::after(&fleet.pods[1], "").await;
    let mut expected = invalidate_all(&fleet.pods[0], 0..5).await;
    fleet.nats.stop();
    for pod in &fleet.pods {
        let ask = || async {
            let error = pod.status().await.log_error;
            (!error.is_empty())
                .then_some(())
                .ok_or("no error yet".into())
        };
        eventually("a pod that misses the log", PATIENCE, ask).await;
    }
    fleet.nats.restart();
    for pod in &fleet.pods {
        let ask = || async {
            // A session that has not lapsed yet answers without the log.
            let error = pod.status().await.log_error;
            error.is_empty().then_some(()).ok_or(error)
        };
        eventually("a pod that has the log again", PATIENCE, ask).await;
    }
    expected.extend(invalidate_all(&fleet.pods[0], 5..10).await);
    complete_or_lagged(&mut watcher, &expected).await;
}

#[tokio::test]
async fn a_pod_that_came_later_never_leaves_out_what_was_before_it_in_silence() {
    let mut fleet = Fleet::of(1).await;
    let early = set(&fleet.pods[0], "k", "v").await;
    let mut expected = invalidate_all(&fleet.pods[0], 0..5).await;
    let later = Sidecar::builder().nats(&fleet.nats.url()).pod("pod-1");
    fleet.pods.push(later.spawn());
    fleet.is_whole().await;
    expected.extend(invalidate_all(&fleet.pods[0], 5..6).await);
    for pod in &fleet.pods {
        let (mut watcher, _) = Watcher::after(pod, &early).await;
        let (first, _) = watcher.next().await;
        let whole = matches!(&first, Event::Invalidation(what) if what.keys == ["k0"]);
        assert!(whole || matches!(first, Event::Lagged(_)), "{first:?}");
    }
}
