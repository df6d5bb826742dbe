//! The client commands against a real sidecar, as a shell sees them: stdout,
//! exit codes, and who ran the loader how often.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
mod cli_support;

use cli_support::*;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

#[test]
fn a_value_comes_back_as_it_was_given() {
    let sidecar = Sidecar::start();
    expect(&sidecar.run(&["get", "k"]), 1, "");
    let set = sidecar.run(&["set", "k", "Ada", "--ttl", "60s", "--tag", "t"]);
    assert_eq!(set.status.code(), Some(0));
    expect(&sidecar.run(&["get", "k"]), 0, "Ada");
    let found = json(&sidecar.run(&["get", "k", "--json"]));
    assert_eq!(found["entry"]["text"], "Ada");
    assert_eq!(found["entry"]["tags"][0], "t");
    let version = String::from_utf8(set.stdout).unwrap();
    assert_eq!(found["entry"]["version"], version.trim_end());
    expect(&sidecar.run(&["get", "k", "--namespace", "other"]), 1, "");
}

#[test]
fn bytes_from_stdin_are_stored_untouched() {
    let sidecar = Sidecar::start();
    let mut command = sidecar.command(&["set", "k", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let bytes = b"\xff\x00\n";
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(sidecar.run(&["get", "k"]).stdout, bytes);
    let found = json(&sidecar.run(&["get", "k", "--json"]));
    assert_eq!(found["entry"]["data"], "/wAK");
}

#[test]
fn a_conflict_exits_1_and_leaves_the_value() {
    let sidecar = Sidecar::start();
    let first = sidecar.run(&["cas", "k", "one", "--absent"]);
    let errors = String::from_utf8_lossy(&first.stderr);
    assert_eq!(first.status.code(), Some(0), "{errors}");
    expect(&sidecar.run(&["cas", "k", "two", "--absent"]), 1, "");
    expect(&sidecar.run(&["get", "k"]), 0, "one");
    let version = String::from_utf8(first.stdout).unwrap();
    let swap = sidecar.run(&["cas", "k", "two", "--version", version.trim_end()]);
    assert_eq!(swap.status.code(), Some(0));
    expect(&sidecar.run(&["get", "k"]), 0, "two");
}

#[test]
fn an_invalidated_tag_is_a_miss_and_is_watched() {
    let sidecar = Sidecar::start();
    let mut watch = sidecar.command(&["watch"]).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert!(next().starts_with("started at "));
    sidecar.run(&["set", "k", "v", "--tag", "t"]);
    let done = sidecar.run(&["invalidate", "--tag", "t", "--reason", "a \"test\""]);
    assert_eq!(done.status.code(), Some(0));
    let position = String::from_utf8(done.stdout).unwrap();
    let position = position.trim_end().trim_start_matches("position ");
    let expected = format!(r#"invalidated at {position}: tag "t" reason "a \"test\"""#);
    let mut until = || next() == expected;
    assert!(until() || until(), "the invalidation was not reported");
    watch.kill().unwrap();
    watch.wait().unwrap();
    expect(&sidecar.run(&["get", "k"]), 1, "");
}

#[test]
fn two_racing_leases_run_one_loader() {
    let sidecar = Sidecar::start();
    mkfifo(&sidecar, "go");
    // Whoever is granted the lease blocks until the test opens the pipe.
    let script = "echo ran >> runs; cat go";
    let lease = ["lease", "k", "--ttl", "60s", "--", "sh", "-c", script];
    let first = sidecar.command(&lease).spawn().unwrap();
    let second = sidecar.command(&lease).spawn().unwrap();
    std::fs::write(sidecar.path("go"), "value").unwrap();
    expect(&first.wait_with_output().unwrap(), 0, "value");
    expect(&second.wait_with_output().unwrap(), 0, "value");
    let runs = std::fs::read_to_string(sidecar.path("runs")).unwrap();
    assert_eq!(runs, "ran\n");
    expect(&sidecar.run(&["get", "k"]), 0, "value");
}

#[test]
fn a_failing_loader_gives_the_lease_back() {
    let sidecar = Sidecar::start();
    let failed = sidecar.run(&["lease", "k", "--", "sh", "-c", "echo no; exit 7"]);
    expect(&failed, 1, "");
    let absent = sidecar.run(&["lease", "k", "--", "/no/such/command"]);
    expect(&absent, 1, "");
    // With no wait at all: the lease must be free.
    let loaded = sidecar.run(&["lease", "k", "--wait", "0s", "--", "printf", "yes"]);
    expect(&loaded, 0, "yes");
    expect(&sidecar.run(&["lease", "k", "--", "false"]), 0, "yes");
}

#[test]
fn a_lease_outlives_its_term_while_the_loader_runs() {
    let sidecar = Sidecar::start();
    mkfifo(&sidecar, "go");
    let script = "echo > started; cat go";
    mkfifo(&sidecar, "started");
    let lease = ["lease", "k", "--term", "1s", "--", "sh", "-c", script];
    let holder = sidecar.command(&lease).spawn().unwrap();
    std::fs::read(sidecar.path("started")).unwrap();
    // Waits for more than two terms, in vain. (Shorter ones lapse when a busy
    // machine is late with a renewal.)
    let other = sidecar.run(&["lease", "k", "--wait", "2500ms", "--", "printf", "other"]);
    expect(&other, 1, "");
    std::fs::write(sidecar.path("go"), "value").unwrap();
    expect(&holder.wait_with_output().unwrap(), 0, "value");
    expect(&sidecar.run(&["get", "k"]), 0, "value");
}

#[test]
fn a_voided_fill_is_printed_and_not_stored() {
    let sidecar = Sidecar::start();
    mkfifo(&sidecar, "go");
    mkfifo(&sidecar, "started");
    let script = "echo > started; cat go";
    let lease = ["lease", "k", "--", "sh", "-c", script];
    let holder = sidecar.command(&lease).spawn().unwrap();
    std::fs::read(sidecar.path("started")).unwrap();
    sidecar.run(&["invalidate", "k"]);
    std::fs::write(sidecar.path("go"), "old").unwrap();
    let printed = holder.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&printed.stderr).contains("not stored"));
    expect(&printed, 0, "old");
    expect(&sidecar.run(&["get", "k"]), 1, "");
}

#[test]
fn a_signal_ends_the_loader_and_gives_the_lease_back() {
    let sidecar = Sidecar::start();
    mkfifo(&sidecar, "started");
    mkfifo(&sidecar, "never");
    // exec: the loader itself is what the signal must end.
    let script = "echo > started; exec cat never";
    let lease = ["lease", "k", "--", "sh", "-c", script];
    let mut holder = sidecar.command(&lease).spawn().unwrap();
    std::fs::read(sidecar.path("started")).unwrap();
    let pid = rustix::process::Pid::from_child(&holder);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(holder.wait().unwrap().code(), Some(1));
    let free = sidecar.run(&["lease", "k", "--wait", "0s", "--", "printf", "next"]);
    expect(&free, 0, "next");
}

#[test]
fn an_absent_sidecar_exits_3_and_runs_no_loader() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("unix:{}", folder.path().join("none").display());
    let run = |arguments: &[&str]| {
        let mut command = Command::new(BINARY);
        command.args(arguments).env("UNSTALE_ENDPOINT", &endpoint);
        command.output().unwrap()
    };
    expect(&run(&["get", "k"]), 3, "");
    expect(&run(&["status"]), 3, "");
    expect(&run(&["lease", "k", "--", "echo", "x"]), 3, "");
    expect(&run(&["get", "k", "--endpoint", "ftp://x"]), 2, "");
}

