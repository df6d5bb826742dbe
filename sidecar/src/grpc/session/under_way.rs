//! The calls of one stream that wait for something.
//!
//! Guarantees that a call has at most one answer, and none once it was
//! cancelled. When the stream ends, so do its calls, as those of a connection
//! that is lost.

use super::answering::Answering;
use crate::shutdown::Shutdown;
use futures::future::{AbortHandle, abortable};
use std::collections::HashMap;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use tokio::sync::mpsc;
use tokio::task::unconstrained;
use unstale_engine::limits;
use unstale_proto::v1::SessionAnswer;

/// Calls with a task of their own.
pub(super) struct UnderWay {
    shutdown: Shutdown,
    calls: HashMap<u64, AbortHandle>,
    sender: mpsc::Sender<SessionAnswer>,
    answers: mpsc::Receiver<SessionAnswer>,
}

impl UnderWay {
    pub(super) fn new(shutdown: Shutdown) -> Self {
        // When full, a task waits with its answer: the caller does not read.
        let (sender, answers) = mpsc::channel(limits::SESSION_CALLS);
        Self {
            shutdown,
            calls: HashMap::new(),
            sender,
            answers,
        }
    }

    /// Whether a call of this id is under way.
    pub(super) fn has(&self, id: u64) -> bool {
        self.calls.contains_key(&id)
    }

    /// Whether there are as many as may be.
    pub(super) fn is_full(&self) -> bool {
        self.calls.len() >= limits::SESSION_CALLS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Begins a call; its answer, if it has one at once.
    pub(super) fn begin(&mut self, id: u64, mut call: Answering) -> Option<SessionAnswer> {
        // What is taken up again by a task needs nobody to wake it here. Many
        // calls in one poll are no reason to let one of them wait.
        let mut begun = unconstrained(&mut call);
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(answer) = Pin::new(&mut begun).poll(&mut context) {
            return Some(answer);
        }
        let (call, handle) = abortable(call);
        self.calls.insert(id, handle);
        let sender = self.sender.clone();
        self.shutdown.spawn("session call", async move {
            if let Ok(answer) = call.await {
                // Nobody is there any more when it fails.
                let _ = sender.send(answer).await;
            }
        });
        None
    }

    /// Ends a call without an answer, if it is under way.
    pub(super) fn cancel(&mut self, id: u64) {
        if let Some(call) = self.calls.remove(&id) {
            call.abort();
        }
    }

    /// Ends all of them.
    pub(super) fn cancel_all(&mut self) {
        for (_, call) in self.calls.drain() {
            call.abort();
        }
    }

    /// The next answer.
    pub(super) fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<SessionAnswer> {
        loop {
            let answer = ready!(self.answers.poll_recv(context));
            let answer = answer.expect("one sender is here");
            // One that was on its way when its call was cancelled is dropped.
            if self.calls.remove(&answer.id).is_some() {
                return Poll::Ready(answer);
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.cancel_all();
    }
}
