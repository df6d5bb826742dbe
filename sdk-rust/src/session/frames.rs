//! The messages of a stream as bytes: calls are written when they are made, answers
//! read by who waits for them.
//!
//! A generated message of many calls holds and moves each of them whole; here one
//! task handles nothing but bytes, and the work is done where the call is.

use super::{MESSAGE_BYTES, Wire};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::DecodeError;
use prost::Message as _;
use prost::encoding::{self, DecodeContext, WireType, encode_key, encode_varint};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::Uri;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status, Streaming};
use unstale_proto::v1::{SessionAnswer, SessionCall, SessionOpened, SessionRequest};

/// The method.
const SESSION: &str = "/unstale.v1.SessionService/Session";
/// The field of `unstale.v1.SessionRequest`.
const CALLS: u32 = 1;
/// The fields of `unstale.v1.SessionResponse`.
const OPENED: u32 = 1;
const ANSWERS: u32 = 2;
const CLOSING: u32 = 3;
/// The field of `unstale.v1.SessionAnswer`.
const ID: u32 = 1;

/// Opens a stream.
pub(super) async fn open(
    (wire, origin): (Wire, Uri),
    sending: impl futures::Stream<Item = Bytes> + Send + 'static,
) -> Result<Streaming<Bytes>, Status> {
    let mut grpc = Grpc::with_origin(wire, origin).max_decoding_message_size(MESSAGE_BYTES);
    let path = PathAndQuery::from_static(SESSION);
    grpc.ready().await?;
    let answers = grpc.streaming(Request::new(sending), path, Frames).await?;
    Ok(answers.into_inner())
}

/// One more call of a SessionRequest.
pub(super) fn put_call(to: &mut BytesMut, call: &SessionCall) {
    encode_key(CALLS, WireType::LengthDelimited, to);
    encode_varint(call.encoded_len() as u64, to);
    call.encode_raw(to);
}

/// A call as it was put.
pub(super) fn call(put: &[u8]) -> Option<SessionCall> {
    let request = SessionRequest::decode(put).ok()?;
    request.calls.into_iter().next()
}

/// Cancellations, behind the calls of a SessionRequest.
pub(super) fn put_cancelled(to: &mut BytesMut, cancelled: Vec<u64>) {
    let cancelled = SessionRequest {
        cancelled,
        calls: Vec::new(),
    };
    cancelled.encode_raw(to);
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
                (OPENED, wire) => {
                    let opened = SessionOpened::decode(bytes(wire, &mut self.0)?)?;
                    return Ok(Some(Brought::Opened(opened)));
                }
                (ANSWERS, wire) => {
                    let answer = bytes(wire, &mut self.0)?;
                    return Ok(Some(Brought::Answer(id(answer.clone())?, answer)));
                }
                (CLOSING, wire) => {
                    bytes(wire, &mut self.0)?;
                    return Ok(Some(Brought::Closing));
                }
                (other, wire) => pass_over(other, wire, &mut self.0)?,
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
            (ID, WireType::Varint) => {
                id = encoding::decode_varint(&mut answer)?;
                // It comes first, unless somebody else wrote it.
                break;
            }
            (other, wire) => pass_over(other, wire, &mut answer)?,
        }
    }
    Ok(id)
}

/// An answer, read.
pub(super) fn answer(bytes: Bytes) -> Result<SessionAnswer, Status> {
    SessionAnswer::decode(bytes).map_err(|error| Status::internal(error.to_string()))
}

fn bytes(wire: WireType, message: &mut Bytes) -> Result<Bytes, DecodeError> {
    let mut bytes = Bytes::new();
    encoding::bytes::merge(wire, &mut bytes, message, DecodeContext::default())?;
    Ok(bytes)
}

fn pass_over(field: u32, wire: WireType, message: &mut Bytes) -> Result<(), DecodeError> {
    encoding::skip_field(wire, field, message, DecodeContext::default())
}

/// Messages as they are.
#[derive(Clone, Copy, Default)]
struct Frames;

impl Codec for Frames {
    type Encode = Bytes;
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

impl Encoder for Frames {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }
}

impl Decoder for Frames {
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
    use unstale_proto::v1::{GetRequest, GetResponse, SessionClosing, SessionResponse};

    fn get(id: u64) -> SessionCall {
        SessionCall {
            id,
            timeout: None,
            request: Some(Called::Get(GetRequest::default())),
        }
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
        let mut put = BytesMut::new();
        put_call(&mut put, &get(1));
        assert_eq!(call(&put), Some(get(1)));
        put_call(&mut put, &get(300));
        put_cancelled(&mut put, vec![7, 1 << 40]);
        let whole = SessionRequest {
            calls: vec![get(1), get(300)],
            cancelled: vec![7, 1 << 40],
        };
        assert_eq!(SessionRequest::decode(put).unwrap(), whole);
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
