//! `unstale watch`: one line per event, until it is stopped.

use super::exit::{Ended, Failure};
use super::output;
use super::target::Target;
use clap::Args;
use futures::StreamExt as _;
use serde_json::{Value as Json, json};
use unstale::WatchEvent;

/// Follow the invalidations of the fleet.
#[derive(Debug, Args)]
pub struct Watch {
    /// Start after this position; from now on when not given
    #[arg(long, value_name = "POSITION")]
    position: Option<String>,
    #[command(flatten)]
    target: Target,
}

impl Watch {
    pub(super) async fn run(self) -> Result<Ended, Failure> {
        let cache = self.target.connect().await?;
        let mut events = cache.watch(self.position.as_deref()).await?;
        while let Some(event) = events.next().await {
            let event = event?;
            if self.target.json {
                output::object(&json_of(&event))?;
            } else if let Some(text) = text_of(&event) {
                output::line(&text)?;
            }
        }
        Err(Failure::StreamEnded)
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
        WatchEvent::Invalidation {
            keys,
            tags,
            all,
            reason,
            position,
            ..
        } => {
            let mut line = format!("invalidated at {position}:");
            let keys = keys.iter().map(|key| format!(" key {key:?}"));
            let tags = tags.iter().map(|tag| format!(" tag {tag:?}"));
            line.extend(keys.chain(tags));
            line.extend(all.then_some(" all"));
            if !reason.is_empty() {
                line.extend([" reason ".to_owned(), format!("{reason:?}")]);
            }
            Some(line)
        }
    }
}

fn json_of(event: &WatchEvent) -> Json {
    match event {
        WatchEvent::Started { position } => json!({ "event": "started", "position": position }),
        WatchEvent::Heartbeat { position } => {
            json!({ "event": "heartbeat", "position": position })
        }
        WatchEvent::Lagged { position } => json!({ "event": "lagged", "position": position }),
        WatchEvent::Invalidation {
            namespace,
            keys,
            tags,
            all,
            reason,
            position,
        } => json!({
            "event": "invalidation",
            "namespace": namespace,
            "keys": keys,
            "tags": tags,
            "all": all,
            "reason": reason,
            "position": position,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalidation_is_one_line_whatever_its_keys_hold() {
        let event = WatchEvent::Invalidation {
            namespace: "default".into(),
            keys: vec!["a\nb".into()],
            tags: vec!["t".into()],
            all: true,
            reason: "deploy".into(),
            position: "1-2".into(),
        };
        let line = text_of(&event).unwrap();
        let expected = r#"invalidated at 1-2: key "a\nb" tag "t" all reason "deploy""#;
        assert_eq!(line, expected);
        assert_eq!(json_of(&event)["keys"][0], "a\nb");
    }
}
