//! The process: its settings, its ports, its socket, its exit codes.

use crate::calls::{get, set};
use std::os::unix::net::UnixListener;
use std::process::{Output, Stdio};
use tempfile::TempDir;
use tokio::process::Command;
use tonic::transport::Endpoint;
use unstale_proto::v1::GetRequest;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_tests::{PATIENCE, Sidecar, Signal, eventually, free_port, unstale};

/// Mistaken settings (EX_USAGE).
const EXIT_SETTINGS: i32 = 64;

/// Runs `unstale serve`, which must end by itself, and soon.
async fn serve(flags: &[&str]) -> (i32, String) {
    let mut serve = Command::new(unstale());
    serve.arg("serve").args(flags).stdin(Stdio::null());
    let ended = tokio::time::timeout(PATIENCE, serve.kill_on_drop(true).output());
    let ended = ended
        .await
        .unwrap_or_else(|_| panic!("serve {flags:?} did not end"));
    let Output {
        status,
        stdout,
        stderr,
    } = ended.expect("it starts");
    let said = [stdout, stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (status.code().expect("no signal"), said)
}

fn addresses() -> [String; 2] {
    [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"))
}

#[tokio::test]
async fn every_mistake_in_the_settings_is_named_at_once() {
    let flags = [
        "--listen",
        "nowhere",
        "--l1-bytes",
        "12 parsecs",
        "--session-ttl",
        "0s",
        "--remote",
        "tape",
        "--nats",
        "http://x",
        "--log-format",
        "xml",
    ];
    let (code, said) = serve(&flags).await;
    assert_eq!(code, EXIT_SETTINGS, "{said}");
    for name in [
        "--listen",
        "--l1-bytes",
        "--session-ttl",
        "--remote",
        "--nats",
        "--log-format",
    ] {
        assert!(said.contains(name), "{name} is not named in:\n{said}");
    }
    assert!(
        said.contains("--fleet"),
        "half of --nats and --fleet:\n{said}"
    );
}

#[tokio::test]
async fn half_a_file_of_settings_is_refused_with_its_line() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("unstale.toml");
    let path = file.display().to_string();
    std::fs::write(&file, "l1_bytes = \"64MiB\"\nlisten = \"127.").expect("written");
    let (code, said) = serve(&["--config", &path]).await;
    assert_eq!(code, EXIT_SETTINGS, "{said}");
    assert!(said.contains("line 2"), "{said}");
    std::fs::write(&file, "l1_bites = \"64MiB\"\ndrian = \"1s\"\n").expect("written");
    let (code, said) = serve(&["--config", &path]).await;
    assert_eq!(code, EXIT_SETTINGS, "{said}");
    assert!(
        said.contains("l1_bites") && said.contains("drian"),
        "{said}"
    );
}

#[tokio::test]
async fn a_port_in_use_is_one_line() {
    let live = Sidecar::builder().serving().await;
    let used = format!("127.0.0.1:{}", live.port());
    let used_admin = format!("127.0.0.1:{}", live.admin_port());
    let [free, other] = addresses();
    for (listen, admin, flag) in [(&used, &free, "--listen"), (&other, &used_admin, "--admin")] {
        let flags = ["--listen", listen, "--admin", admin, "--uds", "off"];
        let (code, said) = serve(&flags).await;
        assert!(code != 0 && code != EXIT_SETTINGS, "{code}: {said}");
        let line = said.lines().find(|line| line.contains(flag));
        let line = line.unwrap_or_else(|| panic!("{flag} is not named in:\n{said}"));
        assert!(line.contains("in use"), "{line}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[tokio::test]
async fn a_socket_path_that_is_too_long_is_refused() {
    let [listen, admin] = addresses();
    let path = format!("/tmp/{}", "s".repeat(120));
    let (code, said) = serve(&["--listen", &listen, "--admin", &admin, "--uds", &path]).await;
    assert_eq!(code, EXIT_SETTINGS, "{said}");
    assert!(said.contains("--uds") && said.contains("107"), "{said}");
}

/// Get over the Unix socket.
async fn get_over(path: &std::path::Path, key: &str) -> Result<bool, String> {
    let endpoint = Endpoint::from_shared(format!("unix:{}", path.display()));
    let channel = endpoint.map_err(|e| e.to_string())?.connect().await;
    let mut cache = CacheServiceClient::new(channel.map_err(|e| e.to_string())?);
    let request = GetRequest {
        key: key.into(),
        ..GetRequest::default()
    };
    let answer = cache.get(request).await.map_err(|e| e.to_string())?;
    let result = answer.into_inner().result.ok_or("no result")?;
    Ok(matches!(
        result,
        unstale_proto::v1::get_response::Result::Found(_)
    ))
}

#[tokio::test]
async fn a_live_sidecar_is_not_robbed_of_its_socket() {
    let live = Sidecar::builder().fresh().await;
    set(&live, "k", "v").await;
    let path = live.uds().display().to_string();
    let [listen, admin] = addresses();
    let (code, said) = serve(&["--listen", &listen, "--admin", &admin, "--uds", &path]).await;
    assert_ne!(code, 0);
    assert!(said.contains("another process listens there"), "{said}");
    assert_eq!(get_over(live.uds(), "k").await, Ok(true));
    assert_eq!(get(&live, "k").await.as_deref(), Some("v"));
}

#[tokio::test]
async fn the_socket_of_a_dead_sidecar_is_replaced_and_its_own_is_removed() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("left.sock");
    drop(UnixListener::bind(&path).expect("a socket"));
    assert!(path.exists(), "a leftover");
    let mut pod = Sidecar::builder().uds(&path).serving().await;
    let ask = || async { get_over(&path, "k").await };
    let hit = eventually("an answer over the socket", PATIENCE, ask).await;
    assert!(!hit);
    pod.signal(Signal::TERM);
    assert_eq!(pod.ended(PATIENCE).await.code(), Some(0), "{}", pod.log());
    assert!(!path.exists(), "the socket was left behind");
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_or_used_is_one_line() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("written");
    // Under a file, and in a file system that nobody may write to.
    for path in [file.join("x.sock"), "/proc/unstale/x.sock".into()] {
        let path = path.display().to_string();
        let [listen, admin] = addresses();
        let (code, said) = serve(&["--listen", &listen, "--admin", &admin, "--uds", &path]).await;
        assert!(code != 0, "{said}");
        assert!(
            said.contains("--uds") && !said.contains("panicked"),
            "{said}"
        );
    }
}
