//! The calls that are measured, one function each; all look at their answer.

mod bare;
mod changes;
mod reads;
mod writes;

pub(crate) use bare::{ECHO, ECHO_MANY, ECHO_SET, echo, echo_many, echo_of, echo_set};
pub(crate) use changes::{invalidate, loaded, swap};
pub(crate) use reads::{batch_get_l1, batch_get_remote, get, get_of, get_remote, miss};
pub(crate) use writes::{fill, fill_with, set, set_of};

use crate::Result;
use bytes::Bytes;
use std::sync::LazyLock;
use tonic::transport::{Channel, Endpoint};

/// The key that every call of one key is about; its last part is the size of its
/// value, from which the bare echo knows how much to answer.
pub(crate) const KEY: &str = "user/42/1024";
/// Bytes of a value where nothing else is said.
pub(crate) const VALUE_BYTES: usize = 1024;
/// Keys in one BatchGet.
pub(crate) const BATCH: usize = 100;

/// The key of values of this size.
pub(crate) fn key(bytes: usize) -> String {
    format!("user/42/{bytes}")
}

/// So many keys.
pub(crate) fn keys(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{prefix}/{at}")).collect()
}

/// The value of every key of this size; at most 64 KiB.
pub(crate) fn value(bytes: usize) -> Bytes {
    static LONGEST: LazyLock<Bytes> = LazyLock::new(|| vec![7; 64 << 10].into());
    LONGEST.slice(..bytes)
}

/// A value of this size that no other number has: a Set of what is cached already
/// is cheaper.
pub(crate) fn numbered(bytes: usize, number: u64) -> Bytes {
    let mut value = vec![7; bytes];
    value[..8].copy_from_slice(&number.to_le_bytes());
    value.into()
}

/// Connects to `http://…` or `unix:…`.
pub(crate) async fn connect(endpoint: &str) -> Result<Channel> {
    Ok(Endpoint::from_shared(endpoint.to_owned())?
        .tcp_nodelay(true)
        .connect()
        .await?)
}
