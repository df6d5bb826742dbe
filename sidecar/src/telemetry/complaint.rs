//! What keeps something from working, said once a minute while it lasts.
//! Complaints that take turns are each said once a minute.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const EVERY: Duration = Duration::from_secs(60);
/// Texts that are remembered; the one said longest ago is forgotten first.
const MOST: usize = 8;

/// The last complaints.
#[derive(Debug, Default)]
pub(crate) struct Complaint(Mutex<VecDeque<(Instant, String)>>);

impl Complaint {
    /// Logs it, the same text at most once a minute.
    pub(crate) fn say(&self, connection: &str, text: &str) {
        if self.is_due(text) {
            tracing::error!(connection, "{text}");
        }
    }

    /// Whether the text has not been said for a minute; it is said now.
    fn is_due(&self, text: &str) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        said.retain(|(at, _)| now.duration_since(*at) < EVERY);
        let is_due = said.iter().all(|(_, what)| what != text);
        if is_due {
            said.truncate(MOST - 1);
            said.push_front((now, text.to_owned()));
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn complaints_that_take_turns_are_each_said_once_a_minute() {
        let complaint = Complaint::default();
        let mut said = 0;
        for _ in 0..119 {
            said += u32::from(complaint.is_due("lost"));
            said += u32::from(complaint.is_due("refused"));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(said, 4);
    }

    #[test]
    fn texts_without_end_are_forgotten() {
        let complaint = Complaint::default();
        assert!((0..1000).all(|n: u32| complaint.is_due(&n.to_string())));
        assert_eq!(complaint.0.lock().unwrap().len(), MOST);
    }
}
