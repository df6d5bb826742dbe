//! The metrics, each named once. The engine's counts are read when Prometheus
//! asks, never copied; no key and no value is ever a label.

use super::remote::RemoteCounts;
use super::requests::Requests;
use crate::config::InForce;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;
use unstale_engine::Engine;
use unstale_engine::request::{Counters, SessionState};

/// The registry behind /metrics.
pub struct Metrics(Registry);

impl Metrics {
    /// Everything this sidecar measures.
    pub fn new(sources: Sources) -> Self {
        let mut registry = Registry::with_prefix("unstale");
        registry.register_collector(Box::new(sources));
        Self(registry)
    }

    /// The text that Prometheus reads.
    pub fn text(&self) -> String {
        let mut text = String::new();
        text::encode(&mut text, &self.0).expect("writing into memory does not fail");
        text
    }
}

/// Where the numbers are when Prometheus asks.
pub struct Sources {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Calls answered.
    pub requests: Arc<Requests>,
    /// The configuration in force.
    pub in_force: watch::Receiver<InForce>,
    /// What is counted around the remote tier.
    pub remote: Arc<RemoteCounts>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, value) in counters(self.engine.counters())
            .chain(self.around_remote())
            .chain(self.in_sessions())
        {
            let counter = ConstCounter::new(value);
            let kind = counter.metric_type();
            counter.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        for (name, help, value) in self.gauges() {
            let gauge = ConstGauge::new(value);
            let kind = gauge.metric_type();
            gauge.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        for (name, help, label, counts) in self.labelled() {
            let family = Family::<[(&str, &str); 1], Counter>::default();
            for (value, count) in counts {
                family.get_or_create(&[(label, value)]).inc_by(count);
            }
            let kind = family.metric_type();
            family.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        self.breaker(&mut encoder)?;
        super::learned::encode(&self.engine.families(), &mut encoder)?;
        let family = Family::<[(&str, String); 2], Counter>::default();
        for (rpc, code, count) in self.requests.seen() {
            let labels = [("rpc", rpc.to_owned()), ("code", code)];
            family.get_or_create(&labels).inc_by(count);
        }
        let help = "Calls answered, by rpc and code";
        let kind = family.metric_type();
        family.encode(encoder.encode_descriptor("requests", help, None, kind)?)
    }
}

/// The engine's counts, all of them: a new one does not compile without a name.
macro_rules! counters {
    ($($field:ident: $name:literal, $help:literal;)*) => {
        fn counters(counters: Counters) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
            let Counters { $($field),* } = counters;
            [$(($name, $help, $field)),*].into_iter()
        }
    };
}

counters! {
    hits_l1: "hits_l1", "Reads answered from L1";
    hits_remote: "hits_remote", "Reads answered from the remote tier";
    hits_stale: "hits_stale", "Reads answered with an entry that is not fresh";
    hits_negative: "hits_negative", "Reads answered with a negative entry";
    not_modified: "not_modified", "Reads whose caller held the entry already";
    misses: "misses", "Reads that found nothing";
    refreshed: "sets_refreshed", "Sets of equal content that needed no record in the log";
    older_source_versions: "older_source_versions", "Writes and fills refused for their source version";
    source_versions_forgotten: "source_versions_forgotten", "Source versions forgotten for room";
    grants_limited: "grants_limited", "Leases not granted because of the rate limit";
    fail_safes: "fail_safes", "Loads given back because the origin failed";
    bad_records: "bad_records", "Remote records that failed a check";
    wrong_keys: "wrong_keys", "Remote records that had been stored for another key; the connection was dropped";
    remote_errors: "remote_errors", "Calls to the remote tier that failed or were not answered in time";
    leases_granted: "leases_granted", "Leases granted";
    early_refreshes: "early_refreshes", "Leases granted to refresh an entry before it expired";
    fills_voided: "fills_voided", "Fills refused because the lease was void";
    appended: "log_appended", "Invalidations and writes appended";
    processed: "log_processed", "Records of the log processed";
    incarnations: "log_incarnations", "Incarnations of the log reader built";
    epochs: "log_epochs", "Epochs of the log met: what was cached before is not used";
    set_backs: "log_clock_set_back", "Times the wall clock of the log's server was seen to go back";
    undecodable: "log_undecodable", "Records of the log that could not be decoded";
    reference_drops: "reference_drops", "Entries dropped here because nobody referred to their keys any more";
    reference_drops_forgotten: "reference_drops_forgotten", "Entries to be dropped so that were left alone, because too many waited";
    overloaded: "overloaded", "Calls refused because too much was in flight";
    locals_dropped: "locals_dropped", "Sets with ack LOCAL whose value was not stored: refused or undecided";
    seen_changed: "adaptive_seen_changed", "Keys that were stored again with another content, of those observed for their ttl";
    seen_unchanged: "adaptive_seen_unchanged", "Keys that were stored again with the same content, of those observed for their ttl";
    learned_read: "adaptive_records_read", "Records of what was learned of ttls read from the remote tier";
    learned_kept: "adaptive_records_kept", "Records of what was learned of ttls written to the remote tier";
    learned_unreadable: "adaptive_records_unreadable", "Records of what was learned of ttls that are not of this version or damaged";
}

