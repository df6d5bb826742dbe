//! Keeps the keys of a tier those of a file, while the sidecar runs.
//!
//! Guarantees: the file is looked at every second, by its content (a Kubernetes
//! secret is swapped behind its name), and a change counts when it is seen
//! twice, so that a file that is being written is not read halfway. A file that
//! cannot be used changes nothing, is counted, and said once a minute while it
//! lasts. Keeps no text of the file and never shows it.

use super::Sealed;
use crate::keyring::Keyring;
use crate::telemetry::complaint::Complaint;
use crate::telemetry::remote::RemoteCounts;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What was seen of a file: the hash of its text, or why there is none.
#[derive(Clone, PartialEq, Eq)]
enum Seen {
    Text(blake3::Hash),
    Nothing(String),
}

/// The file and the tier that it has the keys of.
pub struct KeyFile {
    path: PathBuf,
    tier: Arc<Sealed>,
    counts: Arc<RemoteCounts>,
    /// As of the last look.
    seen: Option<Seen>,
    /// As of the last judgement.
    judged: Option<Seen>,
    /// Why the newest file is not in force.
    wrong: Option<String>,
    complaint: Complaint,
}

impl KeyFile {
    /// `path`, which the tier's keys were read from at the start.
    pub fn new(path: PathBuf, tier: Arc<Sealed>, counts: Arc<RemoteCounts>) -> Self {
        Self {
            path,
            tier,
            counts,
            seen: None,
            judged: None,
            wrong: None,
            complaint: Complaint::default(),
        }
    }

    /// Runs until `cancel`.
    pub async fn run(mut self, cancel: CancellationToken) {
        loop {
            self.look().await;
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    pub(super) async fn look(&mut self) {
        let read = tokio::fs::read_to_string(&self.path).await;
        let now = match &read {
            Ok(text) => Seen::Text(blake3::hash(text.as_bytes())),
            Err(error) => Seen::Nothing(error.to_string()),
        };
        let is_settled = self.seen.as_ref() == Some(&now);
        self.seen = Some(now);
        if is_settled && self.seen != self.judged {
            self.judged.clone_from(&self.seen);
            self.judge(read.map_err(|e| e.to_string()));
        }
        self.complain();
    }

    fn complain(&self) {
        if let Some(why) = &self.wrong {
            let path = self.path.display();
            let text = format!("{path}: {why}; the keys from before stay in force");
            self.complaint.say("encryption", &text);
        }
    }

    fn judge(&mut self, read: Result<String, String>) {
        match read.and_then(|text| Keyring::parse(&text)) {
            Ok(keys) => {
                tracing::info!(keys = %keys, "the encryption keys are in force");
                self.tier.rotate(keys);
                self.counts.keys_read.one_more();
                self.wrong = None;
            }
            Err(why) => {
                self.wrong = Some(why);
                // Whoever sees the count finds the reason in the log.
                self.complain();
                self.counts.keys_refused.one_more();
            }
        }
    }
}
