//! The log of a pod that is alone: ordered, in memory, gone with the process.
//!
//! Guarantees: sequences rise by one; every live incarnation gets every record
//! before it may be forgotten, so truncation never costs a reader anything;
//! an append is delivered before it is answered, on the caller's own task (no
//! other thread has to wake up for a Set). Commands are carried out by
//! [`LocalLog::run`], never inside [`Log::command`], because the engine calls
//! that with its lock held. It is a new log at every start: a new epoch.

use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use unstale_engine::clock::{Clock, LogTime, Moment};
use unstale_engine::coherence::record::{Record, RecordId, SessionId};
use unstale_engine::log::{
    Append, Appended, Backfilled, Command, Delivery, Event, Log, Opened, Sink, Subject,
};
use unstale_engine::position::Epoch;

/// Records kept for a new incarnation and for recognising repeated appends.
const KEPT: usize = 65_536;
/// Most bytes of them.
const KEPT_BYTES: usize = 16 * 1024 * 1024;
/// Nothing is ever dropped by age here; the engine wants a number.
const RETENTION: Duration = Duration::from_secs(40 * 24 * 3600);
/// How often a live incarnation says so.
const IDLE_EVERY: Duration = Duration::from_secs(1);
/// Commands waiting for [`LocalLog::run`]. The engine sends a handful per
/// minute; when it is full the log is opened anew, as after a reconnect.
const COMMANDS: usize = 1024;

/// The log in this process.
pub struct LocalLog {
    session_ttl: Duration,
    clock: Arc<dyn Clock>,
    started: (LogTime, Moment),
    sink: OnceLock<Arc<dyn Sink>>,
    state: Mutex<State>,
    commands: mpsc::Sender<Command>,
    waiting: Mutex<Option<mpsc::Receiver<Command>>>,
}

#[derive(Default)]
struct State {
    records: VecDeque<Kept>,
    ids: HashMap<RecordId, u64>,
    lasts: HashMap<Subject, u64>,
    last: u64,
    bytes: usize,
    epoch: Option<Epoch>,
    readers: Vec<Reader>,
    listener: Option<SessionId>,
    overrun: bool,
}

#[derive(Clone)]
struct Kept {
    sequence: u64,
    time: LogTime,
    id: RecordId,
    subject: Subject,
    payload: Bytes,
}

struct Reader {
    incarnation: u64,
    session: SessionId,
    delivered: u64,
}

impl LocalLog {
    /// An empty log. Nothing can be appended before [`LocalLog::run`] runs.
    pub fn new(session_ttl: Duration, clock: Arc<dyn Clock>) -> Arc<Self> {
        let unix = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let micros = u64::try_from(unix.as_micros()).unwrap_or(u64::MAX);
        let (commands, waiting) = mpsc::channel(COMMANDS);
        Arc::new(Self {
            session_ttl,
            started: (LogTime(micros), clock.now()),
            clock,
            sink: OnceLock::new(),
            state: Mutex::default(),
            commands,
            waiting: Mutex::new(Some(waiting)),
        })
    }

