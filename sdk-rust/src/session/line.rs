//! One stream's calls: those to be sent, and those that wait for an answer.
//!
//! Bounded by what the sidecar allows under way, in calls and in bytes: a call
//! takes its room until its answer has come or its cancellation is sent.

use super::messages::{self, Outgoing, Unsent};
use super::{Asked, Kind, lock};
use bytes::Bytes;
use futures::task::AtomicWaker;
use prost::Message as _;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;
use tonic::{Code, Status};
use unstale_proto::v1::session_answer::Result as Outcome;
use unstale_proto::v1::{SessionCall, SessionOpened};

/// The longest id, as a field of a call.
const ID: usize = 11;
/// A message takes no more calls when it is so long, in bytes.
const BYTES: usize = 64 * 1024;
/// Calls of a message that room is made for at once.
const CALLS: usize = 256;

/// How a call ended.
pub(super) enum Ended<T: Kind> {
    /// The sidecar's answer, or that it got lost.
    Answered(Result<T::Answer, Status>),
    /// The sidecar never saw it.
    NotSent(Asked<T>),
}

/// What a waiting call is told.
enum Told {
    /// The answer.
    Answer(Bytes),
    /// The call as it was to be sent.
    NotSent(Unsent),
    Lost(Status),
}

/// Who waits for an answer, and what the call takes meanwhile.
struct Caller {
    tell: oneshot::Sender<Told>,
    bytes: usize,
}

/// Room on the stream.
#[derive(Clone, Copy, Default)]
struct Room {
    calls: usize,
    bytes: usize,
}

impl Room {
    fn add(&mut self, bytes: usize) {
        self.calls += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, other: Self) {
        self.calls -= other.calls;
        self.bytes -= other.bytes;
    }

    fn of(bytes: usize) -> Self {
        Self { calls: 1, bytes }
    }
}

/// A stream's calls.
pub(super) struct Line {
    pub(super) calls: Mutex<Calls>,
    /// Of the task that sends.
    pub(super) sender: AtomicWaker,
}

/// What is under way, seen from here.
pub(super) struct Calls {
    queue: VecDeque<Unsent>,
    cancelled: Vec<u64>,
    waiting: HashMap<u64, Caller>,
    last_id: u64,
    /// What is taken of what there is: places, and bytes.
    taken: Room,
    max: Room,
    /// What the cancellations give back.
    freed: Room,
    /// Whether calls are taken.
    is_open: bool,
}

impl Line {
    /// A stream that takes no calls before it is opened.
    pub(super) fn new() -> Arc<Self> {
        let calls = Calls {
            queue: VecDeque::new(),
            cancelled: Vec::new(),
            waiting: HashMap::new(),
            last_id: 0,
            taken: Room::default(),
            max: Room::default(),
            freed: Room::default(),
            is_open: true,
        };
        Arc::new(Self {
            calls: Mutex::new(calls),
            sender: AtomicWaker::new(),
        })
    }

    /// What the sidecar allows at a time.
    pub(super) fn allows(&self, opened: SessionOpened) {
        lock(&self.calls).max = Room {
            calls: usize::try_from(opened.max_calls).unwrap_or(usize::MAX),
            bytes: usize::try_from(opened.max_bytes).unwrap_or(usize::MAX),
        };
    }

    /// Whether calls are taken.
    pub(super) fn is_open(&self) -> bool {
        lock(&self.calls).is_open()
    }

    /// An answer came: that of the call with this id.
    pub(super) fn answered(&self, id: u64, answer: Bytes) {
        let mut calls = lock(&self.calls);
        // One that was cancelled: its place is given back when that is sent.
        let Some(caller) = calls.waiting.remove(&id) else {
            return;
        };
        calls.taken.remove(Room::of(caller.bytes));
        drop(calls);
        let _ = caller.tell.send(Told::Answer(answer));
    }

    /// Takes no more calls, and ends this side when nothing waits to be sent.
    pub(super) fn finish(&self) {
        let mut calls = lock(&self.calls);
        calls.is_open = false;
        for call in std::mem::take(&mut calls.queue) {
            if let Some(caller) = calls.waiting.remove(&call.id) {
                let _ = caller.tell.send(Told::NotSent(call));
            }
        }
        drop(calls);
        self.sender.wake();
    }

