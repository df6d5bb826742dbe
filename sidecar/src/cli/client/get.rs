//! `unstale get`: one value, untouched; or many, one JSON object a line.

use super::exit::{Ended, Failure, note};
use super::output;
use super::target::{Target, duration};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::time::Duration;
use unstale::{Answer, Lookup, ReadLevel, ReadOptions};

/// Print a cached value.
#[derive(Debug, Args)]
pub struct Get {
    /// The key; of several, each is one JSON object a line
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    reading: Reading,
    /// The etag of what you hold (from --json): equal content is not printed
    #[arg(long, value_name = "ETAG")]
    if_none_match: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// How current the answer has to be.
#[derive(Debug, Args)]
struct Reading {
    /// How current the answer has to be
    #[arg(long, value_enum, default_value = "bounded")]
    level: Level,
    /// The sidecar must have heard from the log within this time
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    max_staleness: Option<Duration>,
    /// The answer must reflect this position (from --json of any command)
    #[arg(long, value_name = "POSITION")]
    min_position: Option<String>,
}

/// How current an answer has to be.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    /// Coherent within the fleet's staleness bound
    Bounded,
    /// As of now: asks the log
    Strong,
    /// A stale value, named as such on stderr, is better than none
    StaleOk,
}

impl From<Level> for ReadLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Bounded => Self::Bounded,
            Level::Strong => Self::Strong,
            Level::StaleOk => Self::StaleOk,
        }
    }
}

impl Get {
    pub(super) async fn run(mut self) -> Result<Ended, Failure> {
        let cache = self.target.connect().await?;
        let options = ReadOptions {
            level: self.reading.level.into(),
            max_staleness: self.reading.max_staleness,
            min_position: self.reading.min_position,
            if_none_match: self.if_none_match,
        };
        if self.keys.len() > 1 {
            let answer = cache.get_many_with(self.keys.clone(), options).await?;
            return print_many(&self.keys, &answer);
        }
        let key = self.keys.remove(0);
        let answer = cache.get_with(key, options).await?;
        if self.target.json {
            let found = output::lookup(&answer.result);
            output::object(&output::with_answer(found, &answer))?;
        }
        tell(&answer.result, self.target.json)
    }
}

/// The value on stdout, everything else on stderr.
fn tell(found: &Lookup, json: bool) -> Result<Ended, Failure> {
    let ended = ended(found);
    match found {
        Lookup::Hit(entry) => {
            if let Some(reason) = entry.stale_reason {
                note(&format!("stale: {}", output::stale(reason)));
            }
            if !json {
                output::write(entry.value.as_bytes())?;
            }
        }
        _ if json => {}
        Lookup::Negative(_) => note("not found: the origin has nothing under the key"),
        Lookup::NotModified(_) => note("not modified"),
        Lookup::Miss => note("miss"),
    }
    Ok(ended)
}

fn ended(found: &Lookup) -> Ended {
    match found {
        Lookup::Hit(_) | Lookup::NotModified(_) => Ended::Done,
        Lookup::Negative(_) | Lookup::Miss => Ended::Not,
    }
}

fn print_many(keys: &[String], answer: &Answer<Vec<Lookup>>) -> Result<Ended, Failure> {
    let mut all = Ended::Done;
    for (key, found) in keys.iter().zip(&answer.result) {
        let mut object = output::lookup(found);
        object["key"] = json!(key);
        output::object(&output::with_answer(object, answer))?;
        if ended(found) == Ended::Not {
            all = Ended::Not;
        }
    }
    Ok(all)
}
