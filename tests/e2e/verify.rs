//! `unstale verify` against live fleets: healthy ones, one of which a pod lies,
//! and ones in which pods stop, die and come back.

use crate::fleet::Fleet;
use crate::sdk::client;
use crate::words::{put, read};
use futures::StreamExt as _;
use rustix::process::{Pid, kill_process};
use serde_json::Value as Json;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;
use unstale::{Ack, Cache, EntryOptions, Invalidate, WatchEvent, WatchOptions};
use unstale_tests::{Nats, PATIENCE, Sidecar, Signal, eventually, unstale};

const NAMESPACE: &str = "unstale-verify";

/// `unstale verify` under way.
struct Verify(Child);

impl Verify {
    fn start(endpoints: &[String], words: &[&str]) -> Self {
        let mut process = Command::new(unstale());
        process.arg("verify").env_remove("UNSTALE_ENDPOINT");
        for endpoint in endpoints {
            process.args(["--endpoint", endpoint]);
        }
        let process = process.args(words).stdin(Stdio::null());
        let process = process.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(process.spawn().expect("it starts"))
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.0), Signal::INT).expect("the signal is sent");
    }

    async fn ended(self) -> Output {
        let ended = tokio::task::spawn_blocking(move || self.0.wait_with_output());
        let ended = tokio::time::timeout(PATIENCE * 2, ended).await;
        ended.expect("it ends").expect("a thread").expect("output")
    }

    /// Its one line of JSON, and its exit code.
    async fn report(self) -> (Json, i32) {
        let output = self.ended().await;
        let json = serde_json::from_slice(&output.stdout);
        let json = json.unwrap_or_else(|e| panic!("{e}: {output:?}"));
        (json, output.status.code().expect("an exit code"))
    }
}

fn endpoint(pod: &Sidecar) -> String {
    format!("http://127.0.0.1:{}", pod.port())
}

fn endpoints(fleet: &Fleet) -> Vec<String> {
    fleet.pods.iter().map(endpoint).collect()
}

fn count(json: &Json, path: &str) -> u64 {
    let found = json.pointer(path).and_then(Json::as_u64);
    found.unwrap_or_else(|| panic!("no {path} in {json}"))
}

/// A client of the namespace that is verified.
async fn observer(pod: &Sidecar) -> Cache {
    let builder = Cache::builder().strict().endpoint(endpoint(pod));
    let connected = builder.namespace(NAMESPACE).connect().await;
    connected.expect("it is there")
}

