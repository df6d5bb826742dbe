//! One stream: reads calls, begins them, and gives answers as they are ready.
//!
//! Polled when the connection has taken the last message, one message ahead of
//! what the caller has room for, so that a caller who does not read is soon not
//! read from.

use super::super::delivery::Grants;
use super::Parts;
use super::answered::Answered;
use super::answering::{Begun, begin, refused};
use super::message::Message;
use super::pieces::{Piece, Pieces};
use super::under_way::UnderWay;
use crate::grpc::observe;
use crate::grpc::status;
use futures::Stream;
use prost::DecodeError;
use prost::bytes::Bytes;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::coop;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Status, Streaming};
use unstale_engine::Error;
use unstale_proto::v1::SessionCall;

/// How long a caller that was told of the end has to end its side. What it has
/// sent before it knew is begun.
const PARTING: Duration = Duration::from_millis(500);

/// How far the stream is.
enum Phase {
    /// Nothing was said yet.
    New,
    /// Calls are begun.
    Open,
    /// The sidecar drains: calls are begun until then at the latest.
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
    requests: Streaming<Bytes>,
    /// What is not begun yet of the last message.
    pieces: Pieces,
    came: Instant,
    last_id: u64,
    has_ended: bool,
    under_way: UnderWay,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    phase: Phase,
    on_the_way: OnTheWay,
    _place: OwnedSemaphorePermit,
}

impl Session {
    pub(super) fn new(
        requests: Streaming<Bytes>,
        parts: Arc<Parts>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            requests,
            pieces: Pieces::default(),
            came: Instant::now(),
            last_id: 0,
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
        if let Phase::Closing(until) = &mut self.phase {
            let _ = until.as_mut().poll(context);
        }
    }

    /// Takes what tasks have answered.
    fn gather(&mut self, context: &mut Context<'_>, message: &mut Message) {
        while !message.is_full()
            && let Poll::Ready(answer) = self.under_way.poll_answer(context)
        {
            self.answer(answer, message);
        }
    }

    /// Begins what has come, as long as the message has room for answers.
    fn read(&mut self, context: &mut Context<'_>, message: &mut Message) -> Result<(), Status> {
        while !message.is_full() {
            // Whoever sends without a pause leaves the thread to others: to the
            // tasks of calls that were cancelled, too.
            let Poll::Ready(budget) = coop::poll_proceed(context) else {
                return Ok(());
            };
            budget.made_progress();
            if self.under_way.is_swamped() {
                context.waker().wake_by_ref();
                return Ok(());
            }
            match self.pieces.next().map_err(not_decoded)? {
                Some(Piece::Call(call, bytes)) => self.begin(call, bytes, message)?,
                Some(Piece::Cancelled(id)) => self.under_way.cancel(id),
                None if self.has_ended => return Ok(()),
                None => match Pin::new(&mut self.requests).poll_next(context) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(None) => self.has_ended = true,
                    Poll::Ready(Some(Err(status))) => return Err(observe::mended(status)),
                    Poll::Ready(Some(Ok(message))) => {
                        self.pieces = message.into();
                        self.came = Instant::now();
                    }
                },
            }
        }
        Ok(())
    }

    fn begin(
        &mut self,
        call: SessionCall,
        bytes: usize,
        message: &mut Message,
    ) -> Result<(), Status> {
        let id = call.id;
        if id <= self.last_id {
            return Err(status::bad_id(id));
        }
        self.last_id = id;
        let answer = if self.has_parted() {
            Some(refused(&call, status::status(&Error::ShuttingDown)))
        } else if !self.under_way.has_room_for(bytes) {
            Some(refused(&call, status::no_room_for_calls()))
        } else {
            match begin(&self.parts, call, self.came.elapsed()) {
                Begun::Done(answer) => Some(answer),
                Begun::Waits(call) => self.under_way.begin(id, bytes, call),
            }
        };
        if let Some(answer) = answer {
            self.answer(answer, message);
        }
        Ok(())
    }

    /// Counts the call as one by itself is counted.
    fn answer(&self, answer: Answered, message: &mut Message) {
        let requests = &self.parts.requests;
        requests.count(answer.path, answer.code());
        requests.count_in_session();
        message.add(answer);
    }

    /// Whether the caller has had its time to part.
    fn has_parted(&self) -> bool {
        match &self.phase {
            Phase::Closing(until) => until.is_elapsed(),
            Phase::New | Phase::Open | Phase::Failed(_) | Phase::Over => false,
        }
    }

    /// Whether there is nothing left to do, asked when nothing is ready.
    fn is_over(&self) -> bool {
        let is_idle = self.under_way.is_empty() && self.pieces.is_empty();
        is_idle && (self.has_ended || self.has_parted())
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

/// In the library's words, which are the contract's once they are mended.
fn not_decoded(error: DecodeError) -> Status {
    observe::mended(Status::internal(error.to_string()))
}

impl Stream for Session {
    type Item = Result<Message, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let budget = ready!(coop::poll_proceed(context));
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
        if !message.is_empty() {
            session.on_the_way.grants = message.take_grants();
            budget.made_progress();
            return Poll::Ready(Some(Ok(message)));
        }
        if let Some(end) = session.end() {
            return Poll::Ready(end.map(Err));
        }
        if session.is_over() {
            session.phase = Phase::Over;
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}
