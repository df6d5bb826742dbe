//! The life of one stream: it is opened, its answers are handed out, it ends.

use super::line::{Line, gone};
use super::sending::Sending;
use crate::wire::Wire;
use std::error::Error as _;
use std::sync::Arc;
use tonic::{Code, Status, Streaming};
use unstale_proto::v1::session_service_client::SessionServiceClient;
use unstale_proto::v1::{SessionOpened, SessionResponse};

/// Why there is no stream.
pub(super) enum Refused {
    /// The sidecar knows no such thing.
    Unknown,
    /// It is away, or has no room for another one.
    Failed,
}

type Answers = Streaming<SessionResponse>;

/// Opens a stream, and learns what it allows.
pub(super) async fn open(
    mut session: SessionServiceClient<Wire>,
) -> Result<(Arc<Line>, Answers), Refused> {
    let line = Line::new();
    let opened = session.session(Sending(line.clone())).await;
    let mut answers = opened.map_err(|status| refused(&status))?.into_inner();
    let first = answers.message().await.map_err(|status| refused(&status))?;
    let SessionOpened { max_calls, .. } = first.and_then(|m| m.opened).ok_or(Refused::Failed)?;
    line.allows(max_calls);
    Ok((line, answers))
}

fn refused(status: &Status) -> Refused {
    match status.code() {
        Code::Unimplemented => Refused::Unknown,
        _ => Refused::Failed,
    }
}

/// Hands out answers until the stream ends.
pub(super) async fn take(line: Arc<Line>, mut answers: Answers) {
    let taking = Taking(line);
    let why = loop {
        match answers.message().await {
            Ok(Some(message)) => taking.hand_out(message),
            Ok(None) => break gone("the sidecar ended the stream"),
            // The transport's own word has a cause; it says what broke.
            Err(status) if status.source().is_some() => break status,
            Err(status) => break gone(status.message()),
        }
    };
    taking.0.lost(&why);
}

/// Whatever ends the task, a runtime that is shut down included, nobody waits
/// for an answer that cannot come.
struct Taking(Arc<Line>);

impl Taking {
    fn hand_out(&self, message: SessionResponse) {
        for answer in message.answers {
            self.0.answered(answer);
        }
        if message.closing.is_some() {
            self.0.finish();
        }
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.0.lost(&gone("the stream's task has ended"));
    }
}
