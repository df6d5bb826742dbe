//! The configuration file is read again while a real sidecar serves: on SIGHUP
//! and by itself, and what is wrong with it changes nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
mod serving;

use serving::Serving;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use unstale_proto::v1::{self, set_request::Value};

/// More than any look at the file takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A sidecar over one file.
struct Sidecar {
    serving: Serving,
    config: PathBuf,
    folder: tempfile::TempDir,
}

impl Sidecar {
    async fn start(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("unstale.toml");
        std::fs::write(&config, text).unwrap();
        let serving = Serving::start([OsStr::new("--config"), config.as_os_str()]).await;
        Self {
            serving,
            config,
            folder,
        }
    }

    /// Waits for a status.
    async fn until(&mut self, good: impl Fn(&v1::StatusResponse) -> bool) -> v1::StatusResponse {
        let mut last = v1::StatusResponse::default();
        let wait = async {
            while !good(&last) {
                last = self.serving.status().await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, wait).await;
        assert!(ended.is_ok(), "{last:#?}");
        last
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.config, text).unwrap();
    }

    fn hang_up(&self) {
        let pid = rustix::process::Pid::from_child(&self.serving.process);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }

    /// The code of a Set of so many bytes in the namespace shop.
    async fn set(&mut self, bytes: usize) -> Code {
        let set = self.serving.cache.set(v1::SetRequest {
            namespace: "shop".into(),
            key: "k".into(),
            value: Some(Value::Data(vec![0; bytes].into())),
            ..v1::SetRequest::default()
        });
        set.await.map_or_else(|status| status.code(), |_| Code::Ok)
    }

    async fn metric(&self, line: &str) -> bool {
        let mut socket = TcpStream::connect(("127.0.0.1", self.serving.metrics))
            .await
            .unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        socket.write_all(request).await.unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).await.unwrap();
        assert!(text.contains("unstale_config_valid"), "{text}");
        text.lines().any(|found| found == line)
    }
}

fn limit(bytes: usize) -> String {
    format!("[namespace.shop]\nmax_value_bytes = \"{bytes}B\"\n")
}

fn shows(bytes: usize) -> impl Fn(&v1::StatusResponse) -> bool {
    let line = format!("max_value_bytes = \"{bytes}B\"");
    move |status| status.config.contains(&line)
}

#[tokio::test]
async fn a_signal_brings_changed_policies_into_force() {
    let mut sidecar = Sidecar::start(&limit(10)).await;
    assert_eq!(sidecar.set(11).await, Code::InvalidArgument);
    sidecar.write(&limit(20));
    sidecar.hang_up();
    let status = sidecar.until(shows(20)).await;
    assert_eq!(status.config_error, "");
    assert_eq!(sidecar.set(11).await, Code::Ok);
    assert!(
        sidecar
            .metric("unstale_config_reloads_total{result=\"ok\"} 1")
            .await
    );
    assert!(
        sidecar
            .metric("unstale_config_reloads_total{result=\"failed\"} 0")
            .await
    );
    // What only a start reads is named, the rest is in force.
    sidecar.write(&format!("pod = \"other\"\n{}", limit(30)));
    sidecar.hang_up();
    let status = sidecar.until(shows(30)).await;
    assert_eq!(status.config_error, "needs a restart: pod");
    assert!(!status.config.contains("other"));
}

#[tokio::test]
async fn a_changed_file_is_noticed_without_a_signal() {
    let mut sidecar = Sidecar::start(&limit(10)).await;
    sidecar.write(&limit(20));
    sidecar.until(shows(20)).await;
    assert_eq!(sidecar.set(20).await, Code::Ok);
}

/// Kubernetes replaces the folder that the file's name leads through.
#[tokio::test]
async fn a_swapped_link_is_a_changed_file() {
    let mut sidecar = Sidecar::start(&limit(10)).await;
    let folder = sidecar.folder.path().to_path_buf();
    let version = |name: &str, bytes| {
        std::fs::create_dir(folder.join(name)).unwrap();
        std::fs::write(folder.join(name).join("unstale.toml"), limit(bytes)).unwrap();
        let link = folder.join("next");
        std::os::unix::fs::symlink(name, &link).unwrap();
        std::fs::rename(link, folder.join("..data")).unwrap();
    };
    version("..1", 20);
    let by_link = folder.join("next");
    std::os::unix::fs::symlink(Path::new("..data/unstale.toml"), &by_link).unwrap();
    std::fs::rename(by_link, &sidecar.config).unwrap();
    sidecar.until(shows(20)).await;
    version("..2", 30);
    sidecar.until(shows(30)).await;
}

#[tokio::test]
async fn a_file_with_mistakes_changes_nothing_until_it_is_mended() {
    let mut sidecar = Sidecar::start(&limit(10)).await;
    sidecar.write("[namespace.shop]\nmax_value_bytes = \"no\"\njitter = \"no\"\n");
    let status = sidecar
        .until(|status| !status.config_error.is_empty())
        .await;
    for path in ["namespace.shop.max_value_bytes", "namespace.shop.jitter"] {
        assert!(
            status.config_error.contains(path),
            "{}",
            status.config_error
        );
    }
    assert!(shows(10)(&status));
    assert_eq!(sidecar.set(11).await, Code::InvalidArgument);
    assert!(sidecar.metric("unstale_config_valid 0").await);
    std::fs::remove_file(&sidecar.config).unwrap();
    sidecar
        .until(|status| status.config_error.contains("No such file"))
        .await;
    assert!(
        sidecar
            .metric("unstale_config_reloads_total{result=\"failed\"} 2")
            .await
    );
    sidecar.write(&limit(20));
    let status = sidecar.until(shows(20)).await;
    assert_eq!(status.config_error, "");
    assert!(sidecar.metric("unstale_config_valid 1").await);
}

/// An editor that empties the file before it writes it: read in between, on a
/// signal even, it is wrong for a moment only.
#[tokio::test]
async fn a_file_that_was_read_halfway_is_read_again() {
    let mut sidecar = Sidecar::start(&limit(10)).await;
    sidecar.write("[namespace.shop]\nmax_value_by");
    sidecar.hang_up();
    sidecar
        .until(|status| !status.config_error.is_empty())
        .await;
    sidecar.write(&limit(20));
    let status = sidecar.until(shows(20)).await;
    assert_eq!(status.config_error, "");
}

#[tokio::test]
async fn no_request_is_dropped_while_the_file_is_read_again() {
    let mut sidecar = Sidecar::start(&limit(10)).await;
    let ended = Arc::new(AtomicBool::new(false));
    let (mut cache, until) = (sidecar.serving.cache.clone(), ended.clone());
    let requests = async move {
        let mut answered = 0;
        while !until.load(Ordering::Relaxed) {
            let key = "k".to_owned();
            let get = v1::GetRequest {
                key,
                ..v1::GetRequest::default()
            };
            cache.get(get).await.unwrap();
            answered += 1;
        }
        answered
    };
    let reloads = async {
        for bytes in 11..31 {
            sidecar.write(&limit(bytes));
            sidecar.hang_up();
            sidecar.until(shows(bytes)).await;
        }
        ended.store(true, Ordering::Relaxed);
    };
    let (answered, ()) = tokio::join!(requests, reloads);
    assert!(answered > 20, "{answered}");
}
