//! Ttls that are learned, with real servers: what changes often lives shorter,
//! also after the pod was started again, and the metrics say so.

use crate::calls::{get, invalidate, patient, set};
use crate::fleet::Fleet;
use std::time::Duration;
use unstale_proto::v1::{Ack, ExplainRequest, ExplainedFamily, Giver};
use unstale_tests::{PATIENCE, Redis, Sidecar, Signal, eventually};

const LEARNS: &str = r#"
[namespace.default]
default_ttl = "20s"
[namespace.default.adaptive_ttl]
min = "1s"
max = "10m"
stale_budget = 0.1
families = ["fast:*", "slow:*"]
"#;

/// 32 bytes in base64.
const KEY: &str = "1 b3M0y2nq9Q0Jd1m9w8o4k6Y7c5T3r2e1i0u9z8x7v6c=\n";

async fn family(pod: &Sidecar, key: &str) -> ExplainedFamily {
    let request = ExplainRequest {
        namespace: String::new(),
        key: key.into(),
    };
    let told = pod.admin().explain(patient(request)).await;
    let told = told.expect("Explain answers").into_inner();
    told.family.expect("ttls are learned")
}

/// Changes one family and confirms the other, until the first is known to change.
async fn teach(pod: &Sidecar) -> [ExplainedFamily; 2] {
    for round in 0..u32::MAX {
        for n in 0..8 {
            let (fast, slow) = (format!("fast:{n}"), format!("slow:{n}"));
            set(pod, &fast, &round.to_string()).await;
            set(pod, &slow, "the same").await;
            get(pod, &slow).await;
            if n % 2 == 0 {
                invalidate(pod, &fast, Ack::Log).await.expect("OK");
            }
        }
        let both = [family(pod, "fast:1").await, family(pod, "slow:1").await];
        if ttl(&both[0]) * 4 < ttl(&both[1]) && both[1].observations > 30.0 {
            return both;
        }
    }
    unreachable!("it is killed before")
}

fn ttl(family: &ExplainedFamily) -> Duration {
    let ttl = family.ttl.expect("a ttl");
    ttl.try_into().expect("not negative")
}

/// Ends it in order, and waits for that.
async fn end(mut pod: Sidecar) {
    pod.signal(Signal::TERM);
    let status = pod.ended(PATIENCE).await;
    assert!(status.success(), "{status}: {}", pod.log());
}

async fn ttl_by(pod: &Sidecar, key: &str) -> (Giver, Duration) {
    set(pod, key, "new").await;
    let request = ExplainRequest {
        namespace: String::new(),
        key: key.into(),
    };
    let told = pod.admin().explain(patient(request)).await;
    let held = told.expect("Explain answers").into_inner().l1;
    let life = held.and_then(|held| held.life).expect("L1 has it");
    let ttl = life.ttl.expect("a ttl").try_into().expect("not negative");
    (life.ttl_by(), ttl)
}

async fn learns_and_remembers(more: &str) {
    let config = format!("{more}{LEARNS}");
    let mut fleet = Fleet::configured(1, &config).await;
    let pod = fleet.pods.pop().expect("one pod");
    let [fast, slow] = teach(&pod).await;
    assert!(fast.configured && fast.template == "fast:*", "{fast:?}");
    assert!(fast.changes_per_second > slow.changes_per_second * 10.0);
    assert!(slow.reads_per_second > 0.0, "{slow:?}");
    let (giver, given) = ttl_by(&pod, "fast:new").await;
    assert_eq!(giver, Giver::Adaptive);
    assert!(given < Duration::from_secs(10), "{given:?}");
    let gauge = "unstale_adaptive_observations{namespace=\"default\",family=\"slow:*\"}";
    let (_, page) = pod.page("/metrics").await;
    assert!(page.contains(gauge), "{page}");
    assert!(!page.contains("fast:1"), "no key is a label");
    end(pod).await;
    let again = fleet.late_with(&config).await;
    let known = || async {
        let fast = family(&again, "fast:1").await;
        (fast.observations > 30.0)
            .then_some(fast.clone())
            .ok_or(format!("{fast:?}"))
    };
    let fast = eventually("what was learned before", PATIENCE, known).await;
    let slow = family(&again, "slow:1").await;
    assert!(ttl(&fast) * 4 < ttl(&slow), "{fast:?} {slow:?}");
    assert_eq!(again.metric("unstale_adaptive_records_read_total").await, 1);
    let (giver, given) = ttl_by(&again, "fast:other").await;
    assert_eq!(giver, Giver::Adaptive);
    assert!(given < Duration::from_secs(10), "{given:?}");
}

#[tokio::test]
async fn what_was_learned_survives_a_restart_in_nats() {
    learns_and_remembers("").await;
}

#[tokio::test]
async fn what_was_learned_survives_a_restart_in_an_encrypted_redis() {
    let redis = Redis::start();
    let keys = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(keys.path(), KEY).expect("written");
    let remote = format!(
        "remote = \"{}\"\nencryption_key_file = {:?}\n",
        redis.url(),
        keys.path()
    );
    learns_and_remembers(&remote).await;
}
