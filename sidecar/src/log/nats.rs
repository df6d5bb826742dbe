//! The ordered log on NATS JetStream.
//!
//! Guarantees: events are handed over in the order in which they happened, no
//! delivery is dropped silently, and nothing of a connection that was lost is
//! delivered after its [`Event::Lost`]. Only an open log takes appends. It judges nothing: the engine does.

mod append;
mod names;
mod question;
mod reader;
mod session;
mod stream;
mod words;

use crate::nats::link::{Link, State};
use crate::nats::{NatsConfig, seconds};
use async_nats::Client;
use names::Names;
use serde::Deserialize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use unstale_engine::log::{Append, Appended, Command, Event, Log, Sink, Subject};

/// Commands that may wait. The engine sends a few a second; when they pile up
/// the session is stuck, and a new connection is the way out.
const COMMANDS: usize = 4096;

/// The log's configuration. What the stream says wins over the ttl and the
/// retention here, which only matter to the pod that makes the stream.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsLogConfig {
    /// The connection.
    pub connection: NatsConfig,
    /// The fleet's name: pods of one name share one log.
    pub fleet: String,
    /// SESSION_TTL of a new log.
    #[serde(deserialize_with = "seconds")]
    pub session_ttl: Duration,
    /// How long a new log keeps records; longer than the longest ttl.
    #[serde(deserialize_with = "seconds")]
    pub retention: Duration,
    /// Replicas of a new log's stream.
    pub replicas: u8,
}

impl Default for NatsLogConfig {
    fn default() -> Self {
        Self {
            connection: NatsConfig::default(),
            fleet: "default".to_owned(),
            session_ttl: Duration::from_secs(10),
            retention: Duration::from_secs(31 * 24 * 3600),
            replicas: 1,
        }
    }
}

/// The log's driver. [`NatsLog::run`] does the work.
pub struct NatsLog {
    config: NatsLogConfig,
    names: Names,
    link: Link,
    /// What keeps the log from being used; none while it is open.
    closed: Mutex<Option<String>>,
    give: mpsc::Sender<Command>,
    commands: Mutex<Option<mpsc::Receiver<Command>>>,
    /// SESSION_TTL as the log said it last, in ms; 0 before that.
    session_ttl: AtomicU64,
}

impl NatsLog {
    /// Connects nowhere yet, and never fails: what is wrong is told as
    /// [`Event::Lost`].
    pub fn new(config: NatsLogConfig) -> Arc<Self> {
        let (give, commands) = mpsc::channel(COMMANDS);
        Arc::new(Self {
            names: Names::new(&config.fleet),
            link: Link::new(config.connection.clone(), "log"),
            closed: Mutex::new(Some("not opened yet".to_owned())),
            config,
            give,
            commands: Mutex::new(Some(commands)),
            session_ttl: AtomicU64::new(0),
        })
    }

    /// SESSION_TTL as the log says it; none while it was never opened.
    pub fn session_ttl(&self) -> Option<Duration> {
        match self.session_ttl.load(Relaxed) {
            0 => None,
            millis => Some(Duration::from_millis(millis)),
        }
    }

    /// The log's word counts; a setting that differs is told of, once, and so is
    /// what is unwise about the stream.
    fn adopt(&self, said: Duration, unwise: &[String]) {
        let millis = u64::try_from(said.as_millis()).unwrap_or(u64::MAX);
        let before = self.session_ttl.swap(millis, Relaxed);
        for warning in unwise.iter().filter(|_| before == 0) {
            tracing::warn!("{warning}");
        }
        let wanted = self.config.session_ttl;
        if before != millis && said != wanted {
            tracing::warn!(
                "the log says session_ttl {said:?}, which counts; the setting's {wanted:?} does nothing"
            );
        }
    }

    /// Keeps the log open and feeds `sink` until `cancel`. All its tasks end
    /// with it. To be called once.
    pub async fn run(self: Arc<Self>, sink: Arc<dyn Sink>, cancel: CancellationToken) {
        let taken = self
            .commands
            .lock()
            .expect("nobody panics with this lock")
            .take();
        let Some(mut commands) = taken else { return };
        let over = cancel.clone();
        tokio::select! {
            () = self.link.run(cancel) => {}
            () = self.follow(&sink, &mut commands) => {}
        }
        if over.is_cancelled() {
            sink.event(Event::Lost("stopped".to_owned()));
        }
    }

    fn set_closed(&self, why: Option<String>) {
        *self.closed.lock().expect("nobody panics with this lock") = why;
    }

    /// The client of an open log. A connection alone is not enough: its server
    /// may be too old, or the stream not the one that is needed, and an append
    /// that nobody takes is never definite.
    fn client(&self) -> Result<Client, String> {
        let closed = self.closed.lock().expect("nobody panics with this lock");
        match (self.link.state(), closed.as_ref()) {
            (State::Up(client), None) => Ok(client),
            (State::Up(_), Some(why)) => Err(why.clone()),
            (State::Down(why) | State::Refused(why), _) => Err(why),
        }
    }

    /// One session per connection, for ever.
    async fn follow(&self, sink: &Arc<dyn Sink>, commands: &mut mpsc::Receiver<Command>) {
        let mut watch = self.link.watch();
        let mut listen = None;
        let mut told = String::new();
        loop {
            let state = watch.borrow_and_update().clone();
            let (why, pause) = match state {
                State::Up(client) => {
                    told.clear();
                    let sink = sink.clone();
                    let log = self;
                    let session = session::Session { log, client, sink };
                    let ended = session.run(&mut watch, commands, &mut listen).await;
                    (ended.why, Some(ended.pause))
                }
                State::Down(why) | State::Refused(why) => (why, None),
            };
            self.set_closed(Some(why.clone()));
            if told != why {
                told.clone_from(&why);
                sink.event(Event::Lost(why));
            }
            let pause = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = pause => {}
                () = session::wait_away(&mut watch, commands, &mut listen) => {}
            }
        }
    }
}

#[async_trait::async_trait]
impl Log for NatsLog {
    fn name(&self) -> &'static str {
        "nats"
    }

    async fn append(&self, append: Append) -> Appended {
        match self.client() {
            Ok(client) => append::append(&client, &self.link, &self.names, append).await,
            Err(why) => Appended::NotSent(why),
        }
    }

    async fn last(&self, subject: Subject) -> Result<u64, String> {
        append::last(&self.client()?, &self.names, subject).await
    }

    fn command(&self, command: Command) {
        if self.give.try_send(command).is_err() {
            tracing::warn!("commands to the log pile up; it is opened again");
            self.link.reopen();
        }
    }
}
