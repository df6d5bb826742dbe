//! A reference as it is stored: JSON, so that people can read it and later
//! versions add to it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use unstale_engine::key::{Key, Namespace};
use unstale_engine::limits;
use unstale_engine::references::{Owner, Reference};

/// One record.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Record {
    namespace: String,
    key: String,
    owner: String,
    drop_at_zero: bool,
    pod: String,
    /// In seconds.
    term: u64,
    /// Whether it says that the reference has ended.
    #[serde(default)]
    pub(super) released: bool,
}

impl Record {
    pub(super) fn of(reference: &Reference, term: Duration) -> Self {
        Self {
            namespace: reference.key.namespace().as_str().to_owned(),
            key: reference.key.name().to_owned(),
            owner: reference.owner.as_str().to_owned(),
            drop_at_zero: reference.drop_at_zero,
            pod: reference.pod.as_ref().to_owned(),
            term: term.as_secs(),
            released: false,
        }
    }

    /// The record that ends it.
    pub(super) fn released(self) -> Self {
        Self {
            released: true,
            ..self
        }
    }

    /// Within the limits, whoever wrote it.
    pub(super) fn term(&self) -> Duration {
        let term = Duration::from_secs(self.term);
        term.clamp(limits::REFERENCE_TERM_MIN, limits::REFERENCE_TERM_MAX)
    }

    pub(super) fn encode(&self) -> Bytes {
        let encoded = serde_json::to_vec(self);
        encoded.expect("texts and numbers have a form").into()
    }

    /// None: it was not written by a sidecar.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }

    /// The reference that it is of, if all of it is within the limits.
    pub(super) fn reference(&self) -> Option<Reference> {
        let namespace = Namespace::new(&self.namespace).ok()?;
        Some(Reference {
            key: Key::new(namespace, &self.key).ok()?,
            owner: Owner::new(&self.owner).ok()?,
            drop_at_zero: self.drop_at_zero,
            pod: self.pod.as_str().into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_and_other_bytes_are_none() {
        let reference = Reference {
            key: Key::new(Namespace::new("shop").unwrap(), "k \"é\n").unwrap(),
            owner: Owner::new("worker 7").unwrap(),
            drop_at_zero: true,
            pod: "a".into(),
        };
        let record = Record::of(&reference, Duration::from_secs(30));
        let read = Record::decode(&record.encode()).unwrap();
        assert_eq!(read.reference(), Some(reference));
        assert_eq!(
            (read.term(), read.released),
            (Duration::from_secs(30), false)
        );
        assert!(read.released().released);
        assert_eq!(Record::decode(b""), None);
        assert_eq!(Record::decode(b"{}"), None);
        let bad =
            r#"{"namespace":"A B","key":"","owner":"","drop_at_zero":false,"pod":"","term":1}"#;
        assert_eq!(Record::decode(bad.as_bytes()).unwrap().reference(), None);
        let term = |seconds: u64| {
            let long = bad.replace(":1}", &format!(":{seconds}}}"));
            Record::decode(long.as_bytes()).unwrap().term().as_secs()
        };
        assert_eq!([term(0), term(60), term(u64::MAX)], [1, 60, 3600]);
    }
}
