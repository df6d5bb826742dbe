//! One log in memory that several engines read, in paused time. Links can be
//! cut, deliveries held back; everything else is as the port says.

use crate::Engine;
use crate::clock::*;
use crate::coherence::record::*;
use crate::log::*;
use crate::position::*;
use std::collections::HashMap;
use std::sync::atomic::*;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Done when the clock is looked at; true: it is done.
type Deed = Box<dyn FnMut() -> bool + Send>;
/// Paused time, what was added to it, and what is to be done after so many looks.
pub(super) struct Time(
    pub(super) Instant,
    pub(super) AtomicU64,
    pub(super) Mutex<Option<(u32, Deed)>>,
);
impl Time {
    fn look(&self) {
        let due = self.2.lock().unwrap().take();
        let left = match due {
            Some((0, mut deed)) => (!deed()).then_some((0, deed)),
            Some((looks, deed)) => Some((looks - 1, deed)),
            None => return,
        };
        *self.2.lock().unwrap() = left;
    }
}
#[async_trait::async_trait]
impl Clock for Time {
    fn now(&self) -> Moment {
        self.look();
        Moment::new(
            Duration::from_secs(1000)
                + self.0.elapsed()
                + Duration::from_millis(self.1.load(Ordering::SeqCst)),
        )
    }
    async fn sleep_until(&self, at: Moment) {
        while self.now() < at {
            tokio::time::sleep(at.since(self.now()).min(Duration::from_millis(2))).await;
        }
    }
}
/// The log itself.
#[derive(Default)]
pub(super) struct Core {
    pub(super) delay_ms: u64,
    pub(super) holds_backfill: bool,
    /// So many records are lost on their way to the replicas, and their ids kept
    /// for under way.
    pub(super) loses: u64,
    pub(super) held: Vec<Append>,
    /// How many of the oldest records were discarded.
    pub(super) discarded: u64,
    pub(super) holds_first: bool,
    pub(super) recs: Vec<Delivery>,
    pub(super) subs: Vec<Subject>,
    pub(super) ids: HashMap<RecordId, u64>,
    pub(super) epoch: Option<Epoch>,
    pub(super) pods: Vec<Weak<PodLog>>,
}
/// The log as one pod reaches it.
pub(super) struct PodLog {
    pub(super) core: Arc<Mutex<Core>>,
    pub(super) clk: Arc<Time>,
    pub(super) sink: Mutex<Option<Arc<Engine>>>,
    pub(super) reader: Mutex<Option<(u64, u64, SessionId)>>,
    pub(super) cmds: mpsc::UnboundedSender<Command>,
    pub(super) down: AtomicBool,
    pub(super) deaf: AtomicBool,
}
impl PodLog {
    fn deliver(&self, d: &Delivery, sub: Subject) {
        if self.deaf.load(Ordering::SeqCst) {
            return;
        }
        let mut r = self.reader.lock().unwrap();
        let Some((inc, n, s)) = r.as_mut() else {
            return;
        };
        if let Subject::Beats(of) = sub
            && of != *s
        {
            return;
        }
        *n += 1;
        let d = Delivery {
            incarnation: *inc,
            consumer_sequence: *n,
            ..d.clone()
        };
        let sink = self.sink.lock().unwrap().clone().unwrap();
        drop(r);
        sink.event(Event::Delivered(d));
    }
    pub(super) fn undeaf(&self, from: usize) {
        self.deaf.store(false, Ordering::SeqCst);
        let all: Vec<_> = {
            let c = self.core.lock().unwrap();
            c.recs
                .iter()
                .cloned()
                .zip(c.subs.clone())
                .skip(from)
                .collect()
        };
        for (d, s) in all {
            self.deliver(&d, s);
        }
    }
}
#[async_trait::async_trait]
impl Log for PodLog {
    fn name(&self) -> &'static str {
        "fake"
    }
    async fn append(&self, a: Append) -> Appended {
        if self.down.load(Ordering::SeqCst) {
            return Appended::NotSent("down".into());
        }
        let ms = self.core.lock().unwrap().delay_ms;
        if ms > 0 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        let (d, pods) = {
            let mut c = self.core.lock().unwrap();
            if let Some(s) = c.ids.get(&a.id) {
                return Appended::At(*s);
            }
            if c.held.iter().any(|held| held.id == a.id) {
                return Appended::Held;
            }
            if c.loses(&a) {
                return Appended::Unknown("lost".into());
            }
            if a.expect_last.is_some_and(|e| e != c.last(a.subject)) {
                return Appended::Conflict;
            }
            let d = c.push(&a, self.clk.now());
            (d, c.pods.clone())
        };
        for p in pods.iter().filter_map(Weak::upgrade) {
            p.deliver(&d, a.subject);
        }
        Appended::At(d.sequence)
    }
    async fn last(&self, sub: Subject) -> Result<u64, String> {
        let c = self.core.lock().unwrap();
        Ok(c.subs
            .iter()
            .rposition(|s| *s == sub)
            .map_or(0, |i| i as u64 + 1))
    }
    fn command(&self, c: Command) {
        let _ = self.cmds.send(c);
    }
}
/// Carries out the engine's commands, and says now and then that it is alive.
pub(super) async fn follow(log: Arc<PodLog>, mut commands: mpsc::UnboundedReceiver<Command>) {
    let sink = log.sink.lock().unwrap().clone().unwrap();
    sink.event(log.opened());
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => log.obey(command, &sink),
                None => return,
            },
            () = tokio::time::sleep(Duration::from_millis(200)) => log.idle(&sink),
        }
    }
}

