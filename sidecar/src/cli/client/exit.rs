//! How a client command ends, and with which exit code.

use std::io::{self, Write as _};
use std::process::ExitCode;
use unstale::Error;

/// How a command ended without a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// A hit, not modified, or done.
    Done,
    /// A miss, nothing in the origin, a conflict, or nothing stored.
    Not,
    /// As [`Failure`] says.
    Failed(u8),
}

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Done => Self::SUCCESS,
            Ended::Not => Self::from(1),
            Ended::Failed(code) => Self::from(code),
        }
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The sidecar, or the way to it.
    #[error(transparent)]
    Cache(#[from] Error),
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// The loader of a lease.
    #[error("{0}")]
    Loader(String),
    /// The sidecar ended a watch.
    #[error("the sidecar ended the stream")]
    StreamEnded,
    /// stdin cannot be read.
    #[error("cannot read the value from stdin: {0}")]
    Input(io::Error),
    /// stdout cannot be written.
    #[error("cannot write to stdout: {0}")]
    Output(io::Error),
}

impl Failure {
    /// Tells the user, and gives the exit code.
    pub(super) fn report(self) -> Ended {
        // Whoever closed the pipe has read what it wanted.
        if matches!(&self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return Ended::Done;
        }
        note(&self.to_string());
        match self.code() {
            1 => Ended::Not,
            code => Ended::Failed(code),
        }
    }

    fn code(&self) -> u8 {
        match self {
            Self::Loader(_) | Self::Cache(Error::Busy { .. }) => 1,
            Self::Usage(_) | Self::Cache(Error::Endpoint(_) | Error::Invalid { .. }) => 2,
            Self::StreamEnded | Self::Cache(Error::Unreachable(_)) => 3,
            Self::Input(_) | Self::Output(_) | Self::Cache(_) => 4,
        }
    }
}

/// A line for people.
pub(super) fn note(text: &str) {
    // eprintln would panic when nobody listens.
    let _ = writeln!(io::stderr(), "unstale: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_failure_has_the_exit_code_of_the_manual() {
        let busy = Error::Busy {
            retry_after: Duration::ZERO,
        };
        let away = Error::Unavailable {
            reason: "LOG_UNAVAILABLE".to_owned(),
            message: String::new(),
            retry_after: None,
        };
        let invalid = Error::Invalid {
            reason: String::new(),
            message: String::new(),
            violations: vec![],
        };
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        for (failure, code) in [
            (Failure::Loader(String::new()), 1),
            (busy.into(), 1),
            (invalid.into(), 2),
            (Error::Endpoint(String::new()).into(), 2),
            (Failure::Usage(String::new()), 2),
            (Error::Unreachable(String::new()).into(), 3),
            (away.into(), 4),
            (Failure::Input(broken), 4),
        ] {
            assert_eq!(failure.code(), code, "{failure:?}");
        }
    }

    #[test]
    fn a_broken_pipe_is_the_end_and_no_failure() {
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(Failure::Output(broken).report(), Ended::Done);
    }
}