/// A name, what it says, the name of its label, and a count for each value.
type Labelled = (
    &'static str,
    &'static str,
    &'static str,
    Vec<(&'static str, u64)>,
);

impl Sources {
    fn in_sessions(&self) -> [(&'static str, &'static str, u64); 1] {
        let help = "Calls answered on Session streams, of all those in requests";
        [("session_calls", help, self.requests.in_session())]
    }

    fn around_remote(&self) -> [(&'static str, &'static str, u64); 4] {
        let counts = &self.remote;
        [
            (
                "remote_timeouts",
                "Calls that the remote tier did not answer in time",
                counts.timeouts.read(),
            ),
            (
                "remote_shed",
                "Calls to the remote tier that were not made because too many were under way",
                counts.shed.read(),
            ),
            (
                "remote_hedges",
                "Reads of the remote tier that were asked a second time",
                counts.hedges.read(),
            ),
            (
                "remote_hedges_won",
                "Second reads of the remote tier that were answered first",
                counts.hedges_won.read(),
            ),
        ]
    }

    fn labelled(&self) -> [Labelled; 4] {
        let InForce {
            reloads, refusals, ..
        } = *self.in_force.borrow();
        let (read, refused) = (&self.remote.keys_read, &self.remote.keys_refused);
        let results = |ok, failed| vec![("ok", ok), ("failed", failed)];
        [
            (
                "config_reloads",
                "Configuration files read again",
                "result",
                results(reloads, refusals),
            ),
            (
                "encryption_key_reloads",
                "Encryption key files read, the one of the start included",
                "result",
                results(read.read(), refused.read()),
            ),
            (
                "remote_breaker_transitions",
                "Changes of the remote tier's breaker, by the state it came into",
                "to",
                self.remote.turns().collect(),
            ),
            (
                "remote_records_unopened",
                "Remote records that could not be decrypted or decompressed, by reason",
                "reason",
                self.remote.unopened().collect(),
            ),
        ]
    }

    fn breaker(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let family = Family::<[(&str, &str); 1], Gauge>::default();
        for (state, is_in_it) in self.remote.breaker() {
            let gauge = family.get_or_create(&[("state", state)]);
            gauge.set(i64::from(is_in_it));
        }
        let help = "1 for the state that the remote tier's breaker is in";
        let kind = family.metric_type();
        family.encode(encoder.encode_descriptor("remote_breaker", help, None, kind)?)
    }

    fn gauges(&self) -> [(&'static str, &'static str, u64); 12] {
        let s = self.engine.status();
        let connected = u64::from(s.log_error.is_none());
        let fresh = u64::from(s.state == SessionState::Fresh);
        let up = u64::from(s.remote_error.is_none());
        let valid = u64::from(self.in_force.borrow().is_valid);
        [
            ("log_connected", "1 while the log is connected", connected),
            (
                "session_fresh",
                "1 while entries may be called fresh",
                fresh,
            ),
            ("remote_up", "1 if the remote tier answered last time", up),
            ("log_position", "Sequence processed", s.position.sequence),
            (
                "log_horizon",
                "Entries from before it are not believed",
                s.horizon,
            ),
            (
                "config_valid",
                "1 if the newest configuration file has no mistake",
                valid,
            ),
            ("l1_entries", "Entries in L1", s.l1_entries),
            ("l1_bytes", "Weighed bytes in L1", s.l1_bytes),
            (
                "references_followed",
                "1 while the references of the fleet are followed",
                u64::from(s.references_error.is_none()),
            ),
            (
                "references",
                "References in the fleet, as this pod follows them",
                s.references,
            ),
            (
                "pinned_entries",
                "Entries that L1 keeps because their keys are referred to",
                s.pinned_entries,
            ),
            (
                "pinned_bytes",
                "Weighed bytes of entries that L1 keeps",
                s.pinned_bytes,
            ),
        ]
    }
}
