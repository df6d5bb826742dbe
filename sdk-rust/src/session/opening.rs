//! The life of one stream: it is opened, its answers are handed out, it ends.

use super::line::{Line, gone};
use super::messages::{self, Brought, Response};
use super::sending::Sending;
use crate::wire::Wire;
use bytes::Bytes;
use prost::DecodeError;
use std::error::Error as _;
use std::sync::Arc;
use tonic::codegen::http::Uri;
use tonic::{Code, Status, Streaming};
use unstale_proto::v1::SessionOpened;

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
    answers: Option<Streaming<Bytes>>,
}

/// Opens a stream, and learns what it allows.
pub(super) async fn open(place: (Wire, Uri)) -> Result<Opened, Refused> {
    let mut opened = Opened {
        line: Line::new(),
        answers: None,
    };
    let sending = Sending(opened.line.clone());
    let answers = messages::open(place, sending).await;
    let mut answers = answers.map_err(|status| refused(&status))?;
    let first = answers.message().await.map_err(|status| refused(&status))?;
    let allowed = first.and_then(allowed);
    opened.line.allows(allowed.ok_or(Refused::Failed)?);
    opened.answers = Some(answers);
    Ok(opened)
}

/// What the first message says that the stream allows; none when it closes at once,
/// or cannot be understood.
fn allowed(first: Bytes) -> Option<SessionOpened> {
    let (mut first, mut allowed) = (Response(first), None);
    while let Some(brought) = first.next().ok()? {
        match brought {
            Brought::Opened(opened) => allowed = Some(opened),
            Brought::Answer(..) => {}
            Brought::Closing => return None,
        }
    }
    allowed
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
            Ok(Some(message)) => match self.hand_out(message) {
                Ok(()) => return true,
                Err(error) => gone(&error.to_string()),
            },
            Ok(None) => gone("the sidecar ended the stream"),
            // The transport's own word has a cause; it says what broke.
            Err(status) if status.source().is_some() => status,
            Err(status) => gone(status.message()),
        };
        self.answers = None;
        self.line.lost(&why);
        false
    }

    fn hand_out(&self, message: Bytes) -> Result<(), DecodeError> {
        let mut response = Response(message);
        while let Some(brought) = response.next()? {
            match brought {
                // Said once.
                Brought::Opened(_) => {}
                Brought::Answer(id, answer) => self.line.answered(id, answer),
                Brought::Closing => self.line.finish(),
            }
        }
        Ok(())
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.line.lost(&gone("the stream's task has ended"));
    }
}
