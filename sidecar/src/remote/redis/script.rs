//! The scripts that decide on the server, and what is stored.
//!
//! A record is kept with its revision before it: 64 random bits of whoever put
//! it, so that a revision never comes back, not after an eviction, a restart or
//! a failover. A put that is sent twice is stored once.

use ::redis::{Cmd, Value};
use bytes::{Buf as _, Bytes};
use std::time::Duration;
use unstale_engine::remote::{Expect, PutOutcome, Revision, Stored};

/// What stands before a record.
const REVISION_BYTES: usize = 8;
/// Of what is there and cannot be ours; no put makes it.
const FOREIGN: Revision = Revision(0);

/// A script, by the digest the server knows it by.
pub(super) struct Script {
    source: &'static str,
    digest: String,
}

impl Script {
    pub(super) fn put() -> Self {
        Self::new(include_str!("put.lua"))
    }

    pub(super) fn delete() -> Self {
        Self::new(include_str!("delete.lua"))
    }

    fn new(source: &'static str) -> Self {
        let digest = ::redis::Script::new(source).get_hash().to_owned();
        Self { source, digest }
    }

    /// One round trip, if the server knows the script.
    pub(super) fn by_digest(&self, key: &str, arguments: &[&[u8]]) -> Cmd {
        call("EVALSHA", &self.digest, key, arguments)
    }

    /// The server knows it from now on.
    pub(super) fn by_source(&self, key: &str, arguments: &[&[u8]]) -> Cmd {
        call("EVAL", self.source, key, arguments)
    }
}

fn call(command: &str, script: &str, key: &str, arguments: &[&[u8]]) -> Cmd {
    let mut call = ::redis::cmd(command);
    call.arg(script).arg(1).arg(key).arg(arguments);
    call
}

/// A put's arguments.
pub(super) struct Put {
    expected: Vec<u8>,
    revision: [u8; REVISION_BYTES],
    record: Vec<u8>,
    ttl_ms: String,
}

impl Put {
    /// `random`: the new state's revision.
    pub(super) fn new(expect: Expect, random: u64, record: &Bytes, ttl: Duration) -> Self {
        let revision = random.max(1).to_be_bytes();
        let expected = match expect {
            Expect::Absent => Vec::new(),
            Expect::Revision(expected) => expected.0.to_be_bytes().to_vec(),
        };
        Self {
            expected,
            revision,
            record: [&revision, &record[..]].concat(),
            // The server takes no ttl of 0, and a record must not go too early.
            ttl_ms: ttl.as_micros().div_ceil(1000).max(1).to_string(),
        }
    }

    pub(super) fn arguments(&self) -> [&[u8]; 4] {
        let ttl = self.ttl_ms.as_bytes();
        [&self.expected, &self.revision, &self.record, ttl]
    }

    /// What the server answered; none if that is not an answer to this put.
    pub(super) fn outcome(&self, answer: &Value) -> Option<PutOutcome> {
        let (sign, revision) = bytes(answer)?.split_first()?;
        match sign {
            _ if *revision != self.revision => None,
            b'+' => {
                let revision = u64::from_be_bytes(self.revision);
                Some(PutOutcome::Stored(Revision(revision)))
            }
            b'-' => Some(PutOutcome::Conflict),
            _ => None,
        }
    }
}

/// What was read; `Err`: no answer to a read.
pub(super) fn stored(answer: Value) -> Result<Option<Stored>, ()> {
    let kept = match answer {
        Value::Nil => return Ok(None),
        Value::BulkString(kept) => kept,
        _ => return Err(()),
    };
    Ok(match kept.first_chunk::<REVISION_BYTES>() {
        _ if kept.is_empty() => None,
        Some(revision) => {
            let revision = Revision(u64::from_be_bytes(*revision));
            let mut record = Bytes::from(kept);
            record.advance(REVISION_BYTES);
            Some(Stored { revision, record })
        }
        None => Some(foreign()),
    })
}

/// Something is there that no pod put there; it can be replaced.
pub(super) fn foreign() -> Stored {
    Stored {
        revision: FOREIGN,
        record: Bytes::new(),
    }
}

fn bytes(answer: &Value) -> Option<&[u8]> {
    match answer {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(ttl: Duration) -> Put {
        Put::new(Expect::Absent, 7, &Bytes::from_static(b"r"), ttl)
    }

    #[test]
    fn a_ttl_is_rounded_up_to_whole_milliseconds_and_is_never_0() {
        let ttl = |micros| put(Duration::from_micros(micros)).ttl_ms;
        assert_eq!([ttl(0), ttl(1), ttl(1000), ttl(1001)], ["1", "1", "1", "2"]);
    }

    #[test]
    fn only_an_answer_that_names_the_put_is_believed() {
        let put = put(Duration::from_secs(1));
        let answer = |sign: &[u8], revision: u64| {
            let answer = [sign, &revision.to_be_bytes()].concat();
            put.outcome(&Value::BulkString(answer))
        };
        let stored = PutOutcome::Stored(Revision(7));
        assert_eq!(answer(b"+", 7), Some(stored));
        assert_eq!(answer(b"-", 7), Some(PutOutcome::Conflict));
        assert_eq!(answer(b"+", 8), None);
        assert_eq!(put.outcome(&Value::Nil), None);
    }
}
