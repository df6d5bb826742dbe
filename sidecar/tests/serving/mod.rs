//! A real sidecar process with ports of its own, and clients of the raw
//! contract. Ends with its test.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use tonic::transport::Channel;
use unstale_proto::v1;
use unstale_proto::v1::admin_service_client::AdminServiceClient;
use unstale_proto::v1::cache_service_client::CacheServiceClient;

/// Longer than any answer.
const MESSAGE_BYTES: usize = 8 << 20;

pub(crate) struct Serving {
    pub(crate) process: Child,
    pub(crate) admin: AdminServiceClient<Channel>,
    pub(crate) cache: CacheServiceClient<Channel>,
    /// The port of /metrics.
    #[allow(dead_code, reason = "not every test asks for metrics")]
    pub(crate) metrics: u16,
}

impl Serving {
    /// Returns when the sidecar calls entries fresh.
    pub(crate) async fn start<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let [port, metrics] = [free_port(), free_port()];
        let mut process = Command::new(env!("CARGO_BIN_EXE_unstale"))
            .args(["serve", "--uds", "off"])
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(["--admin", &format!("127.0.0.1:{metrics}")])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let serving = log.any(|line| line.unwrap().contains("serving"));
        assert!(serving, "the sidecar did not start");
        // Keep reading, or the sidecar's log gets stuck in the pipe.
        std::thread::spawn(move || log.count());
        let channel = Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        let channel = channel.connect().await.unwrap();
        let mut serving = Self {
            process,
            admin: AdminServiceClient::new(channel.clone()),
            cache: CacheServiceClient::new(channel)
                .max_decoding_message_size(MESSAGE_BYTES)
                .max_encoding_message_size(MESSAGE_BYTES),
            metrics,
        };
        while serving.status().await.session_state() != v1::SessionState::Fresh {}
        serving
    }

    pub(crate) async fn status(&mut self) -> v1::StatusResponse {
        let status = self.admin.status(v1::StatusRequest {}).await;
        status.unwrap().into_inner()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}
