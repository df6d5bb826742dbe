//! What the client commands say of negative, stale and conditional entries,
//! source versions, positions and filters: stdout, stderr and exit codes
//! against a real sidecar.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
mod cli_support;

use cli_support::*;
use std::io::{BufRead as _, BufReader};

#[test]
fn what_the_origin_does_not_have_exits_1_and_is_no_miss() {
    let sidecar = Sidecar::start();
    let set = sidecar.run(&["set", "k", "--not-found", "--ttl", "60s", "--tag", "t"]);
    assert_eq!(set.status.code(), Some(0));
    expect_with(&sidecar.run(&["get", "k"]), 1, "", "not found");
    let found = json(&sidecar.run(&["get", "k", "--json"]));
    assert_eq!(found["result"], "negative");
    assert_eq!(found["entry"]["not_found"], true);
    assert_eq!(found["entry"]["tags"][0], "t");
    sidecar.run(&["invalidate", "--tag", "t"]);
    expect_with(&sidecar.run(&["get", "k"]), 1, "", "miss");
    // Nothing in the origin is nothing in the cache for those who add.
    sidecar.run(&["set", "k", "--not-found"]);
    let added = sidecar.run(&["set", "k", "v", "--if-absent"]);
    assert_eq!(added.status.code(), Some(0));
    expect_with(
        &sidecar.run(&["set", "k", "w", "--if-absent"]),
        1,
        "",
        "something is cached",
    );
    expect(&sidecar.run(&["get", "k"]), 0, "v");
}

#[test]
fn content_that_is_held_already_is_not_printed_again() {
    let sidecar = Sidecar::start();
    sidecar.run(&["set", "k", "v"]);
    let found = json(&sidecar.run(&["get", "k", "--json"]));
    let etag = found["entry"]["etag"].as_str().unwrap();
    expect_with(
        &sidecar.run(&["get", "k", "--if-none-match", etag]),
        0,
        "",
        "not modified",
    );
    let same = json(&sidecar.run(&["get", "k", "--if-none-match", etag, "--json"]));
    assert_eq!(same["result"], "not_modified");
    let swap = sidecar.run(&["cas", "k", "w", "--etag", etag]);
    assert_eq!(swap.status.code(), Some(0));
    expect(&sidecar.run(&["get", "k", "--if-none-match", etag]), 0, "w");
    expect_with(
        &sidecar.run(&["cas", "k", "x", "--etag", etag]),
        1,
        "",
        "conflict",
    );
    expect(
        &sidecar.run(&["get", "k", "other", "--if-none-match", etag]),
        2,
        "",
    );
}

#[test]
fn a_stale_value_is_printed_to_those_who_ask_and_named_on_stderr() {
    let sidecar = Sidecar::start();
    expired(&sidecar, "k", "old");
    expect_with(&sidecar.run(&["get", "k"]), 1, "", "miss");
    let stale = ["get", "k", "--level", "stale-ok"];
    expect_with(&sidecar.run(&stale), 0, "old", "stale: its ttl has passed");
    let stale = json(&sidecar.run(&["get", "k", "--level", "stale-ok", "--json"]));
    assert_eq!(stale["entry"]["freshness"], "STALE");
    assert_eq!(stale["entry"]["stale_reason"], "EXPIRED");
}

#[test]
fn many_keys_are_one_object_a_line_each() {
    let sidecar = Sidecar::start();
    sidecar.run(&["set", "a", "1"]);
    sidecar.run(&["set", "b", "--not-found"]);
    let all = sidecar.run(&["get", "c", "a", "b"]);
    assert_eq!(all.status.code(), Some(1));
    let lines = String::from_utf8(all.stdout).unwrap();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<serde_json::Value> = lines.collect();
    let each = lines
        .iter()
        .map(|l| (l["key"].as_str(), l["result"].as_str()));
    let expected = [("c", "miss"), ("a", "hit"), ("b", "negative")];
    assert!(each.eq(expected.map(|(key, result)| (Some(key), Some(result)))));
    assert_eq!(sidecar.run(&["get", "a", "a"]).status.code(), Some(0));
}

#[test]
fn a_soft_invalidation_leaves_a_stale_value_and_a_hard_one_nothing() {
    let sidecar = Sidecar::start();
    let stale = ["get", "page:1", "--level", "stale-ok"];
    sidecar.run(&["set", "page:1", "v", "--stale-for", "60s"]);
    sidecar.run(&["invalidate", "--prefix", "page:", "--soft"]);
    expect(&sidecar.run(&["get", "page:1"]), 1, "");
    expect_with(&sidecar.run(&stale), 0, "v", "softly invalidated");
    sidecar.run(&["invalidate", "--prefix", "page:"]);
    expect(&sidecar.run(&stale), 1, "");
    expect(&sidecar.run(&["invalidate", "--prefix", ""]), 2, "");
}

