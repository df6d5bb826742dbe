//! How an entry is stored: the options of every command that stores one.

use super::target::duration;
use crate::config::units;
use clap::{Args, ValueEnum};
use std::time::Duration;
use unstale::{Ack, EntryOptions};
use unstale_engine::key::{Key, Namespace, Tag};
use unstale_engine::limits;

/// How an entry is stored.
#[derive(Debug, Args)]
pub(super) struct Storing {
    /// Time to live ("500ms", "60s", "5m", "1h", "30d")
    /// [default: the sidecar's]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    ttl: Option<Duration>,
    /// How long after its ttl it may still be served, flagged as stale
    /// [default: the sidecar's]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    stale_for: Option<Duration>,
    /// It is gone after this, stale or not
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    valid_for: Option<Duration>,
    /// Up to this much (at most half of the ttl) is taken off the ttl at random
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    jitter: Option<Duration>,
    /// A tag by which the entry can be invalidated; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// A key that the value was made of: it falls with that; may be repeated
    #[arg(long = "depends-on", value_name = "KEY")]
    depends_on: Vec<String>,
    /// The origin's version of the value (a row version, an LSN): an older one
    /// is refused
    #[arg(long, value_name = "NUMBER")]
    source_version: Option<u64>,
    /// What the value is, for SDKs (a media type)
    #[arg(long, value_name = "TYPE", default_value = "")]
    content_type: String,
}

impl Storing {
    /// What a sidecar would refuse, for a command that has something to do
    /// before the sidecar is asked.
    pub(super) fn wrong(&self) -> Vec<String> {
        let (least, most) = (limits::TTL_MIN, limits::TTL_MAX);
        let times = [
            outside("--ttl", self.ttl, (least, most)),
            outside("--stale-for", self.stale_for, (Duration::ZERO, most)),
            outside("--valid-for", self.valid_for, (least, most)),
            outside("--jitter", self.jitter, (Duration::ZERO, most)),
        ];
        let mut wrong: Vec<_> = times.into_iter().flatten().collect();
        if self.tags.len() > limits::TAGS {
            wrong.push(format!("at most {} --tag are allowed", limits::TAGS));
        }
        let tags = self.tags.iter().filter_map(|tag| Tag::new(tag).err());
        wrong.extend(tags.map(|bad| format!("a --tag {}", bad.0)));
        let most = limits::DEPENDENCIES;
        if self.depends_on.len() > most {
            wrong.push(format!("at most {most} --depends-on are allowed"));
        }
        let keys = self.depends_on.iter().filter_map(|key| {
            let namespace = Namespace::new("").ok()?;
            Key::new(namespace, key).err()
        });
        wrong.extend(keys.map(|bad| format!("a --depends-on {}", bad.0)));
        let most = limits::CONTENT_TYPE_BYTES;
        if self.content_type.len() > most {
            wrong.push(format!("--content-type has at most {most} bytes"));
        }
        wrong
    }
}

/// Says that a duration is not within its bounds.
pub(super) fn outside(
    flag: &str,
    given: Option<Duration>,
    (min, max): (Duration, Duration),
) -> Option<String> {
    given.filter(|time| !(min..=max).contains(time))?;
    let (min, max) = (units::show_duration(min), units::show_duration(max));
    Some(format!("{flag} must be from {min} to {max}"))
}

impl From<Storing> for EntryOptions {
    fn from(storing: Storing) -> Self {
        Self {
            ttl: storing.ttl,
            stale_for: storing.stale_for,
            valid_for: storing.valid_for,
            jitter: storing.jitter,
            tags: storing.tags,
            source_version: storing.source_version,
            content_type: storing.content_type,
            depends_on: storing.depends_on.into_iter().map(Into::into).collect(),
        }
    }
}

/// How far a write or invalidation must have got.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum AckLevel {
    /// The sidecar obeys it; the log follows
    Local,
    /// It is in the log
    Log,
    /// Every live sidecar has processed it
    Fleet,
}

impl From<AckLevel> for Ack {
    fn from(level: AckLevel) -> Self {
        match level {
            AckLevel::Local => Self::Local,
            AckLevel::Log => Self::Log,
            AckLevel::Fleet => Self::Fleet,
        }
    }
}
