//! A Redis that hangs: calls become fast, one probe at a time asks whether it is
//! back, and when it is, it is used again.

use crate::calls::{found, get_after, set};
use futures::future::join_all;
use std::time::{Duration, Instant};
use unstale_proto::v1::GetResponse;
use unstale_tests::{Nats, PATIENCE, Redis, Sidecar, eventually};

const TIMEOUT: Duration = Duration::from_millis(100);
/// Reads at the same time.
const CALLERS: usize = 50;

async fn pod(nats: &Nats, redis: &Redis) -> Sidecar {
    let timeout = format!("{}ms", TIMEOUT.as_millis());
    let pod = Sidecar::builder().nats(&nats.url());
    let pod = pod.flag("--remote", redis.url());
    pod.flag("--remote-timeout", timeout).fresh().await
}

async fn read(pod: &Sidecar, key: &str) -> GetResponse {
    let answer = get_after(pod, ("", key), "").await;
    answer.expect("Get answers")
}

async fn transitions(pod: &Sidecar, to: &str) -> u64 {
    let name = "unstale_remote_breaker_transitions_total";
    pod.metric(&format!("{name}{{to={to:?}}}")).await
}

async fn timeouts(pod: &Sidecar) -> u64 {
    pod.metric("unstale_remote_timeouts_total").await
}

fn is_degraded(answer: &GetResponse) -> bool {
    let degraded = answer.degraded.as_ref();
    degraded.is_some_and(|degraded| format!("{degraded:?}").contains("emote"))
}

#[tokio::test]
async fn a_redis_that_hangs_is_left_alone_and_asked_by_one_at_a_time() {
    let (nats, redis) = (Nats::start(), Redis::start());
    let pod = pod(&nats, &redis).await;
    set(&pod, "held", "held").await;
    redis.pause();
    // One after the other: nothing else is under way when it opens.
    let mut calls = 0;
    while transitions(&pod, "open").await == 0 {
        assert!(calls < 50, "it is asked again and again");
        assert!(is_degraded(&read(&pod, &format!("away-{calls}")).await));
        calls += 1;
    }
    let before = (timeouts(&pod).await, transitions(&pod, "half_open").await);
    let (mut round, began) = (0, Instant::now());
    while transitions(&pod, "half_open").await < before.1 + 3 {
        assert!(began.elapsed() < PATIENCE, "nobody asks whether it is back");
        let keys: Vec<_> = (0..CALLERS).map(|n| format!("{round}-{n}")).collect();
        let answers = join_all(keys.iter().map(|key| read(&pod, key))).await;
        assert!(answers.iter().all(is_degraded), "{answers:?}");
        round += 1;
    }
    // Every call that reached Redis was a probe.
    let after = (timeouts(&pod).await, transitions(&pod, "half_open").await);
    let (late, probes) = (after.0 - before.0, after.1 - before.1);
    assert!(late <= probes, "{late} calls for {probes} probes");
    assert!(round * CALLERS as u64 > 10 * probes, "{round} rounds");
    assert_eq!(found(&read(&pod, "held").await).as_deref(), Some("held"));
    redis.go_on();
    let ask = || async {
        let answer = read(&pod, "absent").await;
        let whole = answer.degraded.is_none();
        whole.then_some(()).ok_or(format!("{answer:?}"))
    };
    eventually("a tier that is used again", PATIENCE, ask).await;
    let name = "unstale_remote_breaker{state=\"closed\"}";
    assert_eq!(pod.metric(name).await, 1);
    assert_eq!(transitions(&pod, "closed").await, 1);
    assert!(pod.log().contains("it is left alone"));
    assert!(pod.log().contains("it answers again"));
}

#[tokio::test]
async fn a_full_redis_is_still_read() {
    let (nats, redis) = (Nats::start(), Redis::start());
    let first = pod(&nats, &redis).await;
    let position = set(&first, "kept", "kept").await;
    let second = pod(&nats, &redis).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    for n in 0..20 {
        set(&second, &format!("more-{n}"), "more").await;
    }
    let refused = redis.command(&["INFO", "errorstats"]);
    assert!(refused.contains("errorstat_OOM"), "{refused}");
    let kept = get_after(&second, ("", "kept"), &position).await;
    let kept = kept.expect("Get answers");
    assert_eq!(found(&kept).as_deref(), Some("kept"), "{kept:?}");
    assert_eq!(transitions(&second, "open").await, 0);
}
