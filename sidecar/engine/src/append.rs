//! An own record's way into the log: append, then wait until it is processed
//! here. An append whose caller goes away is finished in the background, and
//! its names stay covered here until then.

use crate::clock::Moment;
use crate::coherence::record::{Body, Record, RecordId};
use crate::coherence::{Bug, Decision, FleetOutcome, Own};
use crate::engine::{Engine, lock};
use crate::error::Error;
use crate::log::{Append, Appended, Subject};
use crate::repeat;
use crate::request::{Mode, Session};
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// A record to append.
pub(crate) struct Outgoing {
    pub(crate) id: RecordId,
    pub(crate) body: Body,
    pub(crate) reason: Option<String>,
    pub(crate) trace_id: Option<u128>,
    pub(crate) subject: Subject,
    pub(crate) expect_last: Option<u64>,
    pub(crate) own: Own,
}

/// What became of it.
pub(crate) enum Logged {
    Decided(Decision),
    /// The conditional append found another record.
    Conflict,
}

/// An append under way, its names covered here.
pub(crate) struct UnderWay {
    engine: Arc<Engine>,
    id: RecordId,
    /// To be appended (again); none once the log has answered for good.
    append: Option<Append>,
    permit: Option<OwnedSemaphorePermit>,
    decided: Option<oneshot::Receiver<Decision>>,
    /// The log gave no definite answer.
    unanswered: bool,
}

/// Room for one more append, or a refusal at once.
pub(crate) fn permit(engine: &Engine) -> Result<OwnedSemaphorePermit, Error> {
    // A pod that leaves takes all permits: that is not too much in flight.
    if engine.is_closing() {
        return Err(Error::ShuttingDown);
    }
    engine
        .background
        .permit()
        .inspect_err(|_| engine.meter.overloaded())
}

/// Covers the record's names here from now on.
pub(crate) fn begin(
    engine: &Engine,
    out: Outgoing,
    permit: OwnedSemaphorePermit,
) -> Result<UnderWay, Error> {
    if engine.is_closing() {
        return Err(Error::ShuttingDown);
    }
    let Outgoing {
        id,
        body,
        reason,
        trace_id,
        subject,
        expect_last,
        own,
    } = out;
    let (decider, decided) = oneshot::channel();
    if own.mode == Mode::Hard {
        own.names.iter().for_each(|name| engine.l1.remove(*name));
    }
    let (id, origin) = engine.with(|machine, _| {
        // A repeat while the first is still under way here is a record of its
        // own, which is harmless.
        let id = match machine.is_open(id) {
            true => RecordId(engine.ports.random.bits()),
            false => id,
        };
        lock(&engine.deciders).insert(id, decider);
        machine.begin(id, own);
        (id, machine.session_id())
    });
    let payload = Record {
        id,
        origin,
        reason,
        trace_id,
        body,
    }
    .encode()
    .into();
    engine.meter.appended();
    Ok(UnderWay {
        engine: engine.me.upgrade().expect("the caller holds the engine"),
        id,
        append: Some(Append {
            id,
            subject,
            payload,
            expect_last,
        }),
        permit: Some(permit),
        decided: Some(decided),
        unanswered: false,
    })
}

impl UnderWay {
    /// Appends and waits until the record is processed here. Cancel safe: the
    /// append is finished in the background. What is under way keeps its permit
    /// until it is dropped, so that a pod that leaves waits for it.
    pub(crate) async fn finish(&mut self, deadline: Moment) -> Result<Logged, Error> {
        let append = self.append.clone().expect("not handed over yet");
        let engine = Arc::clone(&self.engine);
        // A connection whose log was not opened (a server that is too old, say)
        // is none.
        let away = engine.ask(|machine, _| machine.log_error().map(str::to_owned));
        if let Some(why) = away {
            self.give_up();
            return Err(Error::LogUnavailable(why));
        }
        let appended = async {
            its_turn(&engine, self.id).await;
            engine.ports.log.append(append).await
        };
        let outcome = tokio::select! {
            biased;
            outcome = appended => outcome,
            () = engine.ports.clock.sleep_until(deadline) => return Err(Error::DeadlineExceeded),
        };
        match outcome {
            Appended::At(sequence) => {
                self.append = None;
                acked(&engine, self.id, sequence);
            }
            Appended::Conflict => {
                self.give_up();
                return Ok(Logged::Conflict);
            }
            Appended::NotSent(why) => {
                self.give_up();
                return Err(Error::LogUnavailable(why));
            }
            Appended::Unknown(_) if self.is_done_anew() => {
                self.give_up();
                self.unanswered = true;
                return Ok(Logged::Conflict);
            }
            Appended::Unknown(_) | Appended::Held => {
                return decision(&engine, self.detach(), deadline).await;
            }
        }
        let decided = self.decided.as_mut().expect("waited for once");
        let logged = decision(&engine, decided, deadline).await;
        if logged.is_ok() {
            self.decided = None;
        }
        logged
    }

