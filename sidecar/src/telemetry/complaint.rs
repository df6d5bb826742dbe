//! What keeps something from working, said once a minute while it lasts.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const EVERY: Duration = Duration::from_secs(60);

/// The last complaint.
#[derive(Debug, Default)]
pub(crate) struct Complaint(Mutex<Option<(Instant, String)>>);

impl Complaint {
    /// Logs it, the same text at most once a minute.
    pub(crate) fn say(&self, connection: &str, text: &str) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = |(at, what): &(Instant, String)| what == text && at.elapsed() < EVERY;
        if !last.as_ref().is_some_and(said) {
            tracing::error!(connection, "{text}");
            *last = Some((Instant::now(), text.to_owned()));
        }
    }
}
