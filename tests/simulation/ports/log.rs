//! The log as one pod reaches it: appends, words, commands.

use super::{Pod, Point};
use crate::log::comes_through;
use crate::world::{NOBODY, Shared, World, scope_of};
use async_trait::async_trait;
use std::sync::Arc;
use unstale_engine::coherence::record::{Body, Record, SessionId};
use unstale_engine::log::{Append, Appended, Command, Event, Log, Sink as _, Subject};

pub(crate) struct PodLog(pub(crate) Arc<Pod>);

/// What a sender gives up after without an answer (µs).
const NO_ANSWER: u64 = 400_000;
/// What an answer takes at most in schedules in which it comes late (µs).
const LATE_ACK: u64 = 2_500_000;
/// When Joins begin to get lost (µs), in schedules that lose them.
const JOINS_LOST_FROM: u64 = 1_500_000;

#[async_trait]
impl Log for PodLog {
    fn name(&self) -> &'static str {
        "model"
    }

    async fn append(&self, append: Append) -> Appended {
        let (shared, number) = (&self.0.shared, self.0.number);
        if !shared.link(number, |link| link.sends()) && shared.chance(50) {
            return Appended::NotSent("no connection".into());
        }
        if self.0.loses_join(&append) {
            shared.handle.sleep(NO_ANSWER).await;
            return Appended::Unknown("the Join was lost".into());
        }
        self.0.passes(Point::Append).await;
        let done = self.0.submit_and_commit(append.clone()).await;
        self.0.note_append(&append, done.as_ref());
        self.0.passes(Point::Append).await;
        let Some(outcome) = done else {
            shared.handle.sleep(NO_ANSWER).await;
            return Appended::Unknown("the request was lost".into());
        };
        if !shared.link(number, |link| link.receives()) || shared.loses(5) {
            shared.handle.sleep(NO_ANSWER).await;
            return Appended::Unknown("the answer was lost".into());
        }
        shared.delay(50, 1_000).await;
        let now = shared.handle.now();
        if shared.with(|w| w.mix.extra.late_acks && now < w.mix.size.over()) {
            shared.delay(1_000, LATE_ACK).await;
        }
        self.0.passes(Point::Append).await;
        outcome
    }

    async fn last(&self, subject: Subject) -> Result<u64, String> {
        let (shared, number) = (&self.0.shared, self.0.number);
        let last = shared.served(self.0.way(1_000), move |w, _| w.log.last_on(subject));
        let last = last.await;
        self.0.passes(Point::Get).await;
        match shared.link(number, |link| link.sends() && link.receives()) {
            true => Ok(last),
            false => Err("no answer".into()),
        }
    }

    fn command(&self, command: Command) {
        let pod = Arc::clone(&self.0);
        if pod.dies_at(Point::Command) {
            return;
        }
        pod.shared.note(crate::timeline::Scope::Detail, || {
            format!("pod {} -> {command:?}", pod.number)
        });
        match command {
            Command::Read {
                incarnation,
                anchor,
                session,
            } => {
                let generation = pod.shared.link(pod.number, |link| link.generation);
                pod.count(incarnation, generation);
                let task = Arc::clone(&pod).read(incarnation, generation, anchor, session);
                pod.spawn(task);
            }
            Command::Stop { incarnation } => {
                let mut stopped = pod.stopped.lock().expect("no panic under the lock");
                stopped.push(incarnation);
            }
            Command::Backfill { from, to } => pod.spawn(Arc::clone(&pod).backfill(from, to)),
            Command::CheckFirst { token } => pod.spawn(Arc::clone(&pod).first(token)),
            Command::Say {
                to,
                session,
                epoch,
                sequence,
            } => {
                let word = Event::Word {
                    session,
                    epoch,
                    sequence,
                };
                pod.post(Some(to), &word);
            }
            Command::Ask { by } => pod.post(None, &Event::Asked { by }),
            Command::Listen { session } => {
                pod.shared.with(|w| w.sessions.insert(session, pod.number));
            }
            Command::Reopen => {
                let again = Arc::clone(&pod);
                pod.spawn(async move {
                    again.shared.delay(1_000, 20_000).await;
                    again.open();
                });
            }
        }
    }
}

/// A proposal that is held: whoever sent it is not answered any more, and it may
/// be committed later.
fn come_through(shared: &Shared, append: Append) {
    let Some(after) = comes_through(append.id) else {
        return;
    };
    let server = shared.clone();
    shared.handle.spawn(NOBODY, async move {
        server.handle.sleep(after).await;
        let now = server.handle.now();
        server.with(|w| w.log.lets_go(append.id).then(|| w.commit(&append, now)));
    });
}

impl Pod {
    /// The server takes an append in, and commits it a little later: readers
    /// see it then, and only then it is answered. None: it was lost, on the way
    /// or with a log that fell back meanwhile.
    async fn submit_and_commit(&self, append: Append) -> Option<Appended> {
        let (shared, number) = (self.shared.clone(), self.number);
        let (way, delay) = (self.way(2_000), shared.with(|w| w.rng.range(20, 400)));
        let server = async move {
            shared.handle.sleep(way).await;
            let (now, held) = (shared.handle.now(), append.clone());
            let submit = |w: &mut World| w.links[number].sends().then(|| w.log.submit(append, now));
            let ticket = match shared.with(submit)? {
                Ok(ticket) => ticket,
                Err(Appended::Unknown(_)) => {
                    come_through(&shared, held);
                    return None;
                }
                Err(refused) => return Some(refused),
            };
            shared.handle.sleep(delay).await;
            let now = shared.handle.now();
            shared.with(|w| w.commit_until(ticket, now))
        };
        self.shared.by_servers(server).await
    }

    /// Directed: from when the fleet is up, and as long as faults last.
    fn loses_join(&self, append: &Append) -> bool {
        let when = JOINS_LOST_FROM..self.shared.with(|w| w.mix.size.over());
        self.shared.with(|w| w.mix.extra.joins_lost)
            && when.contains(&self.shared.handle.now())
            && Record::decode(&append.payload)
                .is_ok_and(|record| matches!(record.body, Body::Join { .. }))
    }

    fn note_append(&self, append: &Append, outcome: Option<&Appended>) {
        let Ok(record) = Record::decode(&append.payload) else {
            return;
        };
        self.shared.note(scope_of(&record), || {
            let (number, reason) = (self.number, record.reason.unwrap_or_default());
            format!(
                "pod {number} appended {:?} {reason}: {outcome:?}",
                record.body
            )
        });
    }

    /// A plain message to every pod, or to the one that listens for `to`.
    fn post(self: &Arc<Self>, to: Option<SessionId>, event: &Event) {
        let pods = self.shared.with(|w| w.links.len());
        for number in 0..pods {
            let listens = |to| self.shared.with(|w| w.sessions.get(&to) == Some(&number));
            if to.is_none_or(listens) {
                let message = Arc::clone(self).carry(number, event.clone());
                // Runs in the receiver: a paused pod hears it when it wakes.
                self.shared.handle.spawn(number, message);
            }
        }
    }

    async fn carry(self: Arc<Self>, number: usize, event: Event) {
        self.shared.delay(50, 1_500).await;
        let up = self
            .shared
            .with(|w| w.links[number].receives() && w.links[self.number].sends());
        let engine = self.registry.lock().expect("no panic under the lock")[number].upgrade();
        if let (true, Some(engine)) = (up && !self.shared.loses(5), engine) {
            engine.event(event);
        }
    }
}
