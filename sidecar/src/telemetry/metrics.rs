//! The metrics, each named once. The engine's counts are read when Prometheus
//! asks, never copied; no key and no value is ever a label.

use crate::grpc::Requests;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use unstale_engine::Engine;
use unstale_engine::request::SessionState;

/// The registry behind /metrics.
pub struct Metrics(Registry);

impl Metrics {
    /// Everything this sidecar measures.
    pub fn new(engine: Arc<Engine>, requests: Arc<Requests>) -> Self {
        let mut registry = Registry::with_prefix("unstale");
        registry.register_collector(Box::new(Sampled { engine, requests }));
        Self(registry)
    }

    /// The text that Prometheus reads.
    pub fn text(&self) -> String {
        let mut text = String::new();
        text::encode(&mut text, &self.0).expect("writing into memory does not fail");
        text
    }
}

struct Sampled {
    engine: Arc<Engine>,
    requests: Arc<Requests>,
}

impl fmt::Debug for Sampled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sampled")
    }
}

impl Collector for Sampled {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, value) in self.counters() {
            let counter = ConstCounter::new(value);
            let kind = counter.metric_type();
            counter.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        for (name, help, value) in self.gauges() {
            let gauge = ConstGauge::new(value);
            let kind = gauge.metric_type();
            gauge.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
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

impl Sampled {
    fn counters(&self) -> [(&'static str, &'static str, u64); 11] {
        let c = self.engine.counters();
        [
            ("hits_l1", "Reads answered from L1", c.hits_l1),
            (
                "hits_remote",
                "Reads answered from the remote tier",
                c.hits_remote,
            ),
            ("misses", "Reads that found nothing", c.misses),
            (
                "bad_records",
                "Remote records that failed a check",
                c.bad_records,
            ),
            ("leases_granted", "Leases granted", c.leases_granted),
            (
                "fills_voided",
                "Fills refused because the lease was void",
                c.fills_voided,
            ),
            (
                "log_appended",
                "Invalidations and writes appended",
                c.appended,
            ),
            ("log_processed", "Records of the log processed", c.processed),
            (
                "log_incarnations",
                "Incarnations of the log reader built",
                c.incarnations,
            ),
            (
                "log_undecodable",
                "Records of the log that could not be decoded",
                c.undecodable,
            ),
            (
                "overloaded",
                "Calls refused because too much was in flight",
                c.overloaded,
            ),
        ]
    }

    fn gauges(&self) -> [(&'static str, &'static str, u64); 7] {
        let s = self.engine.status();
        let connected = u64::from(s.log_error.is_none());
        let fresh = u64::from(s.state == SessionState::Fresh);
        let up = u64::from(s.remote_error.is_none());
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
            ("l1_entries", "Entries in L1", s.l1_entries),
            ("l1_bytes", "Weighed bytes in L1", s.l1_bytes),
        ]
    }
}
