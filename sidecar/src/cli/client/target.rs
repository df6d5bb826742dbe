//! The options that every client command has, and durations as people write
//! them.

use super::exit::Failure;
use crate::config::units;
use clap::Args;
use std::time::Duration;
use unstale::{Cache, Error};

/// How long a sidecar may take to answer at all when no --timeout is given.
const ANSWER: Duration = Duration::from_secs(3);

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
        // A person is told what failed, and not given a miss.
        // One call or two: no stream is worth its opening.
        let builder = Cache::builder().strict().unary();
        let mut builder = builder.namespace(self.namespace.as_str());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.endpoint(endpoint.as_str());
        }
        if let Some(timeout) = self.timeout {
            builder = builder.timeout(timeout);
        }
        let cache = builder.connect().await?;
        if self.timeout.is_none() {
            answers(&cache).await?;
        }
        Ok(cache)
    }
}

/// A connection does not show that anybody is there: the kernel accepts for a
/// process that is stopped. Whatever the answer is, it is one.
pub(super) async fn answers(cache: &Cache) -> Result<(), Error> {
    let answered = tokio::time::timeout(ANSWER, cache.status()).await;
    match answered {
        Ok(Err(error @ Error::Unreachable(_))) => Err(error),
        Ok(_) => Ok(()),
        Err(_) => Err(Error::Unreachable(format!("no answer within {ANSWER:?}"))),
    }
}

/// A duration of the command line.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let read = units::duration(text);
    read.ok_or_else(|| "write a whole number and ms, s, m, h or d".to_owned())
}
