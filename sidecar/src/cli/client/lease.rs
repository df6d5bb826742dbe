//! `unstale lease`: the cached value, or a command as its loader, once in the
//! whole fleet however many call it.
//!
//! The lease is renewed while the command runs and given back when it fails
//! or is interrupted; a call that is killed loses it after its term.

use super::exit::{Ended, Failure, note};
use super::loader::{LoaderError, load};
use super::output;
use super::storing::{Storing, outside};
use super::target::{Target, duration};
use clap::Args;
use serde_json::{Map, Value as Json, json};
use std::ffi::OsString;
use std::time::Duration;
use unstale::{
    AbandonOptions, Because, Content, LoadError, LoadOptions, Loaded, NotFilled, StaleReason,
    Voided,
};
use unstale_engine::limits;

/// Print the cached value, or run COMMAND to load it, once in the fleet.
#[derive(Debug, Args)]
pub struct Lease {
    /// The key
    key: String,
    #[command(flatten)]
    storing: Storing,
    #[command(flatten)]
    negative: Negative,
    #[command(flatten)]
    stale: Stale,
    /// How long another caller's load is waited for
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    wait: Duration,
    /// How long the lease outlives a loader that died
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    term: Duration,
    /// What is cached must reflect this position (from --json of any command)
    #[arg(long, value_name = "POSITION")]
    min_position: Option<String>,
    #[command(flatten)]
    target: Target,
    /// The loader: its stdout is the value
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// When the origin has nothing.
#[derive(Debug, Args)]
struct Negative {
    /// The exit code with which COMMAND says that the origin has nothing under
    /// the key; that is cached, too
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u8).range(1..))]
    negative_exit: Option<u8>,
    /// Time to live of "nothing" [default: the sidecar's]
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "negative_exit")]
    negative_ttl: Option<Duration>,
}

/// When there is a stale value.
#[derive(Debug, Args)]
struct Stale {
    /// Print a stale value at once while another caller loads, in place of
    /// waiting for it
    #[arg(long)]
    stale_ok: bool,
    /// When COMMAND fails, print the stale value if there is one, and let it be
    /// served for this much longer
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    serve_stale_for: Option<Duration>,
    /// How long nobody runs a loader after that [default: 1s]
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "serve_stale_for")]
    retry_after: Option<Duration>,
}

impl Stale {
    fn fail_safe(&self) -> Option<AbandonOptions> {
        self.serve_stale_for.map(|serve| AbandonOptions {
            serve_stale_for: Some(serve),
            retry_after: self.retry_after,
        })
    }
}

impl Lease {
    /// Judges what a sidecar would judge once the command has run.
    fn check(&self) -> Result<(), Failure> {
        let (ttls, terms) = (
            (limits::TTL_MIN, limits::TTL_MAX),
            (limits::TERM_MIN, limits::TERM_MAX),
        );
        let (negative, stale) = (&self.negative, &self.stale);
        let mut wrong = self.storing.wrong();
        wrong.extend(outside("--negative-ttl", negative.negative_ttl, ttls));
        wrong.extend(outside("--serve-stale-for", stale.serve_stale_for, ttls));
        wrong.extend(outside("--retry-after", stale.retry_after, terms));
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(Failure::Usage(wrong.join("; "))),
        }
    }

    pub(super) async fn run(self) -> Result<Ended, Failure> {
        // Before the command runs: its work would be lost.
        self.check()?;
        let cache = self.target.connect().await?;
        let options = LoadOptions {
            entry: self.storing.into(),
            negative_ttl: self.negative.negative_ttl,
            term: Some(self.term),
            // Whoever waits for the command can end it.
            hard_timeout: None,
            wait: self.wait,
            min_position: self.min_position,
            allow_stale: self.stale.stale_ok,
            fail_safe: self.stale.fail_safe(),
        };
        let loader = || load(&self.command, self.negative.negative_exit);
        let loading = cache.get_or_load(self.key, options, loader);
        let answer = loading.await.map_err(|error| match error {
            LoadError::Cache(error) => Failure::Cache(error),
            LoadError::Loader(why) => Failure::Loader(why.to_string()),
            late @ LoadError::TimedOut(_) => Failure::Loader(late.to_string()),
        })?;
        let loaded = &answer.result;
        if let Some(word) = word(loaded) {
            note(&word);
        }
        // The user stopped the command, not the origin: that is no success.
        if let Loaded::Stale {
            because: Because::Failed(LoaderError::Interrupted),
            ..
        } = loaded
        {
            return Ok(Ended::Not);
        }
        if self.target.json {
            output::object(&output::with_answer(json_of(loaded), &answer))?;
        } else if let Some(value) = loaded.value() {
            output::write(value.as_bytes())?;
        }
        Ok(match loaded.value() {
            Some(_) => Ended::Done,
            None => Ended::Not,
        })
    }
}

