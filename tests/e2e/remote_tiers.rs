//! Pods whose values live in Redis, Valkey or memcached, with the log in NATS:
//! what one stores the other reads from there, one of them loads, and an
//! invalidation holds everywhere.

use crate::calls::{found, get, get_after, invalidate, set};
use crate::fleet::Fleet;
use crate::lease::{fill, granted, lease};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::time::Duration;
use tempfile::TempDir;
use unstale_proto::v1::{Ack, Tier, get_response, lease_response};
use unstale_tests::{Memcached, PATIENCE, Redis, RedisCluster, eventually};

/// Longer than the loads of these tests.
const WAIT: Duration = Duration::from_secs(20);

/// How long a Sentinel may take to decide and act.
const FAILOVER: Duration = Duration::from_secs(60);

async fn fleet(remote: &str) -> Fleet {
    Fleet::configured(2, &format!("remote = \"{remote}\"\n")).await
}

async fn values_are_shared(fleet: &Fleet) {
    let [a, b] = &fleet.pods[..] else {
        panic!("two pods")
    };
    let position = set(a, "user:1", "Ada").await;
    let answer = get_after(b, ("", "user:1"), &position)
        .await
        .expect("Get answers");
    assert_eq!(found(&answer).as_deref(), Some("Ada"));
    let Some(get_response::Result::Found(entry)) = answer.result else {
        panic!("found above")
    };
    assert_eq!(entry.tier(), Tier::Remote);
    let token = granted(lease(a, Duration::ZERO).await);
    let busy = lease(b, Duration::ZERO).await;
    assert!(matches!(busy, lease_response::Result::Busy(_)), "{busy:?}");
    let (waited, filled) = tokio::join!(lease(b, WAIT), fill(a, &token, "loaded"));
    filled.expect("Fill answers");
    assert!(
        matches!(waited, lease_response::Result::Hit(_)),
        "{waited:?}"
    );
    for key in ["user:1", "k"] {
        invalidate(b, key, Ack::Fleet).await.expect("it holds");
        assert_eq!((get(a, key).await, get(b, key).await), (None, None));
    }
}

#[tokio::test]
async fn pods_share_values_through_redis() {
    let redis = Redis::start();
    values_are_shared(&fleet(&redis.url()).await).await;
}

#[tokio::test]
async fn pods_share_values_through_valkey() {
    let valkey = Redis::valkey();
    values_are_shared(&fleet(&valkey.url()).await).await;
}

#[tokio::test]
async fn pods_share_values_through_a_redis_cluster() {
    let cluster = RedisCluster::start().await;
    values_are_shared(&fleet(&cluster.url()).await).await;
}

#[tokio::test]
async fn pods_share_values_through_the_primary_that_a_sentinel_names() {
    let redis = Redis::start();
    let sentinel = Redis::sentinel(&redis, "main");
    let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port());
    values_are_shared(&fleet(&url).await).await;
}

#[tokio::test]
async fn pods_follow_a_failover_that_a_sentinel_decides() {
    let mut primary = Redis::start();
    let of = ["--replicaof", "127.0.0.1", &primary.port().to_string()];
    let replica = Redis::with(&of);
    let sentinel = Redis::sentinel(&primary, "main");
    let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port());
    let fleet = fleet(&url).await;
    let ask = || async {
        let known = sentinel.command(&["INFO", "sentinel"]);
        let knows = known.contains("slaves=1");
        knows.then_some(()).ok_or(known)
    };
    eventually("a Sentinel that knows the replica", PATIENCE, ask).await;
    primary.stop();
    let ask = || async {
        let role = replica.command(&["INFO", "replication"]);
        let promoted = role.contains("role:master");
        promoted.then_some(()).ok_or(role)
    };
    eventually("a new primary", FAILOVER, ask).await;
    for (from, to) in [(0, 1), (1, 0)] {
        let ask = || async {
            let (from, to) = (&fleet.pods[from], &fleet.pods[to]);
            let position = set(from, "probe", "probe").await;
            let answer = get_after(to, ("", "probe"), &position).await;
            let answer = answer.map_err(|e| e.to_string())?;
            let shared = found(&answer).is_some() && answer.degraded.is_none();
            shared.then_some(()).ok_or(format!("{answer:?}"))
        };
        eventually("values in the new primary", FAILOVER, ask).await;
    }
    values_are_shared(&fleet).await;
}

