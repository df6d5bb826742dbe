//! The calls of one stream that wait for something.
//!
//! Guarantees that a call has at most one answer, and none once it was
//! cancelled. When the stream ends, so do its calls, as those of a connection
//! that is lost.

use super::answered::Answered;
use super::answering::Answering;
use crate::shutdown::Shutdown;
use futures::future::{AbortHandle, abortable};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::unconstrained;
use unstale_engine::limits;

/// One of them: its task, and its length.
struct Waiting {
    task: AbortHandle,
    bytes: usize,
}

/// All tasks, those of cancelled calls included until they have ended.
#[derive(Default)]
struct Alive {
    calls: AtomicUsize,
    bytes: AtomicUsize,
}

/// One of them.
struct Living {
    all: Arc<Alive>,
    bytes: usize,
}

impl Living {
    fn new(all: &Arc<Alive>, bytes: usize) -> Self {
        all.calls.fetch_add(1, Relaxed);
        all.bytes.fetch_add(bytes, Relaxed);
        let all = all.clone();
        Self { all, bytes }
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.all.calls.fetch_sub(1, Relaxed);
        self.all.bytes.fetch_sub(self.bytes, Relaxed);
    }
}

/// Calls with a task of their own.
pub(super) struct UnderWay {
    shutdown: Shutdown,
    calls: HashMap<u64, Waiting>,
    /// Of all of them.
    bytes: usize,
    alive: Arc<Alive>,
    /// For answers that are not sent.
    room: Arc<Semaphore>,
    sender: mpsc::Sender<Answered>,
    answers: mpsc::Receiver<Answered>,
}

impl UnderWay {
    pub(super) fn new(shutdown: Shutdown) -> Self {
        // When full, a task waits with its answer: the caller does not read.
        let (sender, answers) = mpsc::channel(limits::SESSION_CALLS);
        Self {
            shutdown,
            calls: HashMap::new(),
            bytes: 0,
            alive: Arc::default(),
            room: Arc::new(Semaphore::new(limits::SESSION_BYTES)),
            sender,
            answers,
        }
    }

