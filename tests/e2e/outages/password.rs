//! A wrong password, and rights that are missing: a matter of configuration,
//! which is said once a minute and not tried again and again.

use crate::words::{look, put, read};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use unstale::{Cache, Degraded, EntryOptions, Lookup, SetOutcome};
use unstale_proto::v1::SessionState;
use unstale_tests::{Memcached, Nats, PATIENCE, Redis, Sidecar, Wire, eventually};

/// Calls while nobody is let in.
const CALLS: usize = 500;
/// Attempts to connect that were refused are that far apart, at least.
const APART: Duration = Duration::from_secs(10);

/// A pod that is alone in its fleet, and its log.
struct Pod {
    pod: Sidecar,
    cache: Cache,
    _nats: Nats,
}

impl Pod {
    async fn start(config: &str) -> Self {
        let nats = Nats::start();
        let pod = Sidecar::builder().nats(&nats.url()).config(config);
        let pod = pod.serving().await;
        let ask = || async {
            let state = pod.status().await.session_state();
            let is_fresh = state == SessionState::Fresh;
            is_fresh.then_some(()).ok_or(format!("{state:?}"))
        };
        eventually("a fresh session", PATIENCE, ask).await;
        let cache = crate::sdk::client(&pod).await;
        let _nats = nats;
        Self { pod, cache, _nats }
    }

    /// Waits until Status says so.
    async fn says(&self, what: &str) {
        let ask = || async {
            // Asks the tier, in vain.
            look(&self.cache, "unknown").await;
            let error = self.pod.status().await.remote_error;
            error.contains(what).then_some(()).ok_or(error)
        };
        eventually("the reason", PATIENCE, ask).await;
    }

    /// Many calls of all kinds while nobody is let in; every one is answered.
    async fn calls(&self) {
        for n in 0..CALLS {
            let answer = self.cache.get(format!("unknown:{n}")).await;
            let answer = answer.expect("Get answers");
            assert!(matches!(answer.result, Lookup::Miss), "{answer:?}");
            assert_eq!(answer.degraded, [Degraded::RemoteUnavailable]);
            let set = self.cache.set(format!("here:{n}"), "v").await;
            let set = set.expect("Set answers");
            assert!(matches!(set.result, SetOutcome::Stored { .. }), "{set:?}");
            assert_eq!(set.degraded, [Degraded::RemoteUnavailable]);
        }
    }

    async fn uses_the_tier(&self) {
        let ask = || async {
            let set = self.cache.set("k", "v").await.map_err(|e| e.to_string())?;
            set.degraded
                .is_empty()
                .then_some(())
                .ok_or(format!("{set:?}"))
        };
        eventually("a pod that uses the tier", PATIENCE, ask).await;
    }

    /// How many lines of its log say this.
    fn lines(&self, what: &str) -> usize {
        self.pod
            .log()
            .lines()
            .filter(|line| line.contains(what))
            .count()
    }
}

/// The most attempts on each of `links` connections since `began`.
fn most(links: u32, began: Instant) -> u64 {
    let attempts = 1 + began.elapsed().as_secs() / APART.as_secs();
    u64::from(links) * attempts
}

/// How often the server was told a password that it refused.
fn refused(redis: &Redis) -> u64 {
    let stats = redis.command(&["INFO", "commandstats"]);
    let line = stats.lines().find(|line| line.starts_with("cmdstat_auth:"));
    let failed = line.and_then(|line| line.split("failed_calls=").nth(1));
    let failed = failed.unwrap_or_else(|| panic!("no AUTH in:\n{stats}"));
    failed.trim().parse().expect("a number")
}

#[tokio::test]
async fn a_password_that_is_changed_while_connected_is_said_once_and_read_again() {
    let mut redis = Redis::with(&["--requirepass", "sesame"]);
    let dir = TempDir::with_prefix("unstale-password-").expect("a directory");
    let file = dir.path().join("password");
    std::fs::write(&file, "sesame\n").expect("written");
    let wire = Wire::start(redis.port()).await;
    let config = format!(
        "remote = \"redis://127.0.0.1:{}\"\nremote_password_file = {file:?}\n",
        wire.port()
    );
    let pod = Pod::start(&config).await;
    put(&pod.cache, "held", "v", EntryOptions::default()).await;
    redis.set_password(Some("another"));
    // Who is connected stays so: it is used until the connection ends.
    put(&pod.cache, "more", "v", EntryOptions::default()).await;
    let (before, began) = ((wire.connections(), refused(&redis)), Instant::now());
    redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    pod.says("user or password").await;
    pod.calls().await;
    assert_eq!(read(&pod.cache, "held").await.as_deref(), Some("v"));
    let most = most(1, began);
    let (connections, refusals) = (wire.connections() - before.0, refused(&redis) - before.1);
    assert!(
        connections <= most,
        "{connections} connections, {most} allowed"
    );
    assert!(refusals <= most, "{refusals} logins, {most} allowed");
    assert_eq!(
        pod.lines("refuses the user or password"),
        1,
        "{}",
        pod.pod.log()
    );
    std::fs::write(&file, "another\n").expect("written");
    pod.uses_the_tier().await;
}

#[tokio::test]
async fn a_wrong_password_at_the_start_is_said_once_and_the_sidecar_serves() {
    let redis = Redis::with(&["--requirepass", "sesame"]);
    let memcached = Memcached::with_login("app", "sesame");
    let to_redis = Wire::start(redis.port()).await;
    let to_memcached = Wire::start(memcached.port()).await;
    for (scheme, wire, links) in [("redis", &to_redis, 1), ("memcached", &to_memcached, 2)] {
        let began = Instant::now();
        let config = format!(
            "remote = \"{scheme}://127.0.0.1:{}\"\nremote_password = \"wrong\"\n",
            wire.port()
        );
        let config = match scheme {
            "redis" => config,
            _ => config + "remote_user = \"app\"\n",
        };
        let pod = Pod::start(&config).await;
        pod.says("user or password").await;
        pod.calls().await;
        let (connections, most) = (wire.connections(), most(links, began));
        assert!(
            connections <= most,
            "{scheme}: {connections}, {most} allowed"
        );
        let said = pod.lines("refuses the user or password");
        assert_eq!(said, 1, "{}", pod.pod.log());
    }
}

#[tokio::test]
async fn rights_that_are_taken_while_connected_are_named_once_and_cost_no_connection() {
    let redis = Redis::start();
    let acl = |words: &[&str]| {
        let set = redis.command(&[&["ACL", "SETUSER", "app"], words].concat());
        assert_eq!(set, "+OK");
    };
    let rights = [
        "+get",
        "+mget",
        "+eval",
        "+evalsha",
        "+ping",
        "+set",
        "+getrange",
        "+unlink",
    ];
    acl(&[&["on", ">sesame", "~unstale:*"], &rights[..]].concat());
    let wire = Wire::start(redis.port()).await;
    let config = format!(
        "remote = \"redis://app:sesame@127.0.0.1:{}\"\n",
        wire.port()
    );
    let pod = Pod::start(&config).await;
    put(&pod.cache, "k", "v", EntryOptions::default()).await;
    let before = wire.connections();
    acl(&["-evalsha", "-get"]);
    pod.calls().await;
    assert_eq!(wire.connections(), before, "{}", pod.pod.log());
    let said = pod.lines("denies a permission");
    assert_eq!(said, 1, "{}", pod.pod.log());
    acl(&["+evalsha", "+get", "+mget"]);
    pod.uses_the_tier().await;
}
