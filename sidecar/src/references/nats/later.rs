//! Records of before the server's clock was set back, which would stay until it has
//! caught up, whoever their owners are.
//!
//! Guarantees: each is put again as it was, so that its term ends by the time that
//! the server shows now; unless it was renewed, released or put again meanwhile,
//! through whatever pod.

use super::record::Record;
use super::{EXPECTED, NatsReferences, kept};
use crate::nats::consumer::Arrived;
use async_nats::Client;
use bytes::Bytes;

/// What is stamped so much later than the server's clock shows was stamped before
/// that was set back: the clocks of a cluster's servers differ by less.
const NANOS: u64 = 10_000_000_000;

/// What a reading found of them: each with its sequence, and its bytes, which may
/// say more than this version knows.
#[derive(Default)]
pub(super) struct Later(Vec<(u64, Record, Bytes)>);

impl Later {
    /// Takes note of a record, by the server's time now; zero: it is not known.
    pub(super) fn note(&mut self, now: u64, arrived: &Arrived) {
        let payload = &arrived.message.payload;
        if is_later(now, arrived.nanos)
            && let Some(record) = Record::decode(payload)
        {
            self.0.push((arrived.sequence, record, payload.clone()));
        }
    }

    /// Puts all of them again, one after the other.
    pub(super) async fn put_again(self, driver: &NatsReferences, client: &Client) {
        for (sequence, record, payload) in self.0 {
            let Some(reference) = record.reference() else {
                continue;
            };
            let mut headers = kept(record.term());
            headers.insert(EXPECTED, sequence.to_string());
            // What fails is tried by whoever reads anew.
            let _ = driver
                .publish(client, reference.id(), headers, payload)
                .await;
        }
    }
}

fn is_later(now: u64, stamp: u64) -> bool {
    now != 0 && stamp > now.saturating_add(NANOS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_difference_of_servers_explains_is_of_before() {
        let now = 1_795_716_574_000_000_000;
        assert!(is_later(now, now + NANOS + 1));
        assert!(!is_later(now, now + NANOS));
        assert!(!is_later(now, 0));
        assert!(!is_later(0, now), "its time is not known");
        assert!(!is_later(u64::MAX, u64::MAX));
    }
}
