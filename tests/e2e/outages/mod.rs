//! What a user sees while a part is away, with real servers: the value tier
//! (killed, stopped, cut off, slow, full, read-only, with another password,
//! failed over to an older copy), one server of a cluster, the log.
//!
//! In each: what a read, a write, an invalidation, a compare-and-set and a lease
//! answer ([`demands`]), that nothing invalidated comes back, and how often the
//! origin is read before, during and after ([`table`]). Counts are asserted,
//! times are only printed: an answer is quick enough when it comes within the
//! call's default deadline of 1 s.

mod cluster;
mod demands;
mod failover;
mod log;
mod origin;
mod outage;
mod password;
mod table;