    /// The stream is gone: nobody knows what became of what was sent.
    pub(super) fn lost(&self, why: &Status) {
        self.finish();
        let waiting = std::mem::take(&mut lock(&self.calls).waiting);
        for (_, caller) in waiting {
            let _ = caller.tell.send(Told::Lost(why.clone()));
        }
    }

    fn begin<T: Kind>(self: &Arc<Self>, asked: Asked<T>) -> Result<Waiting, Asked<T>> {
        let bytes = asked.message.encoded_len();
        if !lock(&self.calls).has_room(bytes) {
            return Err(asked); // nor is it written
        }
        // Before others are held up.
        let rest = asked.rest();
        let bytes = rest.len() + ID;
        let (tell, told) = oneshot::channel();
        let mut calls = lock(&self.calls);
        if !calls.has_room(bytes) {
            return Err(asked);
        }
        calls.last_id += 1;
        calls.taken.add(bytes);
        let id = calls.last_id;
        calls.waiting.insert(id, Caller { tell, bytes });
        calls.queue.push_back(Unsent { id, rest });
        drop(calls);
        self.sender.wake();
        let line = self.clone();
        Ok(Waiting { line, id, told })
    }

    fn cancel(&self, id: u64) {
        let mut calls = lock(&self.calls);
        let Some(caller) = calls.waiting.remove(&id) else {
            return; // it was told
        };
        if calls.take_back(id) {
            calls.taken.remove(Room::of(caller.bytes));
        } else {
            calls.cancelled.push(id);
            calls.freed.add(caller.bytes);
        }
        drop(calls);
        self.sender.wake();
    }
}

impl Calls {
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    fn has_room(&self, bytes: usize) -> bool {
        let (taken, max) = (self.taken, self.max);
        self.is_open && taken.calls < max.calls && taken.bytes.saturating_add(bytes) <= max.bytes
    }

    /// What waits to be sent, as one message. The places of what it cancels are
    /// free.
    pub(super) fn take_message(&mut self) -> Outgoing {
        self.taken.remove(std::mem::take(&mut self.freed));
        let mut message = Outgoing {
            calls: Vec::with_capacity(self.queue.len().min(CALLS)),
            cancelled: std::mem::take(&mut self.cancelled),
        };
        let mut bytes = 0;
        while bytes < BYTES
            && let Some(call) = self.queue.pop_front()
        {
            bytes += call.length();
            message.calls.push(call);
        }
        message
    }

    /// Takes out a call that was not sent; false when it was.
    fn take_back(&mut self, id: u64) -> bool {
        let at = self.queue.iter().position(|call| call.id == id);
        at.and_then(|at| self.queue.remove(at)).is_some()
    }
}

/// A call whose answer is waited for; cancelled when dropped.
struct Waiting {
    line: Arc<Line>,
    id: u64,
    told: oneshot::Receiver<Told>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.line.cancel(self.id);
    }
}

/// Makes the call on the stream, if there is room.
pub(super) async fn call<T: Kind>(line: &Arc<Line>, asked: Asked<T>) -> Ended<T> {
    let limit = asked.timeout;
    let mut waiting = match line.begin(asked) {
        Ok(waiting) => waiting,
        Err(asked) => return Ended::NotSent(asked),
    };
    let told = (&mut waiting.told).await;
    // Nothing is told only if the stream's whole state is gone.
    match told.unwrap_or_else(|_| Told::Lost(gone("the stream is gone"))) {
        Told::Answer(answer) => Ended::Answered(understood::<T>(waiting.id, answer)),
        Told::Lost(why) => Ended::Answered(Err(why)),
        Told::NotSent(call) => match message(&call) {
            Some(message) => Ended::NotSent(Asked {
                message,
                timeout: limit,
            }),
            None => Ended::Answered(Err(gone("the stream broke"))),
        },
    }
}