impl PodLog {
    /// What was held comes through after all.
    pub(super) fn comes_through(&self) {
        let (all, pods) = {
            let mut core = self.core.lock().unwrap();
            let held = std::mem::take(&mut core.held);
            let now = self.clk.now();
            let all = held.iter().map(|a| (core.push(a, now), a.subject));
            (all.collect::<Vec<_>>(), core.pods.clone())
        };
        for pod in pods.iter().filter_map(Weak::upgrade) {
            all.iter().for_each(|(d, subject)| pod.deliver(d, *subject));
        }
    }

    pub(super) fn opened(&self) -> Event {
        let core = self.core.lock().unwrap();
        Event::Opened(Opened {
            epoch: core.epoch,
            epoch_told: core.last(Subject::Epochs),
            first: core.discarded + 1,
            last: core.recs.len() as u64,
            session_ttl: Duration::from_secs(15),
            retention: Duration::from_secs(40 * 86400),
            alone: true,
        })
    }

    fn idle(&self, sink: &Arc<Engine>) {
        let reader = *self.reader.lock().unwrap();
        if let Some((incarnation, consumer_sequence, _)) = reader
            && !self.deaf.load(Ordering::SeqCst)
        {
            sink.event(Event::Idle {
                incarnation,
                consumer_sequence,
            });
        }
    }

    fn obey(&self, command: Command, sink: &Arc<Engine>) {
        match command {
            Command::Read {
                incarnation,
                anchor,
                session,
            } => {
                *self.reader.lock().unwrap() = Some((incarnation, 0, session));
                self.undeaf(anchor as usize - 1);
            }
            Command::Stop { incarnation } => {
                let mut reader = self.reader.lock().unwrap();
                reader.take_if(|reader| reader.0 == incarnation);
            }
            Command::Backfill { from, to } => {
                if let Some(past) = self.core.lock().unwrap().past(from, to) {
                    sink.event(Event::Backfilled(past));
                }
            }
            Command::CheckFirst { .. } if self.core.lock().unwrap().holds_first => {}
            Command::CheckFirst { token } => {
                let first = self.core.lock().unwrap().discarded + 1;
                sink.event(Event::First { token, first });
            }
            Command::Reopen => sink.event(self.opened()),
            Command::Say { .. } | Command::Ask { .. } | Command::Listen { .. } => {}
        }
    }
}

impl Core {
    fn push(&mut self, a: &Append, now: Moment) -> Delivery {
        let seq = self.recs.len() as u64 + 1;
        if let Ok(r) = Record::decode(&a.payload)
            && let Some(e) = r.epoch()
        {
            self.epoch = Some(e);
        }
        let micros = now.since(Moment::default()).as_micros() as u64;
        let d = Delivery {
            incarnation: 0,
            consumer_sequence: 0,
            sequence: seq,
            time: LogTime(1_700_000_000_000_000 + micros),
            id: a.id,
            expires: matches!(a.subject, Subject::Beats(_)),
            payload: a.payload.clone(),
        };
        self.recs.push(d.clone());
        self.subs.push(a.subject);
        self.ids.insert(a.id, seq);
        d
    }

    /// Whether it is lost: a change, no word of a session.
    fn loses(&mut self, append: &Append) -> bool {
        let record = Record::decode(&append.payload).unwrap();
        let is_change = matches!(record.body, Body::Invalidate(_) | Body::Write(_));
        let is_lost = is_change && self.loses > 0;
        if is_lost {
            self.loses -= 1;
            self.held.push(append.clone());
        }
        is_lost
    }

    /// The newest sequence on a subject; 0: none.
    fn last(&self, subject: Subject) -> u64 {
        let at = self.subs.iter().rposition(|other| *other == subject);
        at.map_or(0, |at| at as u64 + 1)
    }

    fn past(&self, from: u64, to: u64) -> Option<Backfilled> {
        let range = self.recs.iter();
        let range = range.filter(|d| !d.expires && (from..to).contains(&d.sequence));
        let records = range.map(|d| (d.sequence, d.time, d.payload.clone()));
        (!self.holds_backfill).then(|| Backfilled {
            from,
            to,
            first: self.discarded + 1,
            records: records.collect(),
        })
    }
}