/// Returns when an invalidation of the run was seen.
async fn is_under_way(pod: &Sidecar, start: impl FnOnce() -> Verify) -> Verify {
    let cache = observer(pod).await;
    let events = cache.watch(WatchOptions::default()).await;
    let mut events = std::pin::pin!(events.expect("a watch"));
    let verify = start();
    let first = async {
        while let Some(event) = events.next().await {
            if let Ok(WatchEvent::Invalidation { what, .. }) = event
                && what.namespace == NAMESPACE
            {
                return;
            }
        }
        panic!("the watch ended");
    };
    let seen = tokio::time::timeout(PATIENCE, first).await;
    seen.expect("an invalidation");
    verify
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_fleet_keeps_every_promise_and_is_left_as_it_was() {
    let fleet = Fleet::of(3).await;
    let user = client(&fleet.pods[0]).await;
    put(&user, "user:1", "Ada", EntryOptions::default()).await;
    let observer = observer(&fleet.pods[1]).await;
    let watch = observer.watch(WatchOptions::default()).await;
    let mut watch = std::pin::pin!(watch.expect("a watch"));
    let verify = Verify::start(&endpoints(&fleet), &["--for", "8s", "--json"]);
    let (report, code) = verify.report().await;
    assert_eq!(
        (code, &report["result"]),
        (0, &Json::from("kept")),
        "{report}"
    );
    assert_eq!(report["violations"], Json::Array(vec![]));
    for pod in 0..3 {
        for figure in ["calls", "judged", "log_to_seen_seconds/count"] {
            assert!(
                count(&report, &format!("/endpoints/{pod}/{figure}")) > 0,
                "{report}"
            );
        }
    }
    for figure in [
        "loads",
        "invalidations/local",
        "invalidations/log",
        "invalidations/fleet",
    ] {
        assert!(
            count(&report, &format!("/{figure}")) > 0,
            "{figure}: {report}"
        );
    }
    assert!(count(&report, "/linearizability/calls") > 50, "{report}");
    let calls: u64 = (0..3)
        .map(|pod| count(&report, &format!("/endpoints/{pod}/calls")))
        .sum();
    let seconds = report["seconds"].as_f64().expect("seconds");
    // 200 a second, and what the probe has not paid for yet.
    assert!((calls as f64) < 200.0 * seconds + 50.0, "{report}");
    let bound = report["staleness_bound_seconds"].as_f64();
    assert_eq!(bound, Some(fleet.pods[0].bound().await.as_secs_f64()));
    // The last thing it did was to empty its namespace.
    let mut next = async || watch.next().await.expect("it goes on").expect("no error");
    let cleaned = async {
        while !matches!(next().await, WatchEvent::Invalidation { what, .. } if what.all) {}
    };
    let cleaned = tokio::time::timeout(PATIENCE, cleaned).await;
    cleaned.expect("the namespace is invalidated");
    assert_eq!(read(&user, "user:1").await.as_deref(), Some("Ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_does_not_read_the_fleets_log_is_caught() {
    let fleet = Fleet::of(2).await;
    // It says that it is of the fleet, but its log is on another server: what it
    // holds is fresh for it, whatever the others are told.
    let apart = Nats::start();
    let liar = Sidecar::builder().nats(&apart.url()).pod("liar");
    let liar = liar.fresh().await;
    let all = [endpoints(&fleet), vec![endpoint(&liar)]].concat();
    let (report, code) = Verify::start(&all, &["--for", "8s", "--json"])
        .report()
        .await;
    assert_eq!(
        (code, &report["result"]),
        (1, &Json::from("broken")),
        "{report}"
    );
    let broken = report["violations"].as_array().expect("violations");
    let stale = |broken: &&Json| {
        let rule = broken["rule"].as_str().unwrap_or_default();
        rule.starts_with("I-1 ") || rule.starts_with("I-2 ")
    };
    let stale = broken.iter().find(stale).expect("a stale value");
    assert!(stale["key"].is_u64(), "{stale}");
    assert!(
        all.iter().any(|url| stale["endpoint"] == url.as_str()),
        "{stale}"
    );

    let told = Verify::start(&all, &["--for", "6s"]).ended().await;
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&told.stdout),
        String::from_utf8_lossy(&told.stderr),
    );
    assert!(stdout.contains("BROKEN I-"), "{stdout}");
    assert!(stderr.contains("do not read the same log"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_stops_for_longer_than_its_session_breaks_nothing() {
    let fleet = Fleet::of(3).await;
    let all = endpoints(&fleet);
    let start = || Verify::start(&all, &["--for", "15s", "--json"]);
    let verify = is_under_way(&fleet.pods[0], start).await;
    fleet.pods[2].stop();
    // A FLEET waits until its session has lapsed, longer than any call of a
    // client waits for an answer.
    let user = client(&fleet.pods[0]).await;
    let what = Invalidate::default().key("user:1").ack(Ack::Fleet);
    let done = user.invalidate(what).await.expect("OK");
    assert_eq!(done.lapsed.len(), 1, "{done:?}");
    fleet.pods[2].signal(Signal::CONT);
    let (report, code) = verify.report().await;
    assert_eq!(code, 0, "{report}");
    let errors = report.pointer("/endpoints/2/errors").expect("errors");
    assert!(!errors.as_object().expect("by kind").is_empty(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_killed_and_started_again_breaks_nothing() {
    let fleet = Fleet::of(1).await;
    let dir = TempDir::with_prefix("unstale-verify-").expect("a directory");
    let socket = dir.path().join("pod.sock");
    let pod = || {
        let pod = Sidecar::builder().nats(&fleet.nats.url()).pod("mortal");
        pod.uds(&socket)
    };
    let mut mortal = pod().fresh().await;
    let all = [
        endpoint(&fleet.pods[0]),
        format!("unix:{}", socket.display()),
    ];
    let start = || Verify::start(&all, &["--for", "15s", "--json"]);
    let verify = is_under_way(&fleet.pods[0], start).await;
    mortal.kill();
    let _again = pod().fresh().await;
    let (report, code) = verify.report().await;
    assert_eq!(code, 0, "{report}");
    assert!(count(&report, "/endpoints/1/judged") > 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_it_with_the_figures_so_far() {
    let fleet = Fleet::of(2).await;
    let all = endpoints(&fleet);
    let start = || Verify::start(&all, &["--for", "1h"]);
    let verify = is_under_way(&fleet.pods[0], start).await;
    let judged = observer(&fleet.pods[0]).await;
    let seen = || async {
        let status = judged.status().await.map_err(|e| e.to_string())?;
        let busy = status.l1_entries > 20;
        busy.then_some(()).ok_or(format!("{status:?}"))
    };
    eventually("a run that has loaded", PATIENCE, seen).await;
    verify.interrupt();
    let output = verify.ended().await;
    let stdout = String::from_utf8_lossy(&output.stdout);
    // It may have come before the first FLEET was answered.
    let code = if stdout.contains("NOT JUDGED") { 3 } else { 0 };
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(
        stdout
            .lines()
            .last()
            .is_some_and(|line| line.starts_with("0 in ")),
        "{stdout}"
    );
    assert!(!stdout.contains("\n0 in 0 "), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_there_or_cannot_be_asked_has_an_exit_code_of_its_own() {
    let fleet = Fleet::of(1).await;
    let there = endpoint(&fleet.pods[0]);
    let away = [there.clone(), "http://127.0.0.1:1".to_owned()];
    let output = Verify::start(&away, &[]).ended().await;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("http://127.0.0.1:1: "), "{stderr}");
    for words in [
        &["--namespace", "default"][..],
        &["--namespace", "Not a name"],
        &["--for", "0s"],
        &["--rate", "0"],
        &["--endpoint", "ftp://there"],
    ] {
        let output = Verify::start(std::slice::from_ref(&there), words)
            .ended()
            .await;
        assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{words:?}: {output:?}");
    }
    let other = Sidecar::builder().fresh().await;
    let two = [there, endpoint(&other)];
    let output = Verify::start(&two, &[]).ended().await;
    assert_eq!(output.status.code(), Some(2), "two fleets: {output:?}");
}
