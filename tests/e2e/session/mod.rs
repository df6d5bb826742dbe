//! The fast lane: many calls on one stream, on real sidecars.

mod answers;
mod bounds;
mod client;
mod ends;
mod forward;
mod lanes;

use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};
use unstale_proto::v1::session_answer::Result as Outcome;
use unstale_proto::v1::session_call::Request as Called;
use unstale_proto::v1::session_service_client::SessionServiceClient;
use unstale_proto::v1::{SessionAnswer, SessionCall, SessionRequest, SessionResponse};
use unstale_tests::{PATIENCE, Sidecar};

/// A stream as a client holds it.
struct Line {
    requests: mpsc::Sender<SessionRequest>,
    responses: Streaming<SessionResponse>,
    max_calls: u32,
    is_closing: bool,
    /// Answers that came while another one was awaited.
    early: HashMap<u64, Outcome>,
}

impl Line {
    /// Opens one.
    async fn open(mut client: SessionServiceClient<Channel>) -> Result<Self, Status> {
        let (requests, sent) = mpsc::channel(1);
        let opened = client.session(ReceiverStream::new(sent)).await?;
        let mut responses = opened.into_inner();
        let first = responses.message().await?.expect("a first message");
        let opened = first.opened.expect("it says what it allows");
        Ok(Self {
            requests,
            responses,
            max_calls: opened.max_calls,
            is_closing: first.closing.is_some(),
            early: HashMap::new(),
        })
    }

    async fn to(pod: &Sidecar) -> Self {
        Self::open(pod.sessions()).await.expect("a stream")
    }

    /// One on a connection of its own, which takes 64 KiB that are not read.
    async fn with_little_room(pod: &Sidecar) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", pod.port()));
        let endpoint = endpoint.expect("an endpoint");
        let endpoint = endpoint.initial_stream_window_size(65_535);
        let endpoint = endpoint.initial_connection_window_size(65_535);
        let channel = endpoint.connect().await.expect("it is there");
        let client = SessionServiceClient::new(channel);
        let opened = Self::open(client).await;
        opened.expect("a stream")
    }

    async fn send(&self, request: SessionRequest) {
        let sent = self.requests.send(request).await;
        sent.expect("the stream is there");
    }

    /// Begins one call.
    async fn begin(&self, id: u64, request: Called) {
        self.send(calls([call(id, request)])).await;
    }

    async fn cancel(&self, ids: impl IntoIterator<Item = u64>) {
        let request = SessionRequest {
            cancelled: ids.into_iter().collect(),
            ..SessionRequest::default()
        };
        self.send(request).await;
    }

    /// The next message; none at the end.
    async fn message(&mut self) -> Result<Option<Vec<SessionAnswer>>, Status> {
        let message = tokio::time::timeout(PATIENCE, self.responses.message()).await;
        let message = message.expect("it says something")?;
        Ok(message.map(|message| {
            self.is_closing |= message.closing.is_some();
            message.answers
        }))
    }

    /// The answer of one call.
    async fn answer(&mut self, id: u64) -> Outcome {
        loop {
            if let Some(outcome) = self.early.remove(&id) {
                return outcome;
            }
            let answers = self.message().await.expect("no error");
            for answer in answers.expect("it has not ended") {
                let outcome = answer.result.expect("a result");
                let twice = self.early.insert(answer.id, outcome);
                assert!(twice.is_none(), "{twice:?}");
            }
        }
    }

    /// Makes one call.
    async fn call(&mut self, id: u64, request: Called) -> Outcome {
        self.begin(id, request).await;
        self.answer(id).await
    }

    /// How the stream ended.
    async fn end(&mut self) -> Result<(), Status> {
        while self.message().await?.is_some() {}
        Ok(())
    }
}

fn call(id: u64, request: Called) -> SessionCall {
    let timeout = Duration::from_secs(15).try_into().expect("short");
    SessionCall {
        id,
        timeout: Some(timeout),
        request: Some(request),
    }
}

fn calls(calls: impl IntoIterator<Item = SessionCall>) -> SessionRequest {
    SessionRequest {
        calls: calls.into_iter().collect(),
        ..SessionRequest::default()
    }
}