#[tokio::test]
async fn pods_share_values_through_two_memcached_servers() {
    let (one, other) = (Memcached::start(), Memcached::start());
    let url = format!("{},127.0.0.1:{}", one.url(), other.port());
    values_are_shared(&fleet(&url).await).await;
}

/// An authority and a server's certificate for 127.0.0.1; files in `dir`.
fn certificates(dir: &TempDir) -> [std::path::PathBuf; 3] {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = authority.self_signed(&authority_key).expect("signed");
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    let server = server.signed_by(&key, &issuer).expect("signed");
    [
        ("server.pem", server.pem()),
        ("server.key", key.serialize_pem()),
        ("ca.pem", ca.pem()),
    ]
    .map(|(name, text)| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).expect("written");
        file
    })
}

#[tokio::test]
async fn pods_share_values_over_tls_with_a_user_of_few_rights() {
    let dir = TempDir::with_prefix("unstale-tls-").expect("a directory");
    let [certificate, key, ca] = certificates(&dir);
    let (users, password) = (dir.path().join("users.acl"), dir.path().join("password"));
    let rights = "~unstale:* resetchannels +get +mget +eval +evalsha +ping +set +getrange +unlink";
    std::fs::write(
        &users,
        format!("user default off\nuser app on >sesame {rights}\n"),
    )
    .expect("written");
    std::fs::write(&password, "sesame\n").expect("written");
    let redis = Redis::tls(&certificate, &key, &ca, &users);
    let config = format!(
        "remote = \"rediss://127.0.0.1:{}\"\nremote_user = \"app\"\nremote_password_file = {password:?}\nremote_ca = {ca:?}\n",
        redis.port()
    );
    values_are_shared(&Fleet::configured(2, &config).await).await;
}

#[tokio::test]
async fn another_keys_record_is_a_miss_a_metric_and_a_new_connection() {
    let redis = Redis::start();
    let fleet = fleet(&redis.url()).await;
    let [a, b] = &fleet.pods[..] else {
        panic!("two pods")
    };
    set(a, "mine", "mine").await;
    let mine = redis.command_lines(&["KEYS", "unstale:test:*"]);
    let position = set(a, "other", "other").await;
    let both = redis.command_lines(&["KEYS", "unstale:test:*"]);
    let other = both
        .iter()
        .find(|key| !mine.contains(key))
        .expect("a second record");
    assert_eq!(redis.command(&["COPY", other, &mine[0], "REPLACE"]), ":1");
    let before = redis.command(&["INFO", "stats"]);
    let answer = get_after(b, ("", "mine"), &position)
        .await
        .expect("Get answers");
    assert_eq!(found(&answer), None);
    assert_eq!(b.metric("unstale_wrong_keys_total").await, 1);
    let connections = |info: &str| {
        let line = info
            .lines()
            .find(|line| line.starts_with("total_connections_received"));
        let number = line.and_then(|line| line.split(':').nth(1)?.trim().parse::<u64>().ok());
        number.expect("a number")
    };
    let ask = || async {
        // Each question of this test is a connection, too.
        let now = connections(&redis.command(&["INFO", "stats"]));
        let read = get(b, "other").await;
        let whole = read.as_deref() == Some("other") && now > connections(&before) + 1;
        whole.then_some(()).ok_or(format!("{read:?}"))
    };
    eventually("the other record over a new connection", PATIENCE, ask).await;
    set(a, "mine", "again").await;
}