/// What people should know beside the value.
fn word(loaded: &Loaded<LoaderError>) -> Option<String> {
    match loaded {
        Loaded::Hit(_) => None,
        Loaded::Stale { entry, because } => {
            let why = output::stale(entry.stale_reason.unwrap_or(StaleReason::Other));
            Some(match because {
                Because::Busy { .. } => format!("stale: {why}; another caller loads"),
                Because::Failed(error) => format!("stale: {why}; {error}"),
                Because::TimedOut(within) | Because::Slow(within) => {
                    format!("stale: {why}; no value within {within:?}")
                }
            })
        }
        Loaded::NotFilled { why, .. } => Some(not_filled(why)),
        Loaded::NotEncoded(why) => Some(format!("not stored: {why}")),
        Loaded::Filled {
            content: Content::Value(_),
            ..
        } => None,
        Loaded::Negative(_) | Loaded::Filled { .. } => {
            Some("not found: the origin has nothing under the key".to_owned())
        }
    }
}

fn not_filled(why: &NotFilled) -> String {
    match why {
        NotFilled::Voided(Voided::Invalidated) => {
            // A sidecar whose session is away cannot rule it out.
            "not stored: the key was invalidated or written during the load, or the sidecar cannot tell"
                .to_owned()
        }
        NotFilled::Voided(Voided::OlderSourceVersion { min_source_version }) => format!(
            "not stored: a newer source version is known; {min_source_version} or higher is accepted"
        ),
        NotFilled::Voided(Voided::DependencyChanged) => {
            "not stored: what it depends on changed, or cannot be looked up".to_owned()
        }
        NotFilled::Voided(Voided::TooManyDependencies) => {
            "not stored: it depends on more than an entry may".to_owned()
        }
        NotFilled::Voided(_) => "not stored: the lease had expired".to_owned(),
        NotFilled::Failed(error) => format!("not stored: {error}"),
    }
}

fn json_of(loaded: &Loaded<LoaderError>) -> Json {
    match loaded {
        Loaded::Hit(entry) => json!({ "result": "hit", "entry": output::entry(entry) }),
        Loaded::Negative(no) => json!({ "result": "negative", "entry": output::negative(no) }),
        Loaded::Stale { entry, because } => json!({
            "result": "stale",
            "entry": output::entry(entry),
            "why": match because {
                Because::Busy { .. } => "another caller loads".to_owned(),
                Because::Failed(error) => error.to_string(),
                Because::TimedOut(within) | Because::Slow(within) => format!("no value within {within:?}"),
            },
        }),
        Loaded::Filled { content, version } => {
            let mut entry = content_of(content);
            entry.insert("version".to_owned(), json!(version));
            json!({ "result": "loaded", "entry": entry })
        }
        Loaded::NotFilled { content, why } => json!({
            "result": "loaded_not_stored",
            "entry": content_of(content),
            "why": not_filled(why),
        }),
        Loaded::NotEncoded(why) => json!({ "result": "loaded_not_stored", "why": why.to_string() }),
    }
}

fn content_of(content: &Content) -> Map<String, Json> {
    match content {
        Content::Value(value) => output::value(value),
        Content::NotFound => Map::from_iter([("not_found".to_owned(), json!(true))]),
    }
}
