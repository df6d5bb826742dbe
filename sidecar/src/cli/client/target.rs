//! The options that every client command has, and durations as people write
//! them.

use super::exit::Failure;
use crate::config::units;
use clap::{Args, ValueEnum};
use std::time::Duration;
use unstale::{Ack, Cache, EntryOptions};

/// Which sidecar, and how to talk to it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sidecar")]
pub(super) struct Target {
    /// Where the sidecar listens: http://HOST:PORT or unix:PATH
    /// [default: http://127.0.0.1:7070]
    #[arg(long, env = "UNSTALE_ENDPOINT", value_name = "URL")]
    endpoint: Option<String>,
    /// The namespace
    #[arg(long, value_name = "NAME", default_value = "default")]
    namespace: String,
    /// The deadline of a call [default: the sidecar's, 1s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// Answer with JSON on stdout
    #[arg(long)]
    pub(super) json: bool,
}

impl Target {
    pub(super) async fn connect(&self) -> Result<Cache, Failure> {
        let mut builder = Cache::builder().namespace(self.namespace.as_str());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.endpoint(endpoint.as_str());
        }
        if let Some(timeout) = self.timeout {
            builder = builder.timeout(timeout);
        }
        Ok(builder.connect().await?)
    }
}

/// How an entry is stored.
#[derive(Debug, Args)]
pub(super) struct Storing {
    /// Time to live ("500ms", "60s", "5m", "1h", "30d")
    /// [default: the sidecar's]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    ttl: Option<Duration>,
    /// A tag by which the entry can be invalidated; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// What the value is, for SDKs (a media type)
    #[arg(long, value_name = "TYPE", default_value = "")]
    content_type: String,
}

impl From<Storing> for EntryOptions {
    fn from(storing: Storing) -> Self {
        Self {
            ttl: storing.ttl,
            tags: storing.tags,
            content_type: storing.content_type,
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

/// A duration of the command line.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let read = units::duration(text);
    read.ok_or_else(|| "write a whole number and ms, s, m, h or d".to_owned())
}
