//! `unstale check --remote URL` against real servers: what it calls an error
//! `serve` could not use, and every unsafe setting has its safe one.

use crate::calls::set;
use std::process::{Command, Stdio};
use unstale_tests::{Memcached, Nats, PATIENCE, Redis, RedisCluster, Sidecar, free_port, unstale};

/// Runs the check; its exit code and what it found.
async fn check(flags: &[&str]) -> (i32, String) {
    let mut program = Command::new(unstale());
    program.args(["check", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    program
        .args(["--uds", "off", "--remote"])
        .args(flags)
        .stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("UNSTALE_") {
            program.env_remove(name);
        }
    }
    let ended = tokio::task::spawn_blocking(move || program.output());
    let ended = tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("it ends");
    let output = ended.expect("a thread").expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).expect("text");
    (output.status.code().expect("a code"), said)
}

/// There must be a line that begins so and has every part.
fn has(said: &str, kind: &str, parts: &[&str]) {
    let found = |line: &str| line.starts_with(kind) && parts.iter().all(|part| line.contains(part));
    assert!(
        said.lines().any(found),
        "no {kind} with {parts:?} in:\n{said}"
    );
}

#[tokio::test]
async fn a_server_that_is_set_well_is_approved_and_stays_as_it_was() {
    let more = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    for (redis, version) in [
        (Redis::with(&more), "Redis 7.0."),
        (Redis::valkey_with(&more), "Valkey 9."),
    ] {
        let (code, said) = check(&[&redis.url()]).await;
        assert_eq!(code, 0, "{said}");
        has(&said, "ok", &["redis", version]);
        has(&said, "ok", &["makes room by allkeys-lru"]);
        has(&said, "ok", &["100 reads at once"]);
        has(&said, "warning", &["without --nats", "is safe"]);
        assert_eq!(said.matches("warning").count(), 1, "{said}");
        assert_eq!(redis.command(&["DBSIZE"]), ":0");
    }
}

#[tokio::test]
async fn unsafe_settings_are_warnings_that_name_the_safe_ones() {
    let redis = Redis::with(&["--appendonly", "yes"]);
    let (code, said) = check(&[&redis.url()]).await;
    assert_eq!(code, 0, "{said}");
    has(&said, "warning", &["maxmemory is 0", "allkeys-lru is safe"]);
    has(&said, "warning", &["appendonly is yes", "no is enough"]);
    redis.command(&["CONFIG", "SET", "maxmemory", "100mb"]);
    let (_, said) = check(&[&redis.url()]).await;
    has(&said, "warning", &["noeviction", "allkeys-lru is safe"]);
}

#[tokio::test]
async fn what_serve_could_not_use_is_an_error() {
    let primary = Redis::start();
    let of = ["--replicaof", "127.0.0.1", &primary.port().to_string()];
    let replica = Redis::with(&of);
    let (code, said) = check(&[&replica.url()]).await;
    assert_eq!(code, 1, "{said}");
    has(&said, "error", &["read-only replica", "primary"]);
    let guarded = Redis::with(&["--requirepass", "sesame"]);
    let (code, said) = check(&[&guarded.url()]).await;
    assert_eq!(code, 1, "{said}");
    has(&said, "error", &["--remote-password-file"]);
    let wrong = ["--remote-user", "default", "--remote-password", "open"];
    let (code, said) = check(&[&[guarded.url().as_str()], &wrong[..]].concat()).await;
    assert_eq!(code, 1, "{said}");
    has(&said, "error", &["refuses the user or password"]);
    let nobody = format!("redis://127.0.0.1:{}", free_port());
    let (code, said) = check(&[&nobody]).await;
    assert_eq!(code, 1, "{said}");
    has(&said, "error", &["redis", "refused"]);
}

/// What is asked of it with which rights.
async fn judged(redis: &Redis, rights: &[&str]) -> (i32, String) {
    let user = [&["ACL", "SETUSER", "app"][..], rights].concat();
    assert_eq!(redis.command(&user), "+OK");
    let login = ["--remote-user", "app", "--remote-password", "secret"];
    check(&[&[redis.url().as_str()], &login[..]].concat()).await
}

#[tokio::test]
async fn what_a_user_may_not_do_is_named_with_what_to_grant() {
    for redis in [Redis::start(), Redis::valkey()] {
        let first = ["on", ">secret", "~unstale:*", "+ping", "+info", "+get"];
        let (code, said) = judged(&redis, &first).await;
        assert_eq!(code, 1, "{said}");
        has(&said, "error", &["EVAL, EVALSHA", "+eval +evalsha"]);
        has(&said, "error", &["+getrange +set +unlink"]);
        has(&said, "warning", &["MGET", "one by one", "+mget"]);
        let (code, said) = judged(&redis, &["+eval", "+evalsha", "+getrange"]).await;
        assert_eq!(code, 1, "{said}");
        has(&said, "error", &["may not send SET, UNLINK"]);
        has(&said, "error", &["grant ~unstale:", "* +set +unlink"]);
        let (code, said) = judged(&redis, &["+set", "+unlink"]).await;
        assert_eq!(code, 0, "{said}");
        has(&said, "warning", &["may not send MGET"]);
        let (code, said) = judged(&redis, &["+mget"]).await;
        assert_eq!(code, 0, "{said}");
        assert!(!said.contains("may not"), "{said}");
        let (code, said) = judged(&redis, &["resetkeys", "~others:*"]).await;
        assert_eq!(code, 1, "{said}");
        has(&said, "error", &["GET", "grant ~unstale:"]);
        assert_eq!(redis.command(&["DBSIZE"]), ":0");
    }
}