    /// Whether a call of this length may be begun, too.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        self.calls.len() < limits::SESSION_CALLS && self.bytes + bytes <= limits::SESSION_BYTES
    }

    /// Whether so many cancelled ones have not ended that it is better to wait.
    pub(super) fn is_swamped(&self) -> bool {
        let (calls, bytes) = (&self.alive.calls, &self.alive.bytes);
        calls.load(Relaxed) >= 2 * limits::SESSION_CALLS
            || bytes.load(Relaxed) >= 2 * limits::SESSION_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Begins a call of this length; its answer, if it has one at once. An id
    /// names one call of the stream, ever.
    pub(super) fn begin(&mut self, id: u64, bytes: usize, mut call: Answering) -> Option<Answered> {
        // What is taken up again by a task needs nobody to wake it here. Many
        // calls in one poll are no reason to let one of them wait.
        let mut begun = unconstrained(&mut call);
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(answer) = Pin::new(&mut begun).poll(&mut context) {
            return Some(answer);
        }
        let (call, task) = abortable(call);
        self.calls.insert(id, Waiting { task, bytes });
        self.bytes += bytes;
        let (sender, room) = (self.sender.clone(), self.room.clone());
        let living = Living::new(&self.alive, bytes);
        self.shutdown.spawn("session call", async move {
            let _living = living;
            if let Ok(answer) = call.await {
                // Nobody is there any more when it fails.
                let _ = sender.send(answer.kept_in(&room)).await;
            }
        });
        None
    }

    /// Ends a call without an answer, if it is under way.
    pub(super) fn cancel(&mut self, id: u64) {
        if let Some(call) = self.remove(id) {
            call.task.abort();
        }
    }

    fn remove(&mut self, id: u64) -> Option<Waiting> {
        let call = self.calls.remove(&id)?;
        self.bytes -= call.bytes;
        Some(call)
    }

    /// Ends all of them.
    pub(super) fn cancel_all(&mut self) {
        self.bytes = 0;
        for (_, call) in self.calls.drain() {
            call.task.abort();
        }
    }

    /// The next answer.
    pub(super) fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Answered> {
        loop {
            let answered = ready!(self.answers.poll_recv(context));
            let answered = answered.expect("one sender is here");
            // One that was on its way when its call was cancelled is dropped, and
            // with it the lease that it brings.
            if self.remove(answered.id).is_some() {
                return Poll::Ready(answered);
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.cancel_all();
    }
}

#[cfg(test)]
mod tests {
    use super::super::answered::Ending;
    use super::*;
    use futures::FutureExt as _;
    use std::future::{pending, poll_fn};
    use tokio::sync::oneshot;
    use unstale_proto::v1::RenewResponse;
    use unstale_proto::v1::session_answer::Result as Outcome;

    fn answer(id: u64) -> Answered {
        let ending = Ending::Message(Outcome::Renew(RenewResponse::default()));
        Answered::new(id, "", ending, None)
    }

    /// A call that never ends, and how it is known that it was dropped.
    fn endless() -> (Answering, oneshot::Receiver<()>) {
        let (held, dropped) = oneshot::channel::<()>();
        let call = async move {
            let _held = held;
            pending().await
        };
        (call.boxed(), dropped)
    }

    #[tokio::test]
    async fn a_call_that_is_done_at_once_needs_no_task_and_no_place() {
        let mut under_way = UnderWay::new(Shutdown::new());
        let done = std::future::ready(answer(7)).boxed();
        let answered = under_way.begin(7, 1, done).expect("it is done");
        assert_eq!(answered.id, 7);
        assert!(under_way.is_empty());
    }

    #[tokio::test]
    async fn what_waits_is_dropped_when_it_is_cancelled_or_its_stream_ends() {
        let mut under_way = UnderWay::new(Shutdown::new());
        let ((one, one_dropped), (two, two_dropped)) = (endless(), endless());
        assert!(under_way.begin(1, 1, one).is_none());
        assert!(under_way.begin(2, 1, two).is_none());
        under_way.cancel(1);
        one_dropped.await.expect_err("it was dropped");
        assert_eq!(under_way.calls.len(), 1);
        drop(under_way);
        two_dropped.await.expect_err("it was dropped");
    }

    #[tokio::test]
    async fn an_answer_on_its_way_when_its_call_was_cancelled_is_none() {
        let mut under_way = UnderWay::new(Shutdown::new());
        for id in [1, 2] {
            let (go, gone) = oneshot::channel();
            let call = async move {
                let _ = gone.await;
                answer(id)
            };
            assert!(under_way.begin(id, 1, call.boxed()).is_none());
            go.send(()).expect("it waits");
        }
        // The tasks answer while this one does not run.
        while under_way.answers.len() < 2 {
            tokio::task::yield_now().await;
        }
        under_way.cancel(1);
        let next = poll_fn(|context| under_way.poll_answer(context)).await;
        assert_eq!(next.id, 2);
        assert!(under_way.is_empty());
    }

    #[tokio::test]
    async fn as_many_are_under_way_as_may_be() {
        let mut under_way = UnderWay::new(Shutdown::new());
        for id in 1..=limits::SESSION_CALLS as u64 {
            assert!(under_way.has_room_for(1));
            under_way.begin(id, 1, pending().boxed());
        }
        assert!(!under_way.has_room_for(1));
        under_way.cancel(1);
        assert!(under_way.has_room_for(1));
    }

    #[tokio::test]
    async fn as_many_bytes_are_under_way_as_may_be() {
        let mut under_way = UnderWay::new(Shutdown::new());
        let half = limits::SESSION_BYTES / 2;
        under_way.begin(1, half, pending().boxed());
        assert!(under_way.has_room_for(1));
        under_way.begin(2, half, pending().boxed());
        assert!(!under_way.has_room_for(1));
        under_way.cancel(1);
        assert!(under_way.has_room_for(1));
    }

    #[tokio::test]
    async fn calls_that_were_cancelled_count_until_their_tasks_have_ended() {
        let mut under_way = UnderWay::new(Shutdown::new());
        for id in 1..=2 * limits::SESSION_CALLS as u64 {
            assert!(under_way.has_room_for(1) && !under_way.is_swamped());
            under_way.begin(id, 1, pending().boxed());
            under_way.cancel(id);
        }
        assert!(under_way.is_swamped());
        while under_way.is_swamped() {
            tokio::task::yield_now().await;
        }
    }
}
