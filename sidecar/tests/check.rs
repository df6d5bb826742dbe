//! `unstale check`, the real program against real servers: what it calls an
//! error `serve` would not work with, and what it approves `serve` accepts.

#![allow(clippy::disallowed_methods, reason = "tests spawn for themselves")]
#![allow(clippy::unwrap_used)]

mod nats_support;

use nats_support::secrets::{certificates, operator};
use nats_support::{Server, log_config, run};
use nkeys::KeyPair;
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::time::Duration;
use tokio::process::Command;

/// Runs the check; its exit code and what it found.
async fn check(flags: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unstale"));
    command.args(["check", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.args(["--uds", "off"]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("UNSTALE_") {
            command.env_remove(name);
        }
    }
    let ended = tokio::time::timeout(nats_support::PATIENCE, command.args(flags).output());
    let output = ended.await.expect("it ends").unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    (output.status.code().unwrap(), said)
}

async fn check_fleet(server: &Server, more: &[&str]) -> (i32, String) {
    let url = server.url();
    let flags = ["--nats", &url, "--fleet", "test"];
    server.admin().await;
    check(&[&flags, more].concat()).await
}

/// The line that begins so; there must be one.
fn line<'a>(said: &'a str, kind: &str, part: &str) -> &'a str {
    let mut lines = said.lines();
    let found = lines.find(|line| line.starts_with(kind) && line.contains(part));
    found.unwrap_or_else(|| panic!("no {kind} with {part:?} in:\n{said}"))
}

/// A log as `serve` makes it.
fn log() -> Value {
    json!({
        "name": "UNSTALE_test_LOG", "subjects": ["unstale.test.log.>"],
        "deny_delete": true, "deny_purge": true, "allow_msg_ttl": true,
        "metadata": {
            "unstale-session-ttl-ms": "2000", "unstale-retention-ms": "2678400000",
        },
    })
}

#[tokio::test]
async fn a_server_without_streams_is_approved_and_stays_so() {
    let server = Server::start();
    let (code, said) = check_fleet(&server, &[]).await;
    assert_eq!(code, 0, "{said}");
    line(&said, "ok", "nats: server");
    line(&said, "ok", "UNSTALE_test_LOG: not made yet");
    let admin = server.admin().await;
    let answer = admin.request("$JS.API.STREAM.NAMES", "".into()).await;
    let names: Value = serde_json::from_slice(&answer.unwrap().payload).unwrap();
    assert_eq!(names["total"], 0, "{names}");
}

#[tokio::test]
async fn streams_that_serve_made_are_approved() {
    let server = Server::start();
    run(log_config(server.connection())).events.opened().await;
    let (code, said) = check_fleet(&server, &["--session-ttl", "10s"]).await;
    assert_eq!(code, 0, "{said}");
    line(&said, "warning", "UNSTALE_test_LOG: has 1 replica");
    assert!(!said.contains("session_ttl"), "{said}");
}

#[tokio::test]
async fn a_stream_that_serve_refuses_is_an_error() {
    for (field, value, part) in [
        ("deny_purge", json!(false), "deny_purge"),
        ("deny_delete", json!(false), "deny_delete"),
        ("metadata", json!({}), "unstale-session-ttl-ms"),
        ("max_age", json!(120_000_000_000_u64), "max_age"),
        ("subjects", json!(["orders.>"]), "unstale.test.log.>"),
    ] {
        let server = Server::start();
        let mut config = log();
        config[field] = value;
        server.make_stream(&config).await;
        let (code, said) = check_fleet(&server, &[]).await;
        assert_eq!(code, 1, "{said}");
        let found = line(&said, "error", part);
        assert!(found.contains("UNSTALE_test_LOG"), "{said}");
        let refused = run(log_config(server.connection()));
        refused.events.lost(part).await;
    }
}

#[tokio::test]
async fn a_remote_tier_that_cannot_be_read_is_an_error_unless_it_is_not_used() {
    let server = Server::start();
    let data = json!({ "name": "UNSTALE_test_DATA", "subjects": ["unstale.test.data.*"] });
    server.make_stream(&data).await;
    let (code, said) = check_fleet(&server, &[]).await;
    assert_eq!(code, 1, "{said}");
    line(&said, "error", "UNSTALE_test_DATA: must have allow_direct");
    let (code, said) = check_fleet(&server, &["--remote", "memory"]).await;
    assert_eq!(code, 0, "{said}");
}