#[tokio::test]
async fn the_primary_that_a_sentinel_names_is_judged() {
    let redis = Redis::with(&["--appendonly", "yes"]);
    let sentinel = Redis::sentinel(&redis, "main");
    let url = |name: &str| format!("redis+sentinel://127.0.0.1:{}/{name}", sentinel.port());
    let (code, said) = check(&[&url("main")]).await;
    assert_eq!(code, 0, "{said}");
    has(&said, "ok", &["redis", "Redis 7.0."]);
    has(&said, "ok", &["100 reads at once"]);
    has(&said, "warning", &["appendonly is yes"]);
    let (code, said) = check(&[&url("other")]).await;
    assert_eq!(code, 1, "{said}");
    has(&said, "error", &["no Sentinel", "a primary of that name"]);
}

#[tokio::test]
async fn of_values_in_nats_the_stream_is_read_and_none_is_made() {
    let nats = Nats::start();
    let url = nats.url();
    let flags = ["nats", "--nats", &url, "--fleet", "test"];
    for _ in 0..2 {
        let (code, said) = check(&flags).await;
        assert_eq!(code, 0, "{said}");
        assert_eq!(said.matches("not made yet").count(), 3, "{said}");
        assert!(!said.contains("reads at once"), "{said}");
    }
    let pod = Sidecar::builder().nats(&url).config("remote = \"nats\"\n");
    let pod = pod.fresh().await;
    set(&pod, "key", "value").await;
    let (code, said) = check(&flags).await;
    assert_eq!(code, 0, "{said}");
    has(&said, "ok", &["nats: 100 reads at once"]);
}

#[tokio::test]
async fn the_keys_that_records_are_encrypted_with_are_named_and_not_shown() {
    let redis = Redis::start();
    let file = tempfile::NamedTempFile::new().expect("a file");
    let key = "b3M0y2nq9Q0Jd1m9w8o4k6Y7c5T3r2e1i0u9z8x7v6c=";
    std::fs::write(file.path(), format!("7 {key}\n3 {key}\n")).expect("written");
    let path = file.path().display().to_string();
    let (code, said) = check(&[&redis.url(), "--encryption-key-file", &path]).await;
    assert_eq!(code, 0, "{said}");
    has(&said, "ok", &["encryption", "keys 7, 3"]);
    assert!(!said.contains(key), "{said}");
    assert_eq!(redis.command(&["DBSIZE"]), ":0");
}

#[tokio::test]
async fn a_cluster_is_judged_as_one() {
    let cluster = RedisCluster::start().await;
    let (code, said) = check(&[&cluster.url()]).await;
    assert_eq!(code, 0, "{said}");
    let coverage = "cluster-require-full-coverage is yes";
    has(&said, "warning", &[coverage, "no is safe"]);
    assert_eq!(said.matches(coverage).count(), 3, "{said}");
    let (code, said) = check(&[&cluster.nodes[0].url()]).await;
    assert_eq!(code, 1, "{said}");
    has(&said, "error", &["part of a cluster", "redis+cluster://"]);
    cluster.nodes[0].command(&["CLUSTER", "DELSLOTS", "0"]);
    let (code, said) = check(&[&cluster.url()]).await;
    assert_eq!(code, 1, "{said}");
    has(&said, "error", &["16383 of 16384 slots"]);
}

#[tokio::test]
async fn memcached_is_judged_by_how_it_was_started() {
    let good = Memcached::start();
    let (code, said) = check(&[&good.url()]).await;
    assert_eq!(code, 0, "{said}");
    has(&said, "ok", &["memcached 1.6."]);
    has(&said, "ok", &["100 reads at once"]);
    assert_eq!(said.matches("warning").count(), 1, "{said}");
    let bad = Memcached::with(&["-M"]);
    let (code, said) = check(&[&bad.url()]).await;
    assert_eq!(code, 0, "{said}");
    has(&said, "warning", &["1024 KiB", "-I 2m is safe"]);
    has(&said, "warning", &["started with -M"]);
    let (code, said) = check(&[&Memcached::with(&["-C"]).url()]).await;
    assert_eq!(code, 1, "{said}");
    has(&said, "error", &["leave -C out"]);
}

#[tokio::test]
async fn settings_that_cannot_be_meant_are_refused_at_once() {
    for (flags, part) in [
        (&["redis://host:0"][..], "65535"),
        (
            &["redis+sentinel://host"],
            "redis+sentinel://HOST,HOST/NAME",
        ),
        (
            &["memcached://host", "--remote-ca", "/dev/null"],
            "without TLS",
        ),
        (&["redis://host", "--remote-ca", "/dev/null"], "rediss://"),
        (&["memory", "--remote-user", "app"], "--remote redis://"),
        (
            &["redis://host", "--encryption-key-file", "/dev/null"],
            "no key in it: write a line",
        ),
        (
            &["redis://host", "--encryption-key-file", "/nowhere"],
            "make one with: echo",
        ),
        (
            &["redis://host", "--remote-hedge", "1s"],
            "below remote_timeout (500ms)",
        ),
        (
            &["redis://host", "--compress-from", "lots"],
            "off, or a size from 64B",
        ),
        (
            &["memory", "--compress-from", "1KiB"],
            "the memory tier is this process",
        ),
        (
            &["redis://:sesame@host", "--remote-password", "sesame"],
            "one of them only",
        ),
    ] {
        let (code, said) = check(flags).await;
        assert_eq!(code, 64, "{said}");
        assert!(said.contains(part), "{said}");
        assert!(!said.contains("sesame"), "{said}");
    }
}
