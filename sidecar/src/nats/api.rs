//! Requests to JetStream, in its JSON form, with errors told apart by what is
//! known afterwards.
//!
//! The client's typed JetStream interface is not used: it maps only one of the
//! two codes of a failed expectation and restarts readers by itself.

use async_nats::header::HeaderMap;
use async_nats::{Client, Message, Request, RequestErrorKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

/// JetStream's code for a stream that does not exist.
pub(crate) const STREAM_NOT_FOUND: u64 = 10059;
/// JetStream's code for a stream that exists with another configuration.
pub(crate) const STREAM_NAME_IN_USE: u64 = 10058;
/// JetStream's code for a message that does not exist.
pub(crate) const NO_MESSAGE_FOUND: u64 = 10037;
/// A failed expectation: on one server, and among replicas.
pub(crate) const CONFLICTS: [u64; 2] = [10071, 10164];
/// A message of this id was proposed to the stream's replicas and is not stored
/// yet. If the proposal was lost that is said until the duplicate window is over,
/// or another server leads (nats-server's pull requests 6415 and 6486).
pub(crate) const IN_PROCESS: u64 = 10158;

/// Why a request has no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It was not sent.
    NotSent(String),
    /// It was sent, and there is no answer.
    NoAnswer(String),
    /// Nobody serves this request now: no leader, no stream, or no JetStream.
    NobodyThere,
    /// The server answered with this error.
    Refused {
        /// JetStream's error code.
        code: u64,
        /// What it said.
        text: String,
    },
}

impl Failure {
    /// For people.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::NotSent(text) | Self::NoAnswer(text) => text.clone(),
            Self::NobodyThere => "JetStream is not there".to_owned(),
            Self::Refused { code, text } => format!("{text} ({code})"),
        }
    }

    /// JetStream's error code, if it is one.
    pub(crate) fn code(&self) -> Option<u64> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// Sends a request and waits for its answer, whatever it is.
pub(crate) async fn request(
    client: &Client,
    subject: String,
    headers: HeaderMap,
    payload: Bytes,
) -> Result<Message, Failure> {
    let request = Request::new().payload(payload).headers(headers);
    client
        .send_request(subject, request)
        .await
        .map_err(|e| match e.kind() {
            RequestErrorKind::NoResponders => Failure::NobodyThere,
            RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => {
                Failure::NotSent(e.kind().to_string())
            }
            kind => Failure::NoAnswer(kind.to_string()),
        })
}

/// Asks JetStream's API; `what` is the subject after `$JS.API.`.
pub(crate) async fn call(client: &Client, what: &str, body: Value) -> Result<Value, Failure> {
    let payload = if body.is_null() {
        Bytes::new()
    } else {
        Bytes::from(body.to_string())
    };
    let subject = format!("$JS.API.{what}");
    let message = request(client, subject, HeaderMap::new(), payload).await?;
    answer(&message.payload)
}

/// Publishes into a stream and returns the sequence.
pub(crate) async fn publish(
    client: &Client,
    subject: String,
    headers: HeaderMap,
    payload: Bytes,
) -> Result<u64, Failure> {
    let message = request(client, subject, headers, payload).await?;
    let ack = answer(&message.payload)?;
    number(&ack["seq"]).ok_or_else(|| Failure::NoAnswer("an answer without sequence".to_owned()))
}

/// The newest message on `subject`: sequence and payload.
pub(crate) async fn newest(
    client: &Client,
    stream: &str,
    subject: &str,
) -> Result<Option<(u64, Bytes)>, Failure> {
    message(
        client,
        stream,
        serde_json::json!({ "last_by_subj": subject }),
    )
    .await
}

/// The first message on `subject` at this sequence or after it.
pub(crate) async fn next(
    client: &Client,
    stream: &str,
    subject: &str,
    sequence: u64,
) -> Result<Option<(u64, Bytes)>, Failure> {
    let body = serde_json::json!({ "seq": sequence, "next_by_subj": subject });
    message(client, stream, body).await
}

async fn message(
    client: &Client,
    stream: &str,
    which: Value,
) -> Result<Option<(u64, Bytes)>, Failure> {
    let found = match call(client, &format!("STREAM.MSG.GET.{stream}"), which).await {
        Err(e) if e.code() == Some(NO_MESSAGE_FOUND) => return Ok(None),
        other => other?,
    };
    let odd = || Failure::NoAnswer("a message that cannot be read".to_owned());
    let sequence = number(&found["message"]["seq"]).ok_or_else(odd)?;
    let data = found["message"]["data"].as_str().unwrap_or_default();
    let payload = STANDARD.decode(data).map_err(|_| odd())?;
    Ok(Some((sequence, payload.into())))
}

/// A whole number of an answer.
pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64()
}

fn answer(payload: &[u8]) -> Result<Value, Failure> {
    let odd = || Failure::NoAnswer("an answer that cannot be read".to_owned());
    let value: Value = serde_json::from_slice(payload).map_err(|_| odd())?;
    let error = &value["error"];
    if error.is_null() {
        return Ok(value);
    }
    Err(Failure::Refused {
        code: error["err_code"].as_u64().unwrap_or_default(),
        text: error["description"]
            .as_str()
            .unwrap_or("no text")
            .to_owned(),
    })
}
