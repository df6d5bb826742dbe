//! The client commands as separate processes, as a shell would call them.

use crate::fleet::Fleet;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;
use unstale_tests::{PATIENCE, Sidecar, unstale};

/// Callers at once, spread over the pods.
const CALLERS: usize = 8;

/// Runs `unstale COMMAND` against this pod to its end.
async fn run(pod: &Sidecar, words: &[&str]) -> Output {
    let endpoint = format!("http://127.0.0.1:{}", pod.port());
    let (command, rest) = words.split_first().expect("a command");
    let mut process = Command::new(unstale());
    process
        .args([*command, "--endpoint", &endpoint])
        .args(rest)
        .stdin(Stdio::null());
    let ended = tokio::task::spawn_blocking(move || process.output());
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    let ended = ended.unwrap_or_else(|_| panic!("{words:?} did not end"));
    ended.expect("a thread").expect("it starts")
}

fn said(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_processes_over_two_sidecars_one_runs_the_loader() {
    let fleet = Fleet::of(2).await;
    let dir = TempDir::with_prefix("unstale-cli-").expect("a directory");
    let loads = dir.path().join("loads");
    // A slow origin that counts; its process id tells two loads apart.
    let origin = format!("echo $$ >> {}; sleep 0.5; echo $$", loads.display());
    let lease = |caller: usize| {
        let pod = &fleet.pods[caller % fleet.pods.len()];
        let words = ["lease", "report", "--wait", "20s", "--", "sh", "-c"];
        let words = [&words[..], &[origin.as_str()]].concat();
        async move { said(&run(pod, &words).await) }
    };
    let values = futures::future::join_all((0..CALLERS).map(lease)).await;
    let loaded = std::fs::read_to_string(&loads).expect("one load at least");
    assert_eq!(loaded.lines().count(), 1, "{loaded}");
    assert_eq!(values, vec![loaded; CALLERS]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_pod_is_told_another_obeys() {
    let fleet = Fleet::of(2).await;
    let [one, two] = &fleet.pods[..] else {
        panic!("two pods");
    };
    said(&run(one, &["set", "user:1", "Ada", "--ack", "fleet"]).await);
    assert_eq!(said(&run(two, &["get", "user:1"]).await).trim_end(), "Ada");
    said(&run(two, &["invalidate", "user:1", "--ack", "fleet"]).await);
    let missing = run(one, &["get", "user:1"]).await;
    assert!(!missing.status.success(), "{missing:?}");
    assert!(missing.stdout.is_empty(), "{missing:?}");
}
