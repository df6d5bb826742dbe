//! Settings from the environment and a file, on the real program: what it
//! says it runs with, and what it says is wrong.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use unstale_tests::{Nats, Sidecar, free_port, unstale};

#[tokio::test]
async fn every_source_of_settings_counts_and_the_last_one_wins() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("unstale.toml");
    let text = "pod = \"file\"\nl1_bytes = \"3MiB\"\ndrain = \"3s\"\n";
    std::fs::write(&file, text).expect("written");
    let pod = Sidecar::builder()
        .env("UNSTALE_CONFIG", file.display().to_string())
        .env("UNSTALE_POD", "environment")
        .env("UNSTALE_L1_BYTES", "5MiB")
        .env("UNSTALE_LISTEN", format!("127.0.0.1:{}", free_port()))
        .flag("--l1-bytes", "7MiB")
        .fresh()
        .await;
    let config = pod.status().await.config;
    let port = format!("listen = \"127.0.0.1:{}\"", pod.port());
    for line in [
        &port,
        "pod = \"environment\"",
        "l1_bytes = \"7MiB\"",
        "drain = \"3s\"",
    ] {
        assert!(config.contains(line), "{line} in:\n{config}");
    }
}

#[tokio::test]
async fn a_fleet_and_its_secrets_may_come_from_the_environment() {
    let nats = Nats::start();
    let url = nats.url().replace("nats://", "nats://me:sesame@");
    let pod = Sidecar::builder()
        .env("UNSTALE_NATS", url)
        .env("UNSTALE_FLEET", "environment")
        .fresh()
        .await;
    let status = pod.status().await;
    assert_eq!(
        (status.fleet.as_str(), status.log.as_str()),
        ("environment", "nats")
    );
    assert!(!status.config.contains("sesame"), "{}", status.config);
}

#[tokio::test]
async fn the_session_ttl_that_is_shown_is_the_one_of_the_log() {
    let nats = Nats::start();
    let first = Sidecar::builder().nats(&nats.url()).fresh().await;
    let shown = |config: &str, ttl: &str| config.contains(&format!("session_ttl = \"{ttl}\""));
    assert!(shown(&first.status().await.config, "2s"));
    let later = Sidecar::builder()
        .nats(&nats.url())
        .session_ttl(Duration::from_secs(60))
        .fresh()
        .await;
    let config = later.status().await.config;
    assert!(shown(&config, "2s"), "{config}");
    assert!(
        later.log().contains("the setting's 60s does nothing"),
        "{}",
        later.log()
    );
}

#[test]
fn mistakes_of_every_source_come_together_with_exit_code_64() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("unstale.toml");
    std::fs::write(&file, "l1_bytes = \"64MiB\"\nlisten = \"127.").expect("written");
    let mut serve = Command::new(unstale());
    serve
        .args(["serve", "--drain", "never", "--config"])
        .arg(&file)
        .env("UNSTALE_MEMORY_BYTES", "lots")
        .env("UNSTALE_UDS", OsString::from_vec(vec![b'/', 0xff]))
        .stdin(Stdio::null());
    let output = serve.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    for part in ["line 2", "--drain", "UNSTALE_MEMORY_BYTES", "UNSTALE_UDS"] {
        assert!(said.contains(part), "{part} in:\n{said}");
    }
    assert_eq!(said.lines().count(), 4, "{said}");
}