#[test]
fn an_older_source_version_is_refused_and_names_the_least() {
    let sidecar = Sidecar::start();
    let invalidated = sidecar.run(&["invalidate", "k", "--min-source-version", "7"]);
    assert_eq!(invalidated.status.code(), Some(0));
    let older = ["set", "k", "old", "--source-version", "6"];
    expect_with(&sidecar.run(&older), 1, "", "7 or higher");
    let older = json(&sidecar.run(&[&older[..], &["--json"]].concat()));
    assert_eq!(older["reason"], "OLDER_SOURCE_VERSION");
    assert_eq!(older["min_source_version"], 7);
    let swap = ["cas", "k", "old", "--absent", "--source-version", "6"];
    let words = "conflict: a newer source version is known; 7 or higher";
    expect_with(&sidecar.run(&swap), 1, "", words);
    let swap = json(&sidecar.run(&[&swap[..], &["--json"]].concat()));
    assert_eq!(swap["result"], "conflict");
    assert_eq!(swap["reason"], "OLDER_SOURCE_VERSION");
    assert_eq!(swap["min_source_version"], 7);
    assert_eq!(swap["current"], serde_json::Value::Null);
    let lagging = ["lease", "k", "--source-version", "6", "--", "printf", "old"];
    expect_with(&sidecar.run(&lagging), 0, "old", "not stored");
    let newer = sidecar.run(&["set", "k", "new", "--source-version", "7"]);
    assert_eq!(newer.status.code(), Some(0));
    let found = json(&sidecar.run(&["get", "k", "--json"]));
    assert_eq!(found["entry"]["source_version"], 7);
}

#[test]
fn positions_are_passed_from_command_to_command() {
    let sidecar = Sidecar::start();
    let before = json(&sidecar.run(&["get", "k", "--json"]));
    let before = before["position"].as_str().unwrap();
    sidecar.run(&["invalidate", "k"]);
    let refused = sidecar.run(&["set", "k", "v", "--position", before, "--json"]);
    assert_eq!(refused.status.code(), Some(1));
    let refused = json(&refused);
    assert_eq!(refused["reason"], "COVERED");
    let position = refused["position"].as_str().unwrap();
    let set = sidecar.run(&["set", "k", "v", "--position", position]);
    assert_eq!(set.status.code(), Some(0));
    let strong = ["get", "k", "--level", "strong", "--min-position", position];
    expect(&sidecar.run(&strong), 0, "v");
    let lease = [
        "lease",
        "k",
        "--min-position",
        position,
        "--json",
        "--",
        "false",
    ];
    assert!(json(&sidecar.run(&lease))["position"].is_string());
    let (epoch, _) = position.split_once('-').unwrap();
    let far = format!("{epoch}-1000000");
    let never = ["get", "k", "--timeout", "200ms", "--min-position", &far];
    expect(&sidecar.run(&never), 4, "");
    expect(
        &sidecar.run(&["get", "k", "--min-position", "yesterday"]),
        2,
        "",
    );
}

#[test]
fn a_loader_can_say_that_there_is_nothing() {
    let sidecar = Sidecar::start();
    let lease = |script| {
        let options = ["--negative-exit", "44", "--negative-ttl", "60s"];
        let command = ["--", "sh", "-c", script];
        sidecar.run(&[&["lease", "k"], &options[..], &command[..]].concat())
    };
    expect_with(&lease("echo half; exit 44"), 1, "", "not found");
    // From the cache: this loader would have a value.
    expect_with(&lease("echo value"), 1, "", "not found");
    expect_with(&sidecar.run(&["get", "k"]), 1, "", "not found");
}

#[test]
fn while_one_loads_others_take_the_stale_value_if_they_may() {
    let sidecar = Sidecar::start();
    expired(&sidecar, "k", "old");
    mkfifo(&sidecar, "go");
    mkfifo(&sidecar, "started");
    let script = "echo > started; cat go";
    let lease = ["lease", "k", "--ttl", "60s", "--", "sh", "-c", script];
    let holder = sidecar.command(&lease).spawn().unwrap();
    std::fs::read(sidecar.path("started")).unwrap();
    let stale = sidecar.run(&["lease", "k", "--stale-ok", "--", "printf", "other"]);
    expect_with(&stale, 0, "old", "another caller loads");
    let patient = ["lease", "k", "--", "printf", "other"];
    let patient = sidecar.command(&patient).spawn().unwrap();
    std::fs::write(sidecar.path("go"), "new").unwrap();
    expect(&holder.wait_with_output().unwrap(), 0, "new");
    expect(&patient.wait_with_output().unwrap(), 0, "new");
}

#[test]
fn a_failing_loader_prints_the_stale_value_and_rests() {
    let sidecar = Sidecar::start();
    expired(&sidecar, "k", "old");
    let fail_safe = ["--serve-stale-for", "60s", "--retry-after", "60s"];
    let failing = [&["lease", "k"], &fail_safe[..], &["--", "false"]].concat();
    expect_with(&sidecar.run(&failing), 0, "old", "exit status: 1");
    // Nobody loads for a minute; the stale value is there meanwhile.
    let ran = ["--", "touch", "ran"];
    let waits = [&["lease", "k", "--wait", "0s"], &ran[..]].concat();
    expect(&sidecar.run(&waits), 1, "");
    let stale = json(&sidecar.run(&[&["lease", "k", "--stale-ok", "--json"], &ran[..]].concat()));
    assert_eq!(
        (&stale["result"], &stale["entry"]["text"]),
        (&"stale".into(), &"old".into())
    );
    assert!(!sidecar.path("ran").exists());
    // Without a stale value the loader's failure is the answer.
    let failing = [&["lease", "none"], &fail_safe[..], &["--", "false"]].concat();
    expect(&sidecar.run(&failing), 1, "");
}