#[tokio::test]
async fn a_stream_of_others_on_the_fleets_subjects_is_an_error() {
    let server = Server::start();
    let other = json!({ "name": "AUDIT", "subjects": ["unstale.test.>"] });
    server.make_stream(&other).await;
    let (code, said) = check_fleet(&server, &[]).await;
    assert_eq!(code, 1, "{said}");
    line(&said, "error", "AUDIT");
    let refused = run(log_config(server.connection()));
    refused.events.lost("cannot be made").await;
}

#[tokio::test]
async fn what_is_unsafe_is_a_warning_with_the_safe_value() {
    let server = Server::with(|_| "max_payload: 65536".to_owned());
    let mut config = log();
    config["max_msgs"] = json!(5);
    server.make_stream(&config).await;
    let (code, said) = check_fleet(&server, &["--session-ttl", "15s"]).await;
    assert_eq!(code, 0, "{said}");
    line(&said, "warning", "max_msgs");
    line(&said, "warning", "max_payload is 65536");
    let ttl = line(&said, "warning", "session_ttl");
    assert!(ttl.contains("2s") && ttl.contains("15s"), "{ttl}");
}

#[tokio::test]
async fn a_server_that_is_away_is_an_error() {
    let mut server = Server::start();
    server.kill();
    let url = server.url();
    let (code, said) = check(&["--nats", &url, "--fleet", "test"]).await;
    assert_eq!(code, 1, "{said}");
    line(&said, "error", "nats: NATS is away");
}

#[tokio::test]
async fn places_that_are_taken_are_errors() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = port.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("live.sock");
    let _live = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let path = path.display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_unstale"));
    command.args([
        "check", "--listen", &taken, "--admin", &taken, "--uds", &path,
    ]);
    let output = command.output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in ["--listen", "--admin", "--uds"] {
        line(&said, "error", part);
    }
    assert!(fs::exists(dir.path().join("live.sock")).unwrap());
}

#[tokio::test]
async fn every_way_to_convince_a_server_has_flags() {
    let key = KeyPair::new_user();
    let nkey = |dir: &std::path::Path| {
        fs::write(dir.join("seed"), key.seed().unwrap()).unwrap();
        format!(
            "authorization {{ users: [{{ nkey: {} }}] }}",
            key.public_key()
        )
    };
    let password = |dir: &std::path::Path| {
        fs::write(dir.join("password"), "sesame\n").unwrap();
        "authorization { user: me, password: sesame }".to_owned()
    };
    let servers = [
        (
            Server::with(operator),
            vec!["--nats-credentials", "@user.creds"],
        ),
        (Server::with(nkey), vec!["--nats-nkey", "@seed"]),
        (
            Server::with(password),
            vec!["--nats-user", "me", "--nats-password-file", "@password"],
        ),
        (
            Server::with(certificates),
            vec![
                "--nats-ca",
                "@ca.pem",
                "--nats-cert",
                "@client.pem",
                "--nats-key",
                "@client.key",
            ],
        ),
    ];
    for (server, words) in &servers {
        let url = server.url();
        let bare = ["--nats", url.as_str(), "--fleet", "test"];
        let (code, said) = listening(server, &bare).await;
        assert_eq!(code, 1, "without {words:?}: {said}");
        let file = |word: &&str| match word.strip_prefix('@') {
            Some(name) => server.dir.path().join(name).display().to_string(),
            None => (*word).to_owned(),
        };
        let words: Vec<_> = words.iter().map(file).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let (code, said) = check(&[&bare, &words[..]].concat()).await;
        assert_eq!(code, 0, "with {words:?}: {said}");
    }
    let url = servers[2].0.url().replace("nats://", "nats://me:sesame@");
    let (code, said) = check(&["--nats", &url, "--fleet", "test"]).await;
    assert_eq!(code, 0, "in the address: {said}");
    assert!(!said.contains("sesame"), "{said}");
}

/// Checks again while the server is not up yet.
async fn listening(server: &Server, flags: &[&str]) -> (i32, String) {
    let connecting = async {
        let address = ("127.0.0.1", server.port);
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let connected = tokio::time::timeout(nats_support::PATIENCE, connecting).await;
    connected.expect("the server listens");
    check(flags).await
}

#[tokio::test]
async fn tls_towards_a_plain_server_says_what_to_do() {
    let server = Server::start();
    let url = server.url().replace("nats://", "tls://");
    let (code, said) = listening(&server, &["--nats", &url, "--fleet", "test"]).await;
    assert_eq!(code, 1, "{said}");
    let found = line(&said, "error", "nats:");
    assert!(found.contains("nats://"), "{found}");
}
