//! `unstale bench` against live fleets, and where there is none.

use crate::fleet::Fleet;
use crate::sdk::client;
use crate::words::{put, read};
use futures::StreamExt as _;
use rustix::process::{Pid, kill_process};
use serde_json::Value as Json;
use std::process::{Child, Command, Output, Stdio};
use unstale::{Cache, EntryOptions, Lookup, WatchEvent, WatchOptions};
use unstale_tests::{PATIENCE, Sidecar, Signal, eventually, free_port, unstale};

const NAMESPACE: &str = "unstale-bench";
/// Kinds of calls, each with three numbers in flight.
const ROWS: usize = 4 * 3;

fn start(port: u16, words: &[&str]) -> Child {
    let mut process = Command::new(unstale());
    let endpoint = format!("http://127.0.0.1:{port}");
    let process = process.args(["bench", "--endpoint", &endpoint]).args(words);
    let process = process.stdin(Stdio::null()).stdout(Stdio::piped());
    process.stderr(Stdio::piped()).spawn().expect("it starts")
}

async fn ended(bench: Child) -> Output {
    let ended = tokio::task::spawn_blocking(move || bench.wait_with_output());
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    ended.expect("it ends").expect("a thread").expect("output")
}

/// The rows of its one line of JSON; it must have ended well.
fn rows(output: &Output) -> Vec<Json> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    let json: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    json["rows"].as_array().expect("rows").clone()
}

async fn observer(pod: &Sidecar) -> Cache {
    let builder = Cache::builder().strict().namespace(NAMESPACE);
    let builder = builder.endpoint(format!("http://127.0.0.1:{}", pod.port()));
    builder.connect().await.expect("it is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_measured_within_the_rate_and_the_fleet_is_left_as_it_was() {
    let fleet = Fleet::of(2).await;
    let user = client(&fleet.pods[0]).await;
    put(&user, "read/0", "Ada", EntryOptions::default()).await;
    let observer = observer(&fleet.pods[1]).await;
    let watch = observer.watch(WatchOptions::default()).await;
    let mut watch = std::pin::pin!(watch.expect("a watch"));
    let words = ["--for", "6s", "--rate", "2000", "--bytes", "256", "--json"];
    let rows = rows(&ended(start(fleet.pods[0].port(), &words)).await);
    assert_eq!(rows.len(), ROWS, "{rows:?}");
    for row in &rows {
        assert!(row["calls"].as_u64() > Some(0), "{row}");
        assert_eq!(row["errors"], Json::Object(Default::default()), "{row}");
        let most = match row["call"].as_str() {
            Some("set") => 200.0,
            Some("batch") => 20.0,
            _ => 2000.0,
        };
        // 10 ms of turns may be made up for, in half a second, and one is at the start.
        let rate = row["calls_per_second"].as_f64().expect("a rate");
        assert!(rate <= most * 1.05 + 4.0, "{row}");
    }
    // The last thing it did was to empty its namespace.
    let mut next = async || watch.next().await.expect("it goes on").expect("no error");
    let emptied = async {
        while !matches!(next().await, WatchEvent::Invalidation { what, .. } if what.all && what.namespace == NAMESPACE)
        {
        }
    };
    let emptied = tokio::time::timeout(PATIENCE, emptied).await;
    emptied.expect("the namespace is invalidated");
    assert_eq!(read(&user, "read/0").await.as_deref(), Some("Ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_early_it_tells_what_it_has_and_empties_its_namespace() {
    let fleet = Fleet::of(1).await;
    let observer = observer(&fleet.pods[0]).await;
    let bench = start(fleet.pods[0].port(), &["--for", "5m", "--json"]);
    let is_hit = || async {
        let lookup = observer.get("read/99").await.expect("an answer").result;
        let is_hit = matches!(lookup, Lookup::Hit(_));
        is_hit
            .then_some(())
            .ok_or_else(|| "nothing stored yet".to_owned())
    };
    eventually("it is under way", PATIENCE, is_hit).await;
    kill_process(Pid::from_child(&bench), Signal::INT).expect("the signal is sent");
    let rows = rows(&ended(bench).await);
    assert!(rows.len() < ROWS, "{rows:?}");
    for row in &rows {
        assert!(row["calls"].as_u64() > Some(0), "{row}");
    }
    let left = observer.get("read/99").await.expect("an answer").result;
    assert!(matches!(left, Lookup::Miss), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_answers_it_says_so_and_the_default_namespace_is_refused() {
    let port = free_port();
    let away = ended(start(port, &[])).await;
    let said = String::from_utf8_lossy(&away.stderr).into_owned();
    assert_eq!(away.status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
    let refused = ended(start(port, &["--namespace", "default"])).await;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(away.stdout.is_empty() && refused.stdout.is_empty());
}
