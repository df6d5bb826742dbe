//! `unstale watch`: one line per event, until it is stopped.

use super::exit::{Ended, Failure};
use super::output;
use super::target::Target;
use clap::Args;
use futures::StreamExt as _;
use serde_json::{Value as Json, json};
use unstale::{InvalidateMode, Invalidation, WatchEvent, WatchOptions};

/// Follow the invalidations of the fleet.
#[derive(Debug, Args)]
pub struct Watch {
    /// Start after this position; from now on when not given
    #[arg(long, value_name = "POSITION")]
    position: Option<String>,
    /// A key you hold; may be repeated. What is proven to cover none of it is
    /// left out
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// A tag carried by what you hold; may be repeated. Name all of them or none
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// A prefix of keys you hold; may be repeated
    #[arg(long = "prefix", value_name = "PREFIX")]
    prefixes: Vec<String>,
    #[command(flatten)]
    target: Target,
}

impl Watch {
    pub(super) async fn run(self) -> Result<Ended, Failure> {
        let cache = self.target.connect().await?;
        let options = WatchOptions {
            position: self.position,
            keys: self.keys,
            prefixes: self.prefixes,
            tags: self.tags,
        };
        let mut events = cache.watch(options).await?;
        let mut abandoned = std::pin::pin!(output::abandoned());
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = &mut abandoned => return Ok(Ended::Done),
            };
            let event = event.ok_or(Failure::StreamEnded)??;
            if self.target.json {
                output::object(&json_of(&event))?;
            } else if let Some(text) = text_of(&event) {
                output::line(&text)?;
            }
        }
    }
}

/// An event as a line; none for heartbeats. Names are quoted: a key may hold
/// a line's end.
fn text_of(event: &WatchEvent) -> Option<String> {
    match event {
        WatchEvent::Started { position } => Some(format!("started at {position}")),
        WatchEvent::Lagged { position } => {
            Some(format!("lagged at {position}: drop everything held"))
        }
        WatchEvent::Heartbeat { .. } => None,
        WatchEvent::Invalidation { what, position } => Some(line_of(what, position)),
    }
}

fn line_of(what: &Invalidation, position: &str) -> String {
    let mut line = match what.mode {
        InvalidateMode::Hard => format!("invalidated at {position}:"),
        InvalidateMode::Soft => format!("softly invalidated at {position}:"),
    };
    let named = [
        ("key", &what.keys),
        ("tag", &what.tags),
        ("prefix", &what.prefixes),
    ];
    for (word, names) in named {
        line.extend(names.iter().map(|name| format!(" {word} {name:?}")));
    }
    line.extend(what.all.then_some(" all"));
    if !what.reason.is_empty() {
        line.push_str(&format!(" reason {:?}", what.reason));
    }
    line
}

fn json_of(event: &WatchEvent) -> Json {
    match event {
        WatchEvent::Started { position } => json!({ "event": "started", "position": position }),
        WatchEvent::Heartbeat { position } => {
            json!({ "event": "heartbeat", "position": position })
        }
        WatchEvent::Lagged { position } => json!({ "event": "lagged", "position": position }),
        WatchEvent::Invalidation { what, position } => json!({
            "event": "invalidation",
            "namespace": what.namespace,
            "keys": what.keys,
            "tags": what.tags,
            "prefixes": what.prefixes,
            "all": what.all,
            "mode": match what.mode {
                InvalidateMode::Hard => "HARD",
                InvalidateMode::Soft => "SOFT",
            },
            "reason": what.reason,
            "position": position,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalidation_is_one_line_whatever_its_keys_hold() {
        let what = Invalidation {
            keys: vec!["a\nb".into()],
            tags: vec!["t".into()],
            prefixes: vec!["p:".into()],
            all: true,
            mode: InvalidateMode::Soft,
            reason: "deploy".into(),
            ..Invalidation::default()
        };
        let event = WatchEvent::Invalidation {
            what,
            position: "1-2".into(),
        };
        let line = text_of(&event).unwrap();
        let names = r#"key "a\nb" tag "t" prefix "p:" all reason "deploy""#;
        assert_eq!(line, format!("softly invalidated at 1-2: {names}"));
        assert_eq!(json_of(&event)["keys"][0], "a\nb");
    }
}
