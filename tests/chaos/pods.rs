//! The sidecars: each on a host of its own, called over its Unix socket, which
//! no fault of the network touches.

use crate::cluster::FLEET;
use crate::network::Host;
use crate::network::Network;
use crate::process::Process;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::sync::Mutex;
use tonic::transport::{Channel, Endpoint};
use unstale_proto::v1::admin_service_client::AdminServiceClient;
use unstale_proto::v1::cache_service_client::CacheServiceClient;
use unstale_proto::v1::{
    ExplainRequest, ExplainResponse, SessionState, StatusRequest, StatusResponse,
};
use unstale_tests::unstale;

/// The pod whose wall clock can jump.
pub(crate) const JUMPY: usize = 1;

/// How a fleet's sidecars are started.
pub(crate) struct Settings {
    pub(crate) session_ttl: Duration,
    pub(crate) replicas: usize,
}

/// A sidecar.
pub(crate) struct Pod {
    pub(crate) host: Host,
    pub(crate) process: Mutex<Process>,
    /// How far its wall clock is off, as libfaketime reads it.
    clock: PathBuf,
    channel: Channel,
}

impl Pod {
    /// Starts one that finds NATS at `urls`.
    pub(crate) fn start(network: &Network, number: usize, urls: &str, with: &Settings) -> Self {
        let name = format!("pod{number}");
        let host = network.host(&name, 1 + number as u8);
        let socket = network.dir().join(format!("{name}.sock"));
        let mut command = host.command(&unstale());
        let level = std::env::var("UNSTALE_POD_LOG").unwrap_or("info".to_owned());
        let clock = network.dir().join(format!("{name}.clock"));
        if number == JUMPY {
            fake(&mut command, &clock);
        }
        command
            .args(["serve", "--listen", "127.0.0.1:7070"])
            .args(["--admin", "127.0.0.1:7071", "--fleet", FLEET])
            .args(["--nats", urls, "--pod", &name, "--drain", "2s"])
            .args(["--nats-replicas", &with.replicas.to_string()])
            .args([
                "--session-ttl",
                &format!("{}ms", with.session_ttl.as_millis()),
            ])
            .args(["--log-level", &level])
            .arg("--uds")
            .arg(&socket);
        let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display()));
        let channel = endpoint.expect("an endpoint").connect_lazy();
        let log = network.dir().join(format!("{name}.log"));
        let mut process = Process::new(command, log);
        process.start();
        Self {
            host,
            process: Mutex::new(process),
            clock,
            channel,
        }
    }

    /// From now on its wall clock is this many seconds off.
    pub(crate) fn show(&self, seconds: i64) {
        std::fs::write(&self.clock, format!("{seconds:+}")).expect("written");
    }

    /// Whether it has read its clock since [`Pod::show`]: by the file's times of
    /// reading and writing. Where no time of reading is kept (noatime) it is
    /// taken for granted.
    pub(crate) async fn noticed(&self) -> bool {
        was_read(&self.clock) || !keeps_times_of_reading(&self.clock.with_extension("probe")).await
    }

    /// A client of its cache.
    pub(crate) fn cache(&self) -> CacheServiceClient<Channel> {
        CacheServiceClient::new(self.channel.clone())
    }

    /// What it says about itself.
    pub(crate) async fn status(&self) -> Result<StatusResponse, String> {
        let mut admin = AdminServiceClient::new(self.channel.clone());
        let mut request = tonic::Request::new(StatusRequest {});
        request.set_timeout(Duration::from_secs(1));
        let answer = admin.status(request).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|e| e.to_string())
    }

    /// How it judges a key, and why.
    pub(crate) async fn explain(&self, key: &str) -> Result<ExplainResponse, String> {
        let mut admin = AdminServiceClient::new(self.channel.clone());
        let mut request = tonic::Request::new(ExplainRequest {
            key: key.to_owned(),
            ..ExplainRequest::default()
        });
        request.set_timeout(Duration::from_secs(1));
        let answer = admin.explain(request).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|e| e.to_string())
    }

    /// How far it has read the log, if it says: <epoch>-<sequence>.
    pub(crate) async fn reached(&self) -> Option<u64> {
        let position = self.status().await.ok()?.position;
        position.rsplit_once('-')?.1.parse().ok()
    }

    /// Whether it may call things fresh and misses nothing.
    pub(crate) async fn whole(&self) -> Result<StatusResponse, String> {
        let status = self.status().await?;
        let whole = status.log_error.is_empty() && status.remote_error.is_empty();
        if whole && status.session_state() == SessionState::Fresh {
            return Ok(status);
        }
        Err(format!(
            "{:?}, log: {:?}, remote tier: {:?}",
            status.session_state(),
            status.log_error,
            status.remote_error
        ))
    }
}

/// Has libfaketime take the wall clock, and no other clock, from this file.
fn fake(command: &mut Command, clock: &Path) {
    std::fs::write(clock, "+0").expect("written");
    let found = std::fs::read_dir("/usr/lib")
        .expect("a directory")
        .flatten();
    let library = |dir: std::fs::DirEntry| dir.path().join("faketime/libfaketimeMT.so.1");
    let library = found.map(library).find(|library| library.exists());
    let library = library.expect("libfaketime is missing: run tests/tools/install");
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", clock)
        .env("FAKETIME_CACHE_DURATION", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("NO_FAKE_STAT", "1");
}

fn was_read(file: &Path) -> bool {
    let file = std::fs::metadata(file).expect("it was written");
    let (read, written) = (file.accessed(), file.modified());
    read.expect("a time") > written.expect("a time")
}

async fn keeps_times_of_reading(probe: &Path) -> bool {
    std::fs::write(probe, "read me").expect("written");
    // A tick of the kernel's, so that the two times can differ.
    tokio::time::sleep(Duration::from_millis(50)).await;
    std::fs::read(probe).expect("read");
    was_read(probe)
}
