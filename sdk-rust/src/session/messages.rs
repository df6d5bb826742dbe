//! The messages of a stream as bytes: a call is written by who makes it, an answer
//! read by who waits for it.
//!
//! A generated message of many calls holds and moves each of them whole; here the
//! stream's task handles nothing but bytes. An answer that cannot be read fails its
//! call, a message that cannot be divided into answers the stream.

use super::{MESSAGE_BYTES, Wire};
use bytes::{Buf as _, BufMut, Bytes};
use prost::DecodeError;
use prost::Message as _;
use prost::encoding::{self, DecodeContext, WireType, encode_key, encode_varint};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::Uri;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status, Streaming};
use unstale_proto::v1::{SessionAnswer, SessionOpened, SessionRequest};

/// The method.
const SESSION: &str = "/unstale.v1.SessionService/Session";
/// The field of `unstale.v1.SessionRequest`.
const CALLS: u32 = 1;
/// The fields of `unstale.v1.SessionResponse`.
const OPENED: u32 = 1;
const ANSWERS: u32 = 2;
const CLOSING: u32 = 3;
/// The first field of `unstale.v1.SessionCall` and of `unstale.v1.SessionAnswer`.
const ID: u32 = 1;

/// Opens a stream.
pub(super) async fn open(
    (wire, origin): (Wire, Uri),
    sending: impl futures::Stream<Item = Outgoing> + Send + 'static,
) -> Result<Streaming<Bytes>, Status> {
    let mut grpc = Grpc::with_origin(wire, origin).max_decoding_message_size(MESSAGE_BYTES);
    let path = PathAndQuery::from_static(SESSION);
    grpc.ready().await?;
    let answers = grpc.streaming(Request::new(sending), path, AsBytes).await?;
    Ok(answers.into_inner())
}

/// A call that was not sent yet: its id, and the rest of its SessionCall.
pub(super) struct Unsent {
    pub(super) id: u64,
    pub(super) rest: Vec<u8>,
}

impl Unsent {
    /// Its length as a SessionCall.
    pub(super) fn length(&self) -> usize {
        encoding::uint64::encoded_len(ID, &self.id) + self.rest.len()
    }

    fn put(&self, to: &mut impl BufMut) {
        encode_key(CALLS, WireType::LengthDelimited, to);
        encode_varint(self.length() as u64, to);
        encoding::uint64::encode(ID, &self.id, to);
        to.put_slice(&self.rest);
    }
}

/// A SessionRequest.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) calls: Vec<Unsent>,
    pub(super) cancelled: Vec<u64>,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.cancelled.is_empty()
    }

    pub(super) fn put(self, to: &mut impl BufMut) {
        for call in self.calls {
            call.put(to);
        }
        let cancelled = SessionRequest {
            cancelled: self.cancelled,
            calls: Vec::new(),
        };
        cancelled.encode_raw(to);
    }
}

/// What a SessionResponse brings, one at a time.
#[derive(Debug, PartialEq)]
pub(super) enum Brought {
    /// What the stream allows.
    Opened(SessionOpened),
    /// A call's answer, a [`SessionAnswer`], and its id.
    Answer(u64, Bytes),
    /// No more calls are begun.
    Closing,
}

/// The rest of a SessionResponse.
pub(super) struct Response(pub(super) Bytes);

impl Response {
    /// The next of what it brings; none at the end. What this client does not know
    /// is passed over.
    pub(super) fn next(&mut self) -> Result<Option<Brought>, DecodeError> {
        while self.0.has_remaining() {
            match encoding::decode_key(&mut self.0)? {
                (OPENED, kind) => {
                    let opened = SessionOpened::decode(bytes(kind, &mut self.0)?)?;
                    return Ok(Some(Brought::Opened(opened)));
                }
                (ANSWERS, kind) => {
                    let answer = bytes(kind, &mut self.0)?;
                    return Ok(Some(Brought::Answer(id(answer.clone())?, answer)));
                }
                (CLOSING, kind) => {
                    bytes(kind, &mut self.0)?;
                    return Ok(Some(Brought::Closing));
                }
                (other, kind) => pass_over(other, kind, &mut self.0)?,
            }
        }
        Ok(None)
    }
}

/// The id of an answer; 0, which names no call, when it has none.
fn id(mut answer: Bytes) -> Result<u64, DecodeError> {
    let mut id = 0;
    while answer.has_remaining() {
        match encoding::decode_key(&mut answer)? {
            (ID, kind) => {
                encoding::uint64::merge(kind, &mut id, &mut answer, DecodeContext::default())?;
                // The rest is its caller's to read.
                break;
            }
            (other, kind) => pass_over(other, kind, &mut answer)?,
        }
    }
    Ok(id)
}

