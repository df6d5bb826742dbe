//! What only Redis and Valkey can be asked, and can refuse.

use crate::key::{self, LONG, put, reads};
use crate::tier::{Kind, Pod, Running, Servers, World};
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unstale_engine::key::NameHash;
use unstale_engine::remote::{Expect, PutOutcome, RemoteError};
use unstale_tests::{PATIENCE, Redis, eventually};

/// How long puts are refused: longer than a pod goes on without looking for
/// another server.
const REFUSING: Duration = Duration::from_secs(3);

fn with(kind: Kind, more: &[&str]) -> Redis {
    match kind {
        Kind::Valkey => Redis::valkey_with(more),
        _ => Redis::with(more),
    }
}

fn redis(running: &Running) -> &Redis {
    match &running.servers {
        Servers::Redis(redis) => redis,
        _ => panic!("no Redis"),
    }
}

fn name(key: NameHash) -> String {
    format!("unstale:test:{:032x}", key.0)
}

async fn put_fails(pod: &Pod) -> RemoteError {
    let record = Bytes::from_static(b"record");
    let put = pod.remote.put(key::new(), Expect::Absent, record, LONG);
    put.await.expect_err("it is refused")
}

pub(crate) async fn what_strangers_left_under_a_key_is_replaced(world: Arc<World>) {
    let running = world.kind.start().await;
    let pod = running.pod().await;
    for words in [
        &["SET", "KEY", "short"][..],
        &["SET", "KEY", "longer than a revision"],
        &["SET", "KEY", ""],
        &["RPUSH", "KEY", "a list"],
        &["RPUSH", "KEY", "a list that is read with another key"],
    ] {
        let with_others = words[2].ends_with("another key");
        let key = key::new();
        let own = name(key);
        let words: Vec<_> = words.iter().map(|word| word.replace("KEY", &own)).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        redis(&running).command(&words);
        let there = match with_others {
            false => pod.remote.get(key).await,
            true => pod.remote.get_many(&[key, key::new()]).await.swap_remove(0),
        };
        let expect = match there.unwrap() {
            Some(there) => Expect::Revision(there.revision),
            None => Expect::Absent,
        };
        let revision = put(&*pod.remote, key, expect, "ours").await;
        assert_eq!(reads(&world, &*pod.remote, key, "ours").await, revision);
    }
}

pub(crate) async fn a_put_is_one_round_trip_once_the_script_is_known(world: Arc<World>) {
    let running = world.kind.start().await;
    let (pod, redis) = (running.pod().await, redis(&running));
    put(&*pod.remote, key::new(), Expect::Absent, "first").await;
    redis.command(&["SCRIPT", "FLUSH"]);
    put(&*pod.remote, key::new(), Expect::Absent, "unknown").await;
    redis.command(&["CONFIG", "RESETSTAT"]);
    for _ in 0..10 {
        put(&*pod.remote, key::new(), Expect::Absent, "known").await;
    }
    let stats = redis.command(&["INFO", "commandstats"]);
    assert!(stats.contains("cmdstat_evalsha:calls=10,"), "{stats}");
    assert!(!stats.contains("cmdstat_eval:"), "{stats}");
}

pub(crate) async fn a_full_server_refuses_puts_and_answers_reads(world: Arc<World>) {
    let running = Running::new(Servers::Redis(with(world.kind, &[])));
    let (pod, key) = (running.pod().await, key::new());
    let revision = put(&*pod.remote, key, Expect::Absent, "record").await;
    redis(&running).command(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = put_fails(&pod).await;
    assert!(matches!(error, RemoteError::Refused(_)), "{error:?}");
    assert_eq!(reads(&world, &*pod.remote, key, "record").await, revision);
    pod.remote.delete(key, revision).await.unwrap();
    redis(&running).command(&["CONFIG", "SET", "maxmemory", "0"]);
    put(&*pod.remote, key, Expect::Absent, "again").await;
}

pub(crate) async fn a_read_only_replica_is_named(world: Arc<World>) {
    let primary = with(world.kind, &[]);
    let of = ["--replicaof", "127.0.0.1", &primary.port().to_string()];
    let running = Running::new(Servers::Redis(with(world.kind, &of)));
    let pod = running.pod().await;
    let ask = || async {
        let error = put_fails(&pod).await;
        let named = matches!(&error, RemoteError::Refused(why) if why.contains("replica"));
        named.then_some(()).ok_or(format!("{error:?}"))
    };
    eventually("a refusal", PATIENCE, ask).await;
    // It becomes the primary, as in a failover.
    redis(&running).command(&["REPLICAOF", "NO", "ONE"]);
    let ask = || async {
        let record = Bytes::from_static(b"record");
        let put = pod
            .remote
            .put(key::new(), Expect::Absent, record, LONG)
            .await;
        match put {
            Ok(PutOutcome::Stored(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    eventually("a put", PATIENCE, ask).await;
}

pub(crate) async fn puts_that_a_replica_refuses_cost_no_read(world: Arc<World>) {
    let primary = with(world.kind, &[]);
    let running = Running::new(Servers::Redis(with(world.kind, &[])));
    let (pod, key) = (running.pod().await, key::new());
    let revision = put(&*pod.remote, key, Expect::Absent, "record").await;
    // What it holds now is the primary's: nothing.
    let of = ["REPLICAOF", "127.0.0.1", &primary.port().to_string()];
    assert_eq!(redis(&running).command(&of), "+OK");
    let ask = || async {
        let link = redis(&running).info("replication", "master_link_status");
        let there = pod.remote.get(key).await.map_err(|e| e.to_string())?;
        let follows = link == "up" && there.is_none_or(|there| there.revision != revision);
        follows.then_some(()).ok_or(link)
    };
    eventually("a replica", PATIENCE, ask).await;
    let began = Instant::now();
    let (mut puts, mut refused) = (0, 0);
    while began.elapsed() < REFUSING {
        let error = put_fails(&pod).await;
        puts += 1;
        refused += u32::from(matches!(error, RemoteError::Refused(_)));
        assert_eq!(pod.remote.get(key).await, Ok(None), "after {puts} puts");
    }
    assert_eq!(refused, puts);
}

pub(crate) async fn a_user_who_may_not_run_scripts_is_told_what_is_missing(world: Arc<World>) {
    let running = Running::new(Servers::Redis(with(world.kind, &[])));
    let user = [
        "ACL",
        "SETUSER",
        "app",
        "on",
        ">secret",
        "~unstale:*",
        "+get",
        "+mget",
        "+ping",
    ];
    assert_eq!(redis(&running).command(&user), "+OK");
    let mut flags = running.flags();
    flags.remote_user = Some("app".into());
    flags.remote_password = Some("secret".into());
    let pod = Pod::new(&flags);
    pod.usable().await;
    let error = put_fails(&pod).await;
    let text = error.to_string();
    assert!(matches!(error, RemoteError::Misconfigured(_)), "{text}");
    assert!(text.contains("+evalsha"), "{text}");
    let grant = [
        "ACL",
        "SETUSER",
        "app",
        "+eval",
        "+evalsha",
        "+set",
        "+getrange",
        "+unlink",
    ];
    assert_eq!(redis(&running).command(&grant), "+OK");
    put(&*pod.remote, key::new(), Expect::Absent, "record").await;
}
