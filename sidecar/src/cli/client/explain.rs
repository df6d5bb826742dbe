//! `unstale explain`: why the entry under a key is served, or is not.

mod json;
mod text;

use super::exit::{Ended, Failure};
use super::output;
use super::target::Target;
use clap::Args;

/// Say why the entry under a key is served, or is not; never its value.
#[derive(Debug, Args)]
pub struct Explain {
    /// The key
    #[arg(value_name = "KEY")]
    key: String,
    #[command(flatten)]
    target: Target,
}

impl Explain {
    pub(super) async fn run(self) -> Result<Ended, Failure> {
        let cache = self.target.connect().await?;
        let told = cache.explain(self.key).await?;
        if self.target.json {
            output::object(&json::of(&told))?;
        } else {
            output::write(text::of(&told).as_bytes())?;
        }
        Ok(Ended::Done)
    }
}
