//! The records of the log and their binary form (CBOR with numbered fields, so
//! that older pods skip fields they do not know).
//!
//! A record that cannot be decoded is not an error of the reader's: whoever
//! applies it raises the floor of everything to its position.

use crate::position::Epoch;
use minicbor::{Decode, Encode};

/// 128 random bits that name a record; its `Nats-Msg-Id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(pub u128);

/// 128 random bits that name a pod's session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u128);

/// A record as appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its id; equal ids are one record, appended once.
    pub id: RecordId,
    /// The session that appended it.
    pub origin: SessionId,
    /// Why, for people.
    pub reason: Option<String>,
    /// The trace that caused it.
    pub trace_id: Option<u128>,
    /// What it says.
    pub body: Body,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Raises floors.
    Invalidate(Invalidation),
    /// A Set or CompareAndSet of one key; decided when its writer processes it.
    Write(Write),
    /// A session begins, or says that it still lasts.
    Join {
        /// The name the pod gave itself.
        pod: String,
    },
    /// Renews the origin's session when its origin processes it.
    Beat,
    /// The origin has stopped calling anything fresh.
    Leave,
    /// Ends a session that fell silent.
    Expel(SessionId),
    /// Nothing older is believed.
    NewEpoch(Epoch),
    /// This still is the epoch: the log must not outlive its NewEpoch.
    SameEpoch(Epoch),
}

/// What an invalidation covers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Invalidation {
    /// The namespace all names belong to.
    #[n(0)]
    pub namespace: String,
    /// Keys.
    #[n(1)]
    pub keys: Vec<String>,
    /// Tags.
    #[n(2)]
    pub tags: Vec<String>,
    /// Key prefixes (appended by later versions only; applied as the whole
    /// namespace here, which is safe).
    #[n(3)]
    pub prefixes: Vec<String>,
    /// The whole namespace.
    #[n(4)]
    pub all: bool,
    /// Soft invalidations mark stale, hard ones remove. Versions that know only
    /// hard treat both as hard, which is safe.
    #[n(5)]
    pub soft: bool,
    /// Fills below this origin version are to be refused.
    #[n(6)]
    pub min_source_version: Option<u64>,
    /// The origin waits for every pod's word.
    #[n(7)]
    pub ack_wanted: bool,
}

/// A write of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Write {
    /// The namespace.
    #[n(0)]
    pub namespace: String,
    /// The key.
    #[n(1)]
    pub key: String,
    /// The origin's version of the written value.
    #[n(2)]
    pub source_version: Option<u64>,
    /// The origin waits for every pod's word.
    #[n(3)]
    pub ack_wanted: bool,
}

/// The bytes are not a record this version knows.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a record that this version can read")]
pub struct Undecodable;

#[derive(Encode, Decode)]
struct Wire {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 16],
    #[cbor(n(1), with = "minicbor::bytes")]
    origin: [u8; 16],
    #[n(2)]
    kind: u8,
    #[n(3)]
    reason: Option<String>,
    #[cbor(n(4), with = "minicbor::bytes")]
    trace_id: Option<[u8; 16]>,
    #[n(5)]
    invalidation: Option<Invalidation>,
    #[n(6)]
    write: Option<Write>,
    #[n(7)]
    pod: Option<String>,
    #[cbor(n(8), with = "minicbor::bytes")]
    session: Option<[u8; 16]>,
    #[n(9)]
    epoch: Option<u64>,
}

impl Record {
    /// The binary form.
    pub fn encode(&self) -> Vec<u8> {
        let mut wire = Wire {
            id: self.id.0.to_be_bytes(),
            origin: self.origin.0.to_be_bytes(),
            kind: 0,
            reason: self.reason.clone(),
            trace_id: self.trace_id.map(u128::to_be_bytes),
            invalidation: None,
            write: None,
            pod: None,
            session: None,
            epoch: None,
        };
        wire.kind = match &self.body {
            Body::Invalidate(i) => (wire.invalidation = Some(i.clone()), 1).1,
            Body::Write(w) => (wire.write = Some(w.clone()), 2).1,
            Body::Join { pod } => (wire.pod = Some(pod.clone()), 3).1,
            Body::Beat => 4,
            Body::Leave => 5,
            Body::Expel(s) => (wire.session = Some(s.0.to_be_bytes()), 6).1,
            Body::NewEpoch(e) => (wire.epoch = Some(e.0), 7).1,
            Body::SameEpoch(e) => (wire.epoch = Some(e.0), 8).1,
        };
        minicbor::to_vec(&wire).expect("encoding into memory does not fail")
    }

    /// The epoch that a record on [`crate::log::Subject::Epochs`] names.
    pub fn epoch(&self) -> Option<Epoch> {
        match self.body {
            Body::NewEpoch(epoch) | Body::SameEpoch(epoch) => Some(epoch),
            _ => None,
        }
    }

    /// Reads the binary form.
    pub fn decode(bytes: &[u8]) -> Result<Self, Undecodable> {
        let wire: Wire = minicbor::decode(bytes).map_err(|_| Undecodable)?;
        let body = match wire.kind {
            1 => Body::Invalidate(wire.invalidation.ok_or(Undecodable)?),
            2 => Body::Write(wire.write.ok_or(Undecodable)?),
            3 => Body::Join {
                pod: wire.pod.unwrap_or_default(),
            },
            4 => Body::Beat,
            5 => Body::Leave,
            6 => Body::Expel(SessionId(u128::from_be_bytes(
                wire.session.ok_or(Undecodable)?,
            ))),
            7 => Body::NewEpoch(Epoch(wire.epoch.ok_or(Undecodable)?)),
            8 => Body::SameEpoch(Epoch(wire.epoch.ok_or(Undecodable)?)),
            _ => return Err(Undecodable),
        };
        Ok(Self {
            id: RecordId(u128::from_be_bytes(wire.id)),
            origin: SessionId(u128::from_be_bytes(wire.origin)),
            reason: wire.reason,
            trace_id: wire.trace_id.map(u128::from_be_bytes),
            body,
        })
    }
}
