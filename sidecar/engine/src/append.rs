//! An own record's way into the log: append, then wait until it is processed
//! here. An append whose caller goes away is finished in the background, and
//! its names stay covered here until then.

use crate::background::append_until_definite;
use crate::clock::Moment;
use crate::coherence::record::{Body, Record, RecordId};
use crate::coherence::{Decision, FleetOutcome, Own};
use crate::engine::{Engine, lock};
use crate::error::Error;
use crate::log::{Append, Appended, Subject};
use crate::request::Session;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// A record to append.
pub(crate) struct Outgoing {
    pub(crate) id: RecordId,
    pub(crate) body: Body,
    pub(crate) reason: Option<String>,
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
    append: Option<Append>,
    permit: Option<OwnedSemaphorePermit>,
    decided: Option<oneshot::Receiver<Decision>>,
}

/// Room for one more append, or a refusal at once.
pub(crate) fn permit(engine: &Engine) -> Result<OwnedSemaphorePermit, Error> {
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
    if engine.closing.load(Ordering::Acquire) {
        return Err(Error::ShuttingDown);
    }
    let Outgoing {
        id,
        body,
        reason,
        subject,
        expect_last,
        own,
    } = out;
    let (decider, decided) = oneshot::channel();
    for name in &own.names {
        engine.l1.remove(*name);
    }
    let origin = engine.with(|machine, _| {
        lock(&engine.deciders).insert(id, decider);
        machine.begin(id, own);
        machine.session_id()
    });
    let payload = Record {
        id,
        origin,
        reason,
        trace_id: None,
        body,
    }
    .encode()
    .into();
    engine.meter.appended();
    Ok(UnderWay {
        engine: engine.me.upgrade().expect("the caller holds the engine"),
        append: Some(Append {
            id,
            subject,
            payload,
            expect_last,
        }),
        permit: Some(permit),
        decided: Some(decided),
    })
}

impl UnderWay {
    /// Appends and waits until the record is processed here. Cancel safe: the
    /// append is finished in the background.
    pub(crate) async fn finish(mut self, deadline: Moment) -> Result<Logged, Error> {
        let append = self.append.clone().expect("not handed over yet");
        let id = append.id;
        let engine = Arc::clone(&self.engine);
        let outcome = tokio::select! {
            biased;
            outcome = engine.ports.log.append(append) => outcome,
            () = engine.ports.clock.sleep_until(deadline) => return Err(Error::DeadlineExceeded),
        };
        match outcome {
            Appended::At(sequence) => {
                self.append = None;
                acked(&engine, id, sequence);
            }
            Appended::Conflict => {
                self.append = None;
                give_up(&engine, id);
                return Ok(Logged::Conflict);
            }
            Appended::NotSent(why) => {
                self.append = None;
                give_up(&engine, id);
                return Err(Error::LogUnavailable(why));
            }
            Appended::Unknown(_) => self.hand_over(),
        }
        let decided = self.decided.take().expect("waited for once");
        tokio::select! {
            biased;
            decision = decided => decision.map(Logged::Decided).map_err(|_| Error::DeadlineExceeded),
            () = engine.ports.clock.sleep_until(deadline) => Err(Error::DeadlineExceeded),
        }
    }

    /// Goes on in the background; the decision comes when it comes.
    pub(crate) fn detach(mut self) -> oneshot::Receiver<Decision> {
        self.hand_over();
        self.decided.take().expect("waited for once")
    }

    fn hand_over(&mut self) {
        if let (Some(append), Some(permit)) = (self.append.take(), self.permit.take()) {
            let engine = Arc::clone(&self.engine);
            let job = Box::pin(append_until_definite(engine, append, permit));
            // The queue has room for every permit; it is closed only at the end.
            self.engine.background.hand(job);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.hand_over();
    }
}

/// The log has the record: its delivery decides it, or it was passed before.
pub(crate) fn acked(engine: &Engine, id: RecordId, sequence: u64) {
    engine.with(|machine, _| machine.acked(id, sequence));
}

/// The record is definitely not in the log.
pub(crate) fn give_up(engine: &Engine, id: RecordId) {
    lock(&engine.deciders).remove(&id);
    engine.with(|machine, _| machine.forget(id));
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
