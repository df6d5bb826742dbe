//! The names of the stream, its subjects and the words' subjects. They are part
//! of what pods of different versions agree on.

use crate::nats::streams;
use unstale_engine::coherence::record::SessionId;
use unstale_engine::log::Subject;

/// The names of one fleet.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    fleet: String,
}

impl Names {
    pub(super) fn new(fleet: &str) -> Self {
        Self {
            fleet: fleet.to_owned(),
        }
    }

    pub(super) fn stream(&self) -> String {
        streams::log_stream(&self.fleet)
    }

    pub(super) fn fleet(&self) -> &str {
        &self.fleet
    }

    /// Every subject of the log.
    pub(super) fn all(&self) -> String {
        streams::log_subjects(&self.fleet)
    }

    pub(super) fn subject(&self, subject: Subject) -> String {
        let prefix = format!("unstale.{}.log", self.fleet);
        match subject {
            Subject::Records => format!("{prefix}.r"),
            Subject::Writes(shard) => format!("{prefix}.w.{shard}"),
            Subject::Beats(session) => format!("{prefix}.b.{:032x}", session.0),
            Subject::Epochs => format!("{prefix}.e"),
        }
    }

    /// What a reader is delivered: what is for all, and one session's beats.
    pub(super) fn filters(&self, session: Option<SessionId>) -> Vec<String> {
        let beats = session.map(|s| self.subject(Subject::Beats(s)));
        let mut all = vec![
            self.subject(Subject::Records),
            format!("unstale.{}.log.w.*", self.fleet),
            self.subject(Subject::Epochs),
        ];
        all.extend(beats);
        all
    }

    pub(super) fn word(&self, to: SessionId) -> String {
        format!("unstale.{}.word.{:032x}", self.fleet, to.0)
    }

    pub(super) fn ask(&self) -> String {
        format!("unstale.{}.ask", self.fleet)
    }
}