/// An answer, read.
pub(super) fn answer(bytes: Bytes) -> Result<SessionAnswer, Status> {
    SessionAnswer::decode(bytes).map_err(|error| Status::internal(error.to_string()))
}

fn bytes(kind: WireType, message: &mut Bytes) -> Result<Bytes, DecodeError> {
    let mut bytes = Bytes::new();
    encoding::bytes::merge(kind, &mut bytes, message, DecodeContext::default())?;
    Ok(bytes)
}

fn pass_over(field: u32, kind: WireType, message: &mut Bytes) -> Result<(), DecodeError> {
    encoding::skip_field(kind, field, message, DecodeContext::default())
}

/// Writes what is sent, and hands over what comes as it is.
#[derive(Clone, Copy, Default)]
struct AsBytes;

impl Codec for AsBytes {
    type Encode = Outgoing;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsBytes {
    type Item = Outgoing;
    type Error = Status;

    fn encode(&mut self, message: Outgoing, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.put(to);
        Ok(())
    }
}

impl Decoder for AsBytes {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unstale_proto::v1::session_answer::Result as Outcome;
    use unstale_proto::v1::session_call::Request as Called;
    use unstale_proto::v1::{
        GetRequest, GetResponse, SessionCall, SessionClosing, SessionResponse,
    };

    fn get(id: u64) -> SessionCall {
        SessionCall {
            id,
            timeout: Some(prost_types::Duration {
                seconds: 1,
                nanos: 2,
            }),
            request: Some(Called::Get(GetRequest {
                key: format!("key {id}"),
                ..GetRequest::default()
            })),
        }
    }

    fn unsent(id: u64) -> Unsent {
        let rest = SessionCall { id: 0, ..get(id) };
        let rest = rest.encode_to_vec();
        Unsent { id, rest }
    }

    fn response() -> SessionResponse {
        let answer = |id| SessionAnswer {
            id,
            result: Some(Outcome::Get(GetResponse::default())),
        };
        SessionResponse {
            opened: Some(SessionOpened {
                max_calls: 7,
                max_bytes: 8,
            }),
            answers: vec![answer(1), answer(1 << 40)],
            closing: Some(SessionClosing {}),
        }
    }

    #[test]
    fn what_is_put_is_the_message() {
        let outgoing = Outgoing {
            calls: vec![unsent(1), unsent(300)],
            cancelled: vec![7, 1 << 40],
        };
        let lengths: Vec<_> = outgoing.calls.iter().map(Unsent::length).collect();
        let mut put = Vec::new();
        outgoing.put(&mut put);
        let whole = SessionRequest {
            calls: vec![get(1), get(300)],
            cancelled: vec![7, 1 << 40],
        };
        assert_eq!(SessionRequest::decode(&*put).unwrap(), whole);
        let expected: Vec<_> = whole
            .calls
            .iter()
            .map(prost::Message::encoded_len)
            .collect();
        assert_eq!(lengths, expected);
    }

    #[test]
    fn what_is_brought_is_what_the_message_holds() {
        let whole = response();
        let mut unknown = Vec::new();
        encoding::string::encode(9, &"newer".to_owned(), &mut unknown);
        let bytes = [unknown, whole.encode_to_vec()].concat();
        let mut response = Response(bytes.into());
        let mut next = || response.next().unwrap();
        assert_eq!(next(), whole.opened.map(Brought::Opened));
        for same in whole.answers {
            let Some(Brought::Answer(id, bytes)) = next() else {
                panic!("an answer comes");
            };
            assert_eq!(id, same.id);
            assert_eq!(answer(bytes).unwrap(), same);
        }
        assert_eq!(next(), Some(Brought::Closing));
        assert_eq!(next(), None);
    }

    #[test]
    fn an_id_is_found_wherever_it_is() {
        let mut late = Vec::new();
        encoding::message::encode(3, &GetResponse::default(), &mut late);
        encoding::uint64::encode(ID, &5, &mut late);
        assert_eq!(id(late.into()).unwrap(), 5);
        assert_eq!(id(Bytes::new()).unwrap(), 0);
        let mut no_number = Vec::new();
        encoding::string::encode(ID, &"5".to_owned(), &mut no_number);
        id(no_number.into()).unwrap_err();
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let cut = response().encode_to_vec();
        let cut = Bytes::from(cut[..cut.len() - 1].to_vec());
        for garbage in [Bytes::from_static(&[0xff; 5]), cut] {
            let mut response = Response(garbage);
            let ends = std::iter::from_fn(|| response.next().transpose());
            assert!(ends.take(9).any(|brought| brought.is_err()));
        }
        answer(Bytes::from_static(&[0xff; 5])).unwrap_err();
    }
}