    /// Opens the log towards `sink` and carries out commands until `cancel`.
    pub async fn run(self: Arc<Self>, sink: Arc<dyn Sink>, cancel: CancellationToken) {
        let waiting = lock(&self.waiting).take();
        let mut waiting = waiting.expect("a log runs once");
        let sink = self.sink.get_or_init(|| sink);
        self.open(sink);
        let mut idle = tokio::time::interval(IDLE_EVERY);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = idle.tick() => self.idle(sink),
                command = waiting.recv() => match command {
                    Some(command) => self.carry_out(command, sink),
                    None => return,
                },
            }
        }
    }

    fn open(&self, sink: &Arc<dyn Sink>) {
        let mut state = self.state();
        state.readers.clear();
        state.overrun = false;
        sink.event(Event::Opened(Opened {
            epoch: state.epoch,
            epoch_told: state.last(Subject::Epochs),
            first: state.first(),
            last: state.last,
            session_ttl: self.session_ttl,
            retention: RETENTION,
            alone: true,
        }));
    }

    fn idle(&self, sink: &Arc<dyn Sink>) {
        let state = self.state();
        if state.overrun {
            drop(state);
            return self.open(sink);
        }
        for reader in &state.readers {
            sink.event(Event::Idle {
                incarnation: reader.incarnation,
                consumer_sequence: reader.delivered,
            });
        }
    }

    fn carry_out(&self, command: Command, sink: &Arc<dyn Sink>) {
        match command {
            Command::Read {
                incarnation,
                anchor,
                session,
            } => self.read(incarnation, anchor, session, sink),
            Command::Stop { incarnation } => {
                let mut state = self.state();
                state.readers.retain(|r| r.incarnation != incarnation);
            }
            Command::Backfill { from, to } => {
                let backfilled = self.state().backfill(from, to);
                sink.event(Event::Backfilled(backfilled));
            }
            // Whatever was dropped had been delivered to every incarnation.
            Command::CheckFirst { token } => sink.event(Event::First { token, first: 1 }),
            Command::Say {
                to,
                session,
                epoch,
                sequence,
            } => {
                if self.state().listener == Some(to) {
                    sink.event(Event::Word {
                        session,
                        epoch,
                        sequence,
                    });
                }
            }
            Command::Ask { by } => sink.event(Event::Asked { by }),
            Command::Listen { session } => self.state().listener = Some(session),
            Command::Reopen => self.open(sink),
        }
    }

    fn read(&self, incarnation: u64, anchor: u64, session: SessionId, sink: &Arc<dyn Sink>) {
        let mut state = self.state();
        if anchor < state.first() && state.last > 0 {
            // Forgotten meanwhile: the engine has to learn what there is.
            drop(state);
            return self.open(sink);
        }
        sink.event(Event::Reading { incarnation });
        let mut reader = Reader {
            incarnation,
            session,
            delivered: 0,
        };
        for kept in state.records.iter().filter(|r| r.sequence >= anchor) {
            reader.deliver(kept, sink);
        }
        state.readers.push(reader);
    }

    fn time(&self) -> LogTime {
        let (time, moment) = self.started;
        time.plus(self.clock.now().since(moment))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn first(&self) -> u64 {
        self.records.front().map_or(1, |kept| kept.sequence)
    }

    fn last(&self, subject: Subject) -> u64 {
        self.lasts.get(&subject).copied().unwrap_or(0)
    }

    fn backfill(&self, from: u64, to: u64) -> Backfilled {
        let range = self.records.iter().filter(|kept| {
            let beat = matches!(kept.subject, Subject::Beats(_));
            (from..to).contains(&kept.sequence) && !beat
        });
        Backfilled {
            from,
            to,
            first: self.first(),
            records: range
                .map(|kept| (kept.sequence, kept.time, kept.payload.clone()))
                .collect(),
        }
    }

    fn keep(&mut self, kept: Kept) {
        self.last = kept.sequence;
        if kept.subject == Subject::Epochs {
            // It outlives its record.
            let record = Record::decode(&kept.payload).ok();
            self.epoch = record.and_then(|record| record.epoch()).or(self.epoch);
        }
        self.ids.insert(kept.id, kept.sequence);
        // A session's beats are the only subjects without end.
        if !matches!(kept.subject, Subject::Beats(_)) {
            self.lasts.insert(kept.subject, kept.sequence);
        }
        self.bytes += kept.payload.len();
        self.records.push_back(kept);
        while self.records.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(gone) = self.records.pop_front() else {
                return;
            };
            self.bytes -= gone.payload.len();
            self.ids.remove(&gone.id);
        }
    }
}

impl Reader {
    fn deliver(&mut self, kept: &Kept, sink: &Arc<dyn Sink>) {
        let expires = match kept.subject {
            Subject::Beats(session) if session != self.session => return,
            Subject::Beats(_) => true,
            Subject::Records | Subject::Writes(_) | Subject::Epochs => false,
        };
        self.delivered += 1;
        sink.event(Event::Delivered(Delivery {
            incarnation: self.incarnation,
            consumer_sequence: self.delivered,
            sequence: kept.sequence,
            time: kept.time,
            id: kept.id,
            expires,
            payload: kept.payload.clone(),
        }));
    }
}

#[async_trait::async_trait]
impl Log for LocalLog {
    fn name(&self) -> &'static str {
        "local"
    }

    async fn append(&self, append: Append) -> Appended {
        let Some(sink) = self.sink.get() else {
            return Appended::NotSent("the log is not open yet".into());
        };
        let mut state = self.state();
        if let Some(sequence) = state.ids.get(&append.id) {
            return Appended::At(*sequence);
        }
        if append
            .expect_last
            .is_some_and(|last| last != state.last(append.subject))
        {
            return Appended::Conflict;
        }
        let kept = Kept {
            sequence: state.last + 1,
            time: self.time(),
            id: append.id,
            subject: append.subject,
            payload: append.payload,
        };
        state.keep(kept.clone());
        for reader in &mut state.readers {
            reader.deliver(&kept, sink);
        }
        Appended::At(kept.sequence)
    }

    async fn last(&self, subject: Subject) -> Result<u64, String> {
        Ok(self.state().last(subject))
    }

    fn command(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            // Not under the state's lock here: the engine may hold its own.
            if let Ok(mut state) = self.state.try_lock() {
                state.overrun = true;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
