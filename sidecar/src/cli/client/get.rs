//! `unstale get`: one value, untouched.

use super::exit::{Ended, Failure, note};
use super::output;
use super::target::Target;
use clap::Args;
use serde_json::json;
use unstale::Lookup;

/// Print a cached value.
#[derive(Debug, Args)]
pub struct Get {
    /// The key
    key: String,
    #[command(flatten)]
    target: Target,
}

impl Get {
    pub(super) async fn run(self) -> Result<Ended, Failure> {
        let cache = self.target.connect().await?;
        let answer = cache.get(self.key).await?;
        let json = self.target.json;
        match &answer.result {
            Lookup::Hit(entry) if json => {
                let hit = json!({ "result": "hit", "entry": output::entry(entry) });
                output::object(&output::with_answer(hit, &answer))?;
                Ok(Ended::Done)
            }
            Lookup::Hit(entry) => {
                output::write(entry.value.as_bytes())?;
                Ok(Ended::Done)
            }
            Lookup::Miss => {
                if json {
                    output::object(&output::with_answer(json!({ "result": "miss" }), &answer))?;
                } else {
                    note("miss");
                }
                Ok(Ended::Not)
            }
        }
    }
}