#[test]
fn an_interrupted_loader_prints_nothing_stale_and_rests() {
    let sidecar = Sidecar::start();
    expired(&sidecar, "k", "old");
    mkfifo(&sidecar, "started");
    mkfifo(&sidecar, "never");
    let script = "echo > started; exec cat never";
    let fail_safe = ["--serve-stale-for", "60s", "--retry-after", "60s"];
    let command = ["--", "sh", "-c", script];
    let lease = [&["lease", "k"], &fail_safe[..], &command[..]].concat();
    let holder = sidecar.command(&lease).spawn().unwrap();
    std::fs::read(sidecar.path("started")).unwrap();
    let pid = rustix::process::Pid::from_child(&holder);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = holder.wait_with_output().unwrap();
    expect_with(&ended, 1, "", "interrupted");
    let next = ["lease", "k", "--stale-ok", "--", "false"];
    expect_with(&sidecar.run(&next), 0, "old", "another caller loads");
}

#[test]
fn an_invalidation_during_a_failing_load_leaves_nothing_to_serve() {
    let sidecar = Sidecar::start();
    expired(&sidecar, "k", "old");
    let script = format!("{BINARY} invalidate k >&2; false");
    let fail_safe = ["--serve-stale-for", "60s", "--", "sh", "-c", &script];
    let failing = [&["lease", "k"], &fail_safe[..]].concat();
    expect(&sidecar.run(&failing), 1, "");
}

#[test]
fn a_watch_leaves_out_what_covers_nothing_that_is_held() {
    let sidecar = Sidecar::start();
    let held = ["watch", "--key", "a", "--prefix", "page:", "--tag", "t"];
    let mut watch = sidecar.command(&held).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert!(next().starts_with("started at "));
    sidecar.run(&["invalidate", "b", "--tag", "u", "--prefix", "image:"]);
    sidecar.run(&["invalidate", "--prefix", "page:1:", "--soft"]);
    sidecar.run(&["invalidate", "a"]);
    let (soft, hard) = (next(), next());
    assert!(
        soft.starts_with("softly ") && soft.ends_with(r#"prefix "page:1:""#),
        "{soft}"
    );
    assert!(
        hard.starts_with("invalidated ") && hard.ends_with(r#"key "a""#),
        "{hard}"
    );
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[test]
fn a_value_falls_with_what_it_depends_on_and_says_with_what() {
    let sidecar = Sidecar::start();
    sidecar.run(&["set", "user:7", "Ada", "--tag", "red"]);
    let page = [
        "set",
        "page:7",
        "v",
        "--depends-on",
        "user:7",
        "--depends-on",
        "x",
    ];
    assert_eq!(sidecar.run(&page).status.code(), Some(0));
    let told = sidecar.run(&["explain", "page:7"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("depends on      \"user:7\" \"x\""), "{told}");
    let json = json(&sidecar.run(&["explain", "page:7", "--json"]));
    assert_eq!(json["l1"]["depends_on"][0]["key"], "user:7");
    sidecar.run(&["invalidate", "--tag", "red"]);
    expect_with(&sidecar.run(&["get", "page:7"]), 1, "", "miss");
    let told = sidecar.run(&["explain", "page:7"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("dependency tag \"red\""), "{told}");
    let itself = sidecar.run(&["set", "a", "v", "--depends-on", "a"]);
    assert_eq!(itself.status.code(), Some(2));
}

#[test]
fn a_comparison_that_holds_says_why_it_is_refused() {
    let sidecar = Sidecar::start();
    // Four keys with 16 dependencies each: 68 in all, of 64 that an entry may have.
    let of = |key: &str| -> Vec<String> { (0..16).map(|n| format!("{key}:{n}")).collect() };
    let mut page = vec!["cas", "page", "v", "--absent"];
    for key in ["a", "b", "c", "d"] {
        page.extend(["--depends-on", key]);
        let theirs = of(key);
        let each = theirs.iter().flat_map(|on| ["--depends-on", on.as_str()]);
        let set: Vec<&str> = ["set", key, "v"].into_iter().chain(each).collect();
        assert_eq!(sidecar.run(&set).status.code(), Some(0));
    }
    let words = "conflict: it depends on more than an entry may";
    expect_with(&sidecar.run(&page), 1, "", words);
    page.push("--json");
    let refused = json(&sidecar.run(&page));
    assert_eq!(refused["result"], "conflict");
    assert_eq!(refused["reason"], "TOO_MANY_DEPENDENCIES");
    sidecar.run(&["set", "page", "v"]);
    let plain = json(&sidecar.run(&["cas", "page", "w", "--absent", "--json"]));
    assert_eq!(plain["reason"], serde_json::Value::Null);
    assert_eq!(plain["current"]["text"], "v");
}
