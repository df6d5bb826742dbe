//! The client commands where things are wrong: the command line, the loader,
//! the reader of stdout, the sidecar.

#![allow(clippy::disallowed_methods, reason = "a test looks at the real clock")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
mod cli_support;

use cli_support::{Sidecar, expect, program};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStringExt as _;
use std::time::{Duration, Instant};

/// Longer than a busy machine takes, shorter than the next thing that would
/// end the command.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn what_cannot_be_stored_is_said_before_the_loader_runs() {
    let sidecar = Sidecar::start();
    let tag = "t".repeat(129);
    let mut many = Vec::new();
    for i in 0..17 {
        many.extend(["--tag".to_owned(), i.to_string()]);
    }
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for wrong in [
        &["--ttl", "0s"][..],
        &["--ttl", "31d"],
        &["--tag", &tag],
        &["--tag", ""],
        &["--content-type", &tag],
        &["--stale-for", "31d"],
        &["--valid-for", "0s"],
        &["--jitter", "31d"],
        &["--negative-exit", "4", "--negative-ttl", "31d"],
        &["--serve-stale-for", "0s"],
        &["--serve-stale-for", "1s", "--retry-after", "6m"],
        &many,
    ] {
        let line = [&["lease", "k"], wrong, &["--", "touch", "ran"]].concat();
        expect(&sidecar.run(&line), 2, "");
        assert!(!sidecar.path("ran").exists(), "{wrong:?}");
    }
    let nothing = ["--not-found", "--content-type", "text/plain"];
    expect(&sidecar.run(&[&["set", "k"], &nothing[..]].concat()), 2, "");
}

#[test]
fn a_loader_that_never_stops_writing_is_ended_and_gives_the_lease_back() {
    let sidecar = Sidecar::start();
    let endless = sidecar.run(&["lease", "k", "--", "cat", "/dev/zero"]);
    expect(&endless, 1, "");
    let said = String::from_utf8_lossy(&endless.stderr);
    assert!(said.contains("more than the 1040384 bytes"), "{said}");
    let free = sidecar.run(&["lease", "k", "--wait", "0s", "--", "printf", "next"]);
    expect(&free, 0, "next");
}

#[test]
fn a_watch_that_nobody_reads_ends_with_0() {
    let sidecar = Sidecar::start();
    let mut watch = sidecar.command(&["watch"]).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("started at "));
    let began = Instant::now();
    drop(lines);
    assert_eq!(watch.wait().unwrap().code(), Some(0));
    // Before the next heartbeat: that would find it out, too, in JSON only.
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_sidecar_that_is_stopped_exits_3() {
    let sidecar = Sidecar::start();
    let pid = Pid::from_child(&sidecar.process);
    kill_process(pid, Signal::STOP).unwrap();
    // The signal only begins it: a thread may still answer.
    let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(status.stopped(), "{status:?}");
    let began = Instant::now();
    for command in [&["get", "k"][..], &["lease", "k", "--", "echo", "x"]] {
        expect(&sidecar.run(command), 3, "");
    }
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn an_argument_that_is_not_utf8_exits_2_without_a_panic() {
    let odd = || OsString::from_vec(vec![0xff]);
    for (first, code) in [(None, 2), (Some("get"), 2), (Some("serve"), 64)] {
        let mut command = program();
        command.args(first).arg(odd());
        let output = command.output().unwrap();
        expect(&output, code, "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{said}");
    }
}