/// What was asked, read again.
fn message<T: Kind>(unsent: &Unsent) -> Option<T> {
    let call = SessionCall::decode(&*unsent.rest).ok()?;
    T::from_call(call.request?)
}

fn understood<T: Kind>(id: u64, answer: Bytes) -> Result<T::Answer, Status> {
    let strange = || Status::internal("an answer of a kind that was not asked for");
    let answer = messages::answer(answer)?;
    // It was handed out by the first id in it.
    let is_mine = answer.id == id;
    match answer.result.filter(|_| is_mine).ok_or_else(strange)? {
        Outcome::Error(error) => Err(status(&error)),
        outcome => T::answer(outcome).ok_or_else(strange),
    }
}

/// The status that the call by itself would have ended with.
fn status(error: &tonic_types::Status) -> Status {
    let details = prost::Message::encode_to_vec(error);
    Status::with_details(Code::from(error.code), &error.message, details.into())
}

/// A stream that ended without a word for its calls.
pub(super) fn gone(why: &str) -> Status {
    Status::unavailable(why)
}

#[cfg(test)]
mod tests {
    use super::super::sending::Sending;
    use super::*;
    use futures::{FutureExt as _, StreamExt as _};
    use std::time::Duration;
    use unstale_proto::v1::{GetRequest, GetResponse, SessionAnswer, SessionRequest};

    fn opened(max_calls: u32) -> (Arc<Line>, Sending) {
        let line = Line::new();
        line.allows(SessionOpened {
            max_calls,
            max_bytes: 1000,
        });
        let sending = Sending(line.clone());
        (line, sending)
    }

    fn asked(key: &str) -> Asked<GetRequest> {
        let key = key.to_owned();
        Asked {
            message: GetRequest {
                key,
                ..GetRequest::default()
            },
            timeout: None,
        }
    }

    /// The ids that are sent now, and those that are cancelled.
    fn sent(sending: &mut Sending) -> (Vec<u64>, Vec<u64>) {
        let request = sending.next().now_or_never().flatten().unwrap_or_default();
        let mut bytes = Vec::new();
        request.put(&mut bytes);
        let request = SessionRequest::decode(&*bytes).unwrap();
        let ids = request.calls.iter().map(|call| call.id).collect();
        (ids, request.cancelled)
    }

    fn answer(line: &Line, id: u64) {
        let answer = SessionAnswer {
            id,
            result: Some(Outcome::Get(GetResponse::default())),
        };
        line.answered(id, answer.encode_to_vec().into());
    }

