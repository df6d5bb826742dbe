//! The ttls that were learned, as metrics.
//!
//! A family that the configuration names is named by its template, which is no
//! key; those that were learned by themselves are made of keys, so they are counted
//! and summed up only. Namespaces that are learned are bounded.

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::family::Family as Labelled;
use prometheus_client::metrics::gauge::Gauge;
use std::fmt;
use std::sync::atomic::AtomicU64;
use unstale_engine::key::Namespace;
use unstale_engine::policy::adaptive_ttl::Family;

type Number = Gauge<f64, AtomicU64>;
type Labels = [(&'static str, String); 2];
/// A gauge's name, its help, and what it shows of a family.
type Shown = (&'static str, &'static str, fn(&Family) -> f64);

/// All of them.
pub(super) fn encode(
    all: &[(Namespace, Vec<Family>)],
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let configured = all.iter().flat_map(|(namespace, families)| {
        let named = families.iter().filter(|family| family.configured);
        named.map(move |family| (namespace, family))
    });
    let figures: [Shown; 4] = [
        (
            "adaptive_ttl_seconds",
            "The ttl that an entry of a configured family gets",
            |family| family.ttl.as_secs_f64(),
        ),
        (
            "adaptive_changes_per_second",
            "How often a key of a configured family changes",
            |family| family.changes_per_second,
        ),
        (
            "adaptive_reads_per_second",
            "How often a key of a configured family is read here",
            |family| family.reads_per_second,
        ),
        (
            "adaptive_observations",
            "Intervals seen of a configured family, the old counting less",
            |family| family.observations,
        ),
    ];
    for (name, help, figure) in figures {
        let each = configured.clone().map(|(namespace, family)| {
            let labels = [namespace.as_str(), family.template.as_ref()];
            (
                ["namespace", "family"],
                labels.map(str::to_owned),
                figure(family),
            )
        });
        gauge(encoder, (name, help), each)?;
    }
    learned(all, encoder)
}

fn learned(all: &[(Namespace, Vec<Family>)], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let summed = all.iter().flat_map(|(namespace, families)| {
        let learned = families.iter().filter(|family| !family.configured);
        let mut ttls: Vec<_> = learned.map(|family| family.ttl.as_secs_f64()).collect();
        ttls.sort_by(f64::total_cmp);
        let last = ttls.len().saturating_sub(1);
        let places = [("0", 0), ("0.5", last / 2), ("1", last)];
        places.map(|(quantile, place)| {
            let labels = [namespace.as_str(), quantile].map(str::to_owned);
            let ttl = ttls.get(place).copied().unwrap_or_default();
            (["namespace", "quantile"], labels, ttl)
        })
    });
    let help = "The ttls of the families that were learned by themselves: least, median, most";
    gauge(encoder, ("adaptive_learned_ttl_seconds", help), summed)?;
    let counts = all.iter().flat_map(|(namespace, families)| {
        [("configured", true), ("learned", false)].map(|(kind, wanted)| {
            let count = families
                .iter()
                .filter(|family| family.configured == wanted)
                .count();
            #[expect(clippy::cast_precision_loss, reason = "families are few")]
            let count = count as f64;
            let labels = [namespace.as_str(), kind].map(str::to_owned);
            (["namespace", "kind"], labels, count)
        })
    });
    let help = "Families whose ttl is learned";
    gauge(encoder, ("adaptive_families", help), counts)
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    values: impl Iterator<Item = ([&'static str; 2], [String; 2], f64)>,
) -> fmt::Result {
    let family = Labelled::<Labels, Number>::default();
    for ([first, second], [one, two], value) in values {
        family
            .get_or_create(&[(first, one), (second, two)])
            .set(value);
    }
    let kind = family.metric_type();
    family.encode(encoder.encode_descriptor(name, help, None, kind)?)
}
