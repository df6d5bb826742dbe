//! Calls answered, by rpc and code: what gRPC counts and the metrics show, so
//! that neither knows the other.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tonic::Code;

/// The calls that have a label of their own; everything else is "other".
const RPCS: [&str; 19] = [
    "Get",
    "BatchGet",
    "Set",
    "BatchSet",
    "CompareAndSet",
    "Lease",
    "BatchLease",
    "Renew",
    "Fill",
    "Abandon",
    "Invalidate",
    "Watch",
    "Retain",
    "Release",
    "Session",
    "Status",
    "Peers",
    "Explain",
    "other",
];
const CODES: usize = 17;

/// Counts of calls by rpc and code. A stream counts when it begins.
#[derive(Debug, Default)]
pub struct Requests {
    calls: [[AtomicU64; CODES]; RPCS.len()],
    in_session: AtomicU64,
}

impl Requests {
    /// Every pair that was seen: rpc, code, count.
    pub fn seen(&self) -> Vec<(&'static str, String, u64)> {
        let mut seen = Vec::new();
        for (rpc, row) in RPCS.iter().zip(&self.calls) {
            for (code, count) in (0..).zip(row) {
                let count = count.load(Relaxed);
                if count > 0 {
                    seen.push((*rpc, format!("{:?}", Code::from_i32(code)), count));
                }
            }
        }
        seen
    }

    /// How many of them came on a Session stream.
    pub fn in_session(&self) -> u64 {
        self.in_session.load(Relaxed)
    }

    /// Counts one call, counted already, as of a Session stream.
    pub fn count_in_session(&self) {
        self.in_session.fetch_add(1, Relaxed);
    }

    /// Counts one call by the path of its method.
    pub fn count(&self, path: &str, code: Code) {
        let rpc = rpc_of(path);
        let code = usize::try_from(i32::from(code)).unwrap_or(2);
        self.calls[rpc][code.min(CODES - 1)].fetch_add(1, Relaxed);
    }
}

fn rpc_of(path: &str) -> usize {
    let ours = path.strip_prefix("/unstale.v1.");
    let name = ours
        .and_then(|path| path.split_once('/'))
        .map(|(_, name)| name);
    let known = RPCS.iter().position(|rpc| Some(*rpc) == name);
    known.unwrap_or(RPCS.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_method_and_what_is_not_ours_is_other() {
        let requests = Requests::default();
        requests.count("/unstale.v1.CacheService/Get", Code::Ok);
        requests.count("/unstale.v1.CacheService/Get", Code::Ok);
        requests.count("/grpc.health.v1.Health/Check", Code::NotFound);
        let expected = [
            ("Get", "Ok".to_owned(), 2),
            ("other", "NotFound".to_owned(), 1),
        ];
        assert_eq!(requests.seen(), expected);
    }
}