    #[tokio::test]
    async fn calls_that_wait_share_a_message_and_answers_find_their_calls() {
        let (line, mut sending) = opened(8);
        let (mut one, mut two) = (
            Box::pin(call(&line, asked("1"))),
            Box::pin(call(&line, asked("2"))),
        );
        assert!(one.as_mut().now_or_never().is_none());
        assert!(two.as_mut().now_or_never().is_none());
        assert_eq!(sent(&mut sending), (vec![1, 2], vec![]));
        answer(&line, 2);
        assert!(one.as_mut().now_or_never().is_none());
        assert!(matches!(two.await, Ended::Answered(Ok(_))));
        answer(&line, 1);
        assert!(matches!(one.await, Ended::Answered(Ok(_))));
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_is_cancelled_and_keeps_its_place_until_that_is_sent() {
        let (line, mut sending) = opened(1);
        let mut dropped = Box::pin(call(&line, asked("1")));
        assert!(dropped.as_mut().now_or_never().is_none());
        assert_eq!(sent(&mut sending), (vec![1], vec![]));
        drop(dropped);
        assert!(matches!(call(&line, asked("2")).await, Ended::NotSent(_)));
        assert_eq!(sent(&mut sending), (vec![], vec![1]));
        // Its answer was on the way.
        answer(&line, 1);
        let mut next = Box::pin(call(&line, asked("3")));
        assert!(next.as_mut().now_or_never().is_none());
        assert_eq!(sent(&mut sending), (vec![2], vec![]));
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_before_it_was_sent_never_is() {
        let (line, mut sending) = opened(1);
        let mut dropped = Box::pin(call(&line, asked("1")));
        assert!(dropped.as_mut().now_or_never().is_none());
        drop(dropped);
        assert_eq!(sent(&mut sending), (vec![], vec![]));
        assert!(call(&line, asked("2")).now_or_never().is_none());
    }

    #[tokio::test]
    async fn calls_that_were_not_sent_are_given_back_as_they_were() {
        let (line, _sending) = opened(8);
        let keys = ["1", "22", "333", "4444"];
        let mut calls = keys.map(|key| {
            let (line, mut asked) = (line.clone(), asked(key));
            asked.timeout = Some(Duration::from_secs(key.len() as u64));
            let mut call = Box::pin(async move { call(&line, asked).await });
            assert!(call.as_mut().now_or_never().is_none());
            Some(call)
        });
        drop(calls[1].take());
        line.lost(&gone("it broke"));
        for (call, key) in calls.into_iter().zip(keys) {
            let Some(call) = call else { continue };
            let Ended::NotSent(asked) = call.await else {
                panic!("it was not sent");
            };
            assert_eq!(asked.message.key, key);
            assert_eq!(asked.timeout, Some(Duration::from_secs(key.len() as u64)));
        }
    }

    #[tokio::test]
    async fn a_call_takes_no_less_room_than_the_sidecar_counts() {
        let (line, _sending) = opened(8);
        lock(&line.calls).last_id = u64::MAX - 1;
        let mut longest = Box::pin(call(&line, asked("1")));
        assert!(longest.as_mut().now_or_never().is_none());
        let calls = lock(&line.calls);
        assert!(calls.taken.bytes >= calls.queue[0].length());
    }

    #[tokio::test]
    async fn an_answer_with_two_ids_is_nobodys() {
        let (line, mut sending) = opened(8);
        let mut one = Box::pin(call(&line, asked("1")));
        assert!(one.as_mut().now_or_never().is_none());
        assert_eq!(sent(&mut sending), (vec![1], vec![]));
        let twice = [1, 2].map(|id| SessionAnswer {
            id,
            result: Some(Outcome::Get(GetResponse::default())),
        });
        let twice = twice.map(|answer| answer.encode_to_vec()).concat();
        line.answered(1, twice.into());
        assert!(matches!(one.await, Ended::Answered(Err(_))));
    }

    #[tokio::test]
    async fn when_the_stream_breaks_what_was_sent_is_lost_and_the_rest_is_not() {
        let (line, mut sending) = opened(8);
        let mut lost = Box::pin(call(&line, asked("1")));
        assert!(lost.as_mut().now_or_never().is_none());
        assert_eq!(sent(&mut sending), (vec![1], vec![]));
        let mut unsent = Box::pin(call(&line, asked("2")));
        assert!(unsent.as_mut().now_or_never().is_none());
        line.lost(&gone("it broke"));
        assert!(matches!(lost.await, Ended::Answered(Err(_))));
        match unsent.await {
            Ended::NotSent(asked) => assert_eq!(asked.message.key, "2"),
            Ended::Answered(_) => panic!("it was not sent"),
        }
        assert!(matches!(call(&line, asked("3")).await, Ended::NotSent(_)));
        let next = sending.next().now_or_never();
        assert!(matches!(next, Some(None)), "this side ends");
    }

    #[tokio::test]
    async fn calls_take_room_in_bytes_too_and_give_it_back() {
        let (line, mut sending) = opened(8);
        let long = "k".repeat(600);
        let mut first = Box::pin(call(&line, asked(&long)));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(matches!(call(&line, asked(&long)).await, Ended::NotSent(_)));
        assert_eq!(sent(&mut sending), (vec![1], vec![]));
        answer(&line, 1);
        assert!(matches!(first.await, Ended::Answered(Ok(_))));
        let mut dropped = Box::pin(call(&line, asked(&long)));
        assert!(dropped.as_mut().now_or_never().is_none());
        assert_eq!(sent(&mut sending), (vec![2], vec![]));
        drop(dropped);
        assert_eq!(sent(&mut sending), (vec![], vec![2]));
        assert!(call(&line, asked(&long)).now_or_never().is_none());
    }
}