#[test]
fn mistakes_exit_2_on_one_line() {
    let sidecar = Sidecar::start();
    let long = "k".repeat(513);
    for arguments in [&["get", &long][..], &["set", "k", "v", "--ttl", "0s"]] {
        let output = sidecar.run(arguments);
        expect(&output, 2, "");
        assert_eq!(output.stderr.iter().filter(|b| **b == b'\n').count(), 1);
    }
    expect(&sidecar.run(&["get"]), 2, "");
}

#[test]
fn status_and_peers_name_the_sidecar() {
    let sidecar = Sidecar::start();
    let status = json(&sidecar.run(&["status", "--json"]));
    let peers = json(&sidecar.run(&["peers", "--json"]));
    assert_eq!(status["log"], "local");
    assert_eq!(peers["peers"][0]["session"], status["session"]);
    assert_eq!(sidecar.run(&["status"]).status.code(), Some(0));
    assert_eq!(sidecar.run(&["peers"]).status.code(), Some(0));
}

#[test]
fn explain_says_what_decides_and_who_asked() {
    let sidecar = Sidecar::start();
    let stored = ["--ttl", "60s", "--tag", "team:1", "--source-version", "7"];
    let set = sidecar.run(&[&["set", "user:7", "sesame"], &stored[..]].concat());
    assert_eq!(set.status.code(), Some(0));
    let told = json(&sidecar.run(&["explain", "user:7", "--json"]));
    let held = &told["l1"];
    assert_eq!(
        (&held["judgement"], &held["decider"]),
        (&"FRESH".into(), &"NOTHING".into())
    );
    assert_eq!(
        (&held["ttl_by"], &held["stale_for_by"]),
        (&"WRITER".into(), &"NAMESPACE".into())
    );
    assert_eq!(
        (&held["ttl_seconds"], &held["value_bytes"]),
        (&60.0.into(), &6.into())
    );
    assert_eq!(told["remote"]["entry"]["version"], held["version"]);
    assert_eq!(told["changes"][0]["write"], true);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let why = ["--reason", "moved\nhouse", "--traceparent", trace];
    let gone = sidecar.run(&[&["invalidate", "--tag", "team:1"], &why[..]].concat());
    assert_eq!(gone.status.code(), Some(0));
    let told = json(&sidecar.run(&["explain", "user:7", "--json"]));
    let (held, last) = (&told["l1"], &told["changes"][0]);
    assert_eq!(
        (&held["judgement"], &held["decider"]),
        (&"DEAD".into(), &"FLOOR".into())
    );
    assert_eq!(
        (&held["floor"]["kind"], &held["floor"]["name"]),
        (&"TAG".into(), &"team:1".into())
    );
    assert_eq!(held["floor"]["hard"], last["sequence"]);
    assert_eq!(last["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    let output = sidecar.run(&["explain", "user:7"]);
    let text = String::from_utf8_lossy(&output.stdout);
    for words in [
        "dead: it is from ",
        "below the floor of tag \"team:1\"",
        "60.0s, as its writer gave it; ",
        "hard tag \"team:1\", by ",
        "\"moved\\nhouse\", trace 4bf92f3577b34da6a3ce929d0e0e4736",
    ] {
        assert!(text.contains(words), "{words} in\n{text}");
    }
    assert!(!text.contains("sesame"), "{text}");
}

#[test]
fn explain_of_a_key_that_was_never_there_is_an_answer() {
    let sidecar = Sidecar::start();
    let output = sidecar.run(&["explain", "never"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    let nothing = |line: &&str| line.ends_with(" nothing");
    assert_eq!(text.lines().filter(nothing).count(), 2, "{text}");
    let told = json(&sidecar.run(&["explain", "never", "--json"]));
    assert!(told["l1"].is_null() && told["remote"].is_null(), "{told}");
    expect(&sidecar.run(&["explain", &"k".repeat(513)]), 2, "");
}
