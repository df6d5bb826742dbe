//! A message of a stream, read piece by piece.
//!
//! Decoded whole, a message of small calls takes a hundred times its length. So
//! a call is decoded when it is its turn, and until then is the bytes that came.

use super::message::{Message, Written};
use prost::Message as _;
use prost::bytes::{Buf as _, Bytes};
use prost::encoding::{self, DecodeContext, WireType};
use prost::{DecodeError, encoding::decode_varint};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use unstale_proto::v1::SessionCall;

/// The fields of SessionRequest.
const CALLS: u32 = 1;
const CANCELLED: u32 = 2;

/// What is in a message.
#[derive(Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and a box would cost each call an allocation"
)]
pub(super) enum Piece {
    /// A call, and its length.
    Call(SessionCall, usize),
    /// The id of a call.
    Cancelled(u64),
}

/// What was not read yet of a SessionRequest: the cancellations come first,
/// wherever they are, so that the calls find the room that those leave.
#[derive(Default)]
pub(super) struct Pieces {
    /// Where cancellations are still looked for.
    unseen: Bytes,
    /// Those of one field.
    cancelled: Bytes,
    calls: Bytes,
}

impl From<Bytes> for Pieces {
    fn from(message: Bytes) -> Self {
        Self {
            unseen: message.clone(),
            cancelled: Bytes::new(),
            calls: message,
        }
    }
}

impl Pieces {
    pub(super) fn is_empty(&self) -> bool {
        !self.may_cancel() && self.calls.is_empty()
    }

    /// Whether cancellations may come.
    pub(super) fn may_cancel(&self) -> bool {
        !self.unseen.is_empty() || !self.cancelled.is_empty()
    }

    /// The next piece; none at the end. What this sidecar does not know is passed
    /// over.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, DecodeError> {
        while self.may_cancel() {
            if let Some(id) = self.next_cancelled()? {
                return Ok(Some(Piece::Cancelled(id)));
            }
        }
        while self.calls.has_remaining() {
            match encoding::decode_key(&mut self.calls)? {
                (CALLS, wire) => {
                    let call = bytes(wire, &mut self.calls)?;
                    // Copied: a value would keep the whole message.
                    let decoded = SessionCall::decode(&*call)?;
                    return Ok(Some(Piece::Call(decoded, call.len())));
                }
                (other, wire) => pass_over(other, wire, &mut self.calls)?,
            }
        }
        Ok(None)
    }

    fn next_cancelled(&mut self) -> Result<Option<u64>, DecodeError> {
        if self.cancelled.has_remaining() {
            return decode_varint(&mut self.cancelled).map(Some);
        }
        match encoding::decode_key(&mut self.unseen)? {
            (CANCELLED, WireType::Varint) => return decode_varint(&mut self.unseen).map(Some),
            (CANCELLED, wire) => self.cancelled = bytes(wire, &mut self.unseen)?,
            (other, wire) => pass_over(other, wire, &mut self.unseen)?,
        }
        Ok(None)
    }
}

fn bytes(wire: WireType, message: &mut Bytes) -> Result<Bytes, DecodeError> {
    let mut bytes = Bytes::new();
    encoding::bytes::merge(wire, &mut bytes, message, DecodeContext::default())?;
    Ok(bytes)
}

fn pass_over(field: u32, wire: WireType, message: &mut Bytes) -> Result<(), DecodeError> {
    encoding::skip_field(wire, field, message, DecodeContext::default())
}

/// Takes messages as they come, and sends those that are gathered.
#[derive(Clone, Copy, Default)]
pub(super) struct Undecoded;

impl Codec for Undecoded {
    type Encode = Message;
    type Decode = Bytes;
    type Encoder = Written;
    type Decoder = Self;

    fn encoder(&mut self) -> Written {
        Written
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Decoder for Undecoded {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unstale_proto::v1::session_call::Request;
    use unstale_proto::v1::{GetRequest, SessionRequest, SetRequest, set_request};

    fn all(message: Vec<u8>) -> Result<Vec<Piece>, DecodeError> {
        let mut pieces = Pieces::from(Bytes::from(message));
        let mut all = Vec::new();
        while let Some(piece) = pieces.next()? {
            all.push(piece);
        }
        assert!(pieces.is_empty());
        Ok(all)
    }

    fn call(id: u64) -> SessionCall {
        let key = "k".repeat(usize::try_from(id).unwrap());
        SessionCall {
            id,
            timeout: None,
            request: Some(Request::Get(GetRequest {
                key,
                ..GetRequest::default()
            })),
        }
    }

    #[test]
    fn the_pieces_are_what_the_message_holds_cancellations_first() {
        let message = SessionRequest {
            calls: vec![call(7), call(300)],
            cancelled: vec![1, 1 << 40],
        };
        let piece = |id| Piece::Call(call(id), call(id).encoded_len());

        let cancelled = [Piece::Cancelled(1), Piece::Cancelled(1 << 40)];
        let expected: Vec<_> = cancelled
            .into_iter()
            .chain([piece(7), piece(300)])
            .collect();
        assert_eq!(all(message.encode_to_vec()), Ok(expected));
        assert_eq!(all(Vec::new()), Ok(Vec::new()));
    }

    #[test]
    fn ids_one_by_one_are_read_and_an_unknown_field_is_passed_over() {
        let mut message = Vec::new();
        encoding::string::encode(9, &"newer".to_owned(), &mut message);
        encoding::uint64::encode(CANCELLED, &5, &mut message);
        assert_eq!(all(message), Ok(vec![Piece::Cancelled(5)]));
    }

    #[test]
    fn a_call_keeps_nothing_of_its_message() {
        let set = SetRequest {
            value: Some(set_request::Value::Data(Bytes::from_static(b"value"))),
            ..SetRequest::default()
        };
        let message = SessionRequest {
            calls: vec![SessionCall {
                request: Some(Request::Set(set)),
                ..SessionCall::default()
            }],
            cancelled: Vec::new(),
        };
        let message = Bytes::from(message.encode_to_vec());
        let mut pieces = Pieces::from(message.clone());
        let call = pieces.next().unwrap();
        drop(pieces);
        assert!(message.is_unique(), "{call:?}");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let cut = SessionRequest {
            calls: vec![call(7)],
            cancelled: Vec::new(),
        };
        let cut = cut.encode_to_vec();
        let mut wrong = Vec::new();
        encoding::uint64::encode(CALLS, &5, &mut wrong);
        for garbage in [vec![0xff; 5], cut[..cut.len() - 1].to_vec(), wrong] {
            all(garbage).expect_err("it is refused");
        }
    }
}