    /// Planted bugs only: a write without an answer is not finished but given up
    /// as if it had lost, and done anew.
    fn is_done_anew(&self) -> bool {
        let bugs = self.engine.options.bugs;
        let Some(append) = &self.append else {
            return false;
        };
        matches!(append.subject, Subject::Writes(_))
            && match append.expect_last {
                Some(_) => bugs.has(Bug::CasRetried),
                None => bugs.has(Bug::SetReplayed),
            }
    }

    /// Whether it ended as in [`UnderWay::is_done_anew`].
    pub(crate) fn is_unanswered(&self) -> bool {
        self.unanswered
    }

    /// Goes on in the background; the decision comes when it comes.
    fn detach(&mut self) -> oneshot::Receiver<Decision> {
        let (tell, told) = oneshot::channel();
        self.detach_then(|decision| async move {
            // Nobody may want to know.
            let _ = tell.send(decision);
        });
        told
    }

    /// Goes on in the background, `then` included.
    pub(crate) fn detach_then<F>(&mut self, then: impl FnOnce(Decision) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let (append, decided) = (self.append.take(), self.decided.take());
        let (Some(permit), Some(decided)) = (self.permit.take(), decided) else {
            return;
        };
        let engine = Arc::clone(&self.engine);
        let job = async move {
            if let Some(append) = append {
                repeat::until_definite(&engine, append).await;
            }
            if let Ok(decision) = decided.await {
                then(decision).await;
            }
        };
        self.engine.background.hand(permit, Box::pin(job));
    }

    /// The record is definitely not in the log.
    fn give_up(&mut self) {
        (self.append, self.decided) = (None, None);
        give_up(&self.engine, self.id);
    }
}

/// Its caller went away. What is not decided yet keeps its permit until it is,
/// so that what is open here stays bounded.
impl Drop for UnderWay {
    fn drop(&mut self) {
        let (append, decided) = (self.append.take(), self.decided.take());
        let (Some(permit), Some(decided)) = (self.permit.take(), decided) else {
            return;
        };
        let engine = Arc::clone(&self.engine);
        let job = async move {
            if let Some(append) = append {
                repeat::until_definite(&engine, append).await;
            }
            let _ = decided.await;
        };
        self.engine.background.hand(permit, Box::pin(job));
    }
}

async fn decision(
    engine: &Engine,
    decided: impl Future<Output = Result<Decision, oneshot::error::RecvError>>,
    deadline: Moment,
) -> Result<Logged, Error> {
    tokio::select! {
        biased;
        decision = decided => decision.map(Logged::Decided).map_err(|_| Error::DeadlineExceeded),
        () = engine.ports.clock.sleep_until(deadline) => Err(Error::DeadlineExceeded),
    }
}

/// Waits until every earlier write that this record covers, and that was
/// answered OK, is decided.
pub(crate) async fn its_turn(engine: &Engine, id: RecordId) {
    loop {
        let turn = engine.turn.notified();
        let mut turn = std::pin::pin!(turn);
        turn.as_mut().enable();
        if engine.ask(|machine, _| machine.is_its_turn(id)) {
            return;
        }
        turn.await;
    }
}

/// The log has the record: its delivery decides it, or it was passed before.
pub(crate) fn acked(engine: &Engine, id: RecordId, sequence: u64) {
    engine.with(|machine, _| machine.acked(id, sequence));
}

/// Nobody waits for the record any more: it is not in the log, or nobody knows.
pub(crate) fn give_up(engine: &Engine, id: RecordId) {
    lock(&engine.deciders).remove(&id);
    engine.with(|machine, _| machine.forget(id));
    engine.turn.notify_waiters();
}

/// Waits until every session has processed `sequence` or has lapsed.
pub(crate) async fn fleet(
    engine: &Engine,
    sequence: u64,
    deadline: Moment,
) -> Result<(Vec<Session>, Vec<Session>), Error> {
    let (waiter, outcome) = oneshot::channel();
    let number = engine.with(|machine, now| {
        // Registered before the actions run: the wait may end at once.
        let number = machine.next_fleet();
        lock(&engine.fleets).insert(number, waiter);
        machine.await_fleet(sequence, now)
    });
    engine.background.wake();
    let guard = FleetGuard { engine, number };
    let outcome = tokio::select! {
        biased;
        outcome = outcome => outcome.map_err(|_| Error::FleetUnknown)?,
        () = engine.ports.clock.sleep_until(deadline) => return Err(Error::DeadlineExceeded),
    };
    drop(guard);
    match outcome {
        FleetOutcome::Done { acked, lapsed } => Ok((acked, lapsed)),
        FleetOutcome::Unknown => Err(Error::FleetUnknown),
    }
}

/// A wait whose caller went away is forgotten.
struct FleetGuard<'a> {
    engine: &'a Engine,
    number: u64,
}

impl Drop for FleetGuard<'_> {
    fn drop(&mut self) {
        if lock(&self.engine.fleets).remove(&self.number).is_some() {
            self.engine
                .with(|machine, _| machine.cancel_fleet(self.number));
        }
    }
}
