//! One stream: reads calls, begins them, and gives answers as they are ready.
//!
//! Polled when the caller has room for an answer, and only then, so that a
//! caller who does not read is not read from.

use super::super::delivery::Grants;
use super::Parts;
use super::answering::{answering, too_late};
use super::message::Message;
use super::under_way::UnderWay;
use crate::grpc::observe;
use crate::grpc::status;
use futures::Stream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::vec;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Status, Streaming};
use unstale_proto::v1::{SessionCall, SessionRequest, SessionResponse};

/// How long a caller that was told of the end has to end its side, once nothing
/// is under way.
const PARTING: Duration = Duration::from_millis(500);

/// How far the stream is.
enum Phase {
    /// Nothing was said yet.
    New,
    /// Calls are begun.
    Open,
    /// The sidecar drains: none is begun, until then at the latest.
    Closing(Pin<Box<Sleep>>),
    /// A message could not be understood.
    Failed(Status),
    /// The end.
    Over,
}

/// The leases of the message that was given last: delivered when the connection,
/// which has taken it, asks for more; if it never does, they go back.
#[derive(Default)]
struct OnTheWay {
    grants: Vec<Grants>,
    was_taken: bool,
}

impl OnTheWay {
    /// Whether the next message may come. One that brings leases must not be
    /// buffered with it: what is buffered was not taken.
    fn arrived(&mut self) -> bool {
        if !self.grants.is_empty() && !self.was_taken {
            self.was_taken = true;
            return false;
        }
        for grants in std::mem::take(self).grants {
            grants.were_delivered();
        }
        true
    }
}

/// A Session stream.
pub(in crate::grpc) struct Session {
    parts: Arc<Parts>,
    requests: Streaming<SessionRequest>,
    /// Those of the last message that are not begun yet.
    calls: vec::IntoIter<SessionCall>,
    has_ended: bool,
    under_way: UnderWay,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    phase: Phase,
    on_the_way: OnTheWay,
    _place: OwnedSemaphorePermit,
}

impl Session {
    pub(super) fn new(
        requests: Streaming<SessionRequest>,
        parts: Arc<Parts>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            requests,
            calls: Vec::new().into_iter(),
            has_ended: false,
            under_way: UnderWay::new(parts.shutdown.clone()),
            stop: Box::pin(parts.stop.clone().cancelled_owned()),
            phase: Phase::New,
            on_the_way: OnTheWay::default(),
            parts,
            _place: place,
        }
    }

    /// Says what has changed: that it is open, that it closes.
    fn advance(&mut self, context: &mut Context<'_>, message: &mut Message) {
        if matches!(self.phase, Phase::New) {
            message.open();
            self.phase = Phase::Open;
        }
        if matches!(self.phase, Phase::Open) && self.stop.as_mut().poll(context).is_ready() {
            message.close();
            self.phase = Phase::Closing(Box::pin(tokio::time::sleep(PARTING)));
        }
    }

    /// Takes what tasks have answered.
    fn gather(&mut self, context: &mut Context<'_>, message: &mut Message) {
        while !message.is_full()
            && let Poll::Ready(answer) = self.under_way.poll_answer(context)
        {
            message.add(answer);
        }
    }

    /// Begins what has come, as long as there is room.
    fn read(&mut self, context: &mut Context<'_>, message: &mut Message) -> Result<(), Status> {
        while !message.is_full() && !self.under_way.is_full() {
            if let Some(call) = self.calls.next() {
                self.begin(call, message)?;
                continue;
            }
            if self.has_ended {
                return Ok(());
            }
            match Pin::new(&mut self.requests).poll_next(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(None) => self.has_ended = true,
                Poll::Ready(Some(Err(status))) => return Err(observe::mended(status)),
                Poll::Ready(Some(Ok(request))) => {
                    for id in request.cancelled {
                        self.under_way.cancel(id);
                    }
                    self.calls = request.calls.into_iter();
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, call: SessionCall, message: &mut Message) -> Result<(), Status> {
        let id = call.id;
        if id == 0 || self.under_way.has(id) {
            return Err(status::bad_id(id));
        }
        let answer = match self.phase {
            Phase::Closing(_) => Some(too_late(&self.parts, id)),
            _ => self.under_way.begin(id, answering(&self.parts, call)),
        };
        if let Some(answer) = answer {
            message.add(answer);
        }
        Ok(())
    }

    /// Whether there is nothing left to do, asked when nothing is ready.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        let is_idle = self.under_way.is_empty() && self.calls.len() == 0;
        let parted = match &mut self.phase {
            Phase::Closing(until) => until.as_mut().poll(context).is_ready(),
            Phase::New | Phase::Open | Phase::Failed(_) | Phase::Over => false,
        };
        is_idle && (self.has_ended || parted)
    }

    /// The end, if it was reached: what the caller is told of it.
    fn end(&mut self) -> Option<Option<Status>> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Failed(status) => Some(Some(status)),
            Phase::Over => Some(None),
            phase @ (Phase::New | Phase::Open | Phase::Closing(_)) => {
                self.phase = phase;
                None
            }
        }
    }
}

impl Stream for Session {
    type Item = Result<SessionResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // A caller that sends without a pause leaves the thread to others, too.
        let budget = ready!(tokio::task::coop::poll_proceed(context));
        let session = &mut *self;
        if !session.on_the_way.arrived() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(end) = session.end() {
            return Poll::Ready(end.map(Err));
        }
        let mut message = Message::default();
        session.advance(context, &mut message);
        session.gather(context, &mut message);
        if let Err(status) = session.read(context, &mut message) {
            session.under_way.cancel_all();
            session.phase = Phase::Failed(status);
        }
        if let Some((response, grants)) = message.response() {
            session.on_the_way.grants = grants;
            budget.made_progress();
            return Poll::Ready(Some(Ok(response)));
        }
        if let Some(end) = session.end() {
            return Poll::Ready(end.map(Err));
        }
        if session.is_over(context) {
            session.phase = Phase::Over;
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}
