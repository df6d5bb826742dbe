//! The life of one stream: it is opened, its answers are handed out, it ends.

use super::line::{Line, gone};
use super::sending::Sending;
use crate::wire::Wire;
use std::error::Error as _;
use std::sync::Arc;
use tonic::{Code, Status, Streaming};
use unstale_proto::v1::SessionResponse;
use unstale_proto::v1::session_service_client::SessionServiceClient;

/// Why there is no stream.
pub(super) enum Refused {
    /// The sidecar knows no such thing.
    Unknown,
    /// It is away, or going, or has no room for another one.
    Failed,
}

/// A stream. Whatever ends its task, a runtime that is shut down included, nobody
/// waits for an answer that cannot come, and this side ends.
pub(super) struct Opened {
    line: Arc<Line>,
    /// None when it has ended.
    answers: Option<Streaming<SessionResponse>>,
}

/// Opens a stream, and learns what it allows.
pub(super) async fn open(mut session: SessionServiceClient<Wire>) -> Result<Opened, Refused> {
    let mut opened = Opened {
        line: Line::new(),
        answers: None,
    };
    let sending = Sending(opened.line.clone());
    let answers = session.session(sending).await;
    let mut answers = answers.map_err(|status| refused(&status))?.into_inner();
    let first = answers.message().await.map_err(|status| refused(&status))?;
    let first = first.filter(|first| first.closing.is_none());
    let allowed = first.and_then(|first| first.opened);
    opened.line.allows(allowed.ok_or(Refused::Failed)?);
    opened.answers = Some(answers);
    Ok(opened)
}

fn refused(status: &Status) -> Refused {
    match status.code() {
        Code::Unimplemented => Refused::Unknown,
        _ => Refused::Failed,
    }
}

impl Opened {
    /// The calls on it.
    pub(super) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// Hands out answers until the sidecar begins no more calls.
    pub(super) async fn until_closing(&mut self) {
        while self.line.is_open() && self.takes().await {}
    }

    /// Hands out the rest.
    pub(super) async fn until_the_end(&mut self) {
        while self.takes().await {}
    }

    /// One message; false at the end.
    async fn takes(&mut self) -> bool {
        let Some(answers) = &mut self.answers else {
            return false;
        };
        let why = match answers.message().await {
            Ok(Some(message)) => {
                self.hand_out(message);
                return true;
            }
            Ok(None) => gone("the sidecar ended the stream"),
            // The transport's own word has a cause; it says what broke.
            Err(status) if status.source().is_some() => status,
            Err(status) => gone(status.message()),
        };
        self.answers = None;
        self.line.lost(&why);
        false
    }

    fn hand_out(&self, message: SessionResponse) {
        for answer in message.answers {
            self.line.answered(answer);
        }
        if message.closing.is_some() {
            self.line.finish();
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.line.lost(&gone("the stream's task has ended"));
    }
}
