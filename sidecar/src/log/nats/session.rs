//! The log over one connection: open it, obey commands, end with it.

use super::question::Question;
use super::reader;
use super::stream::{self, Why};
use super::{NatsLog, words};
use crate::nats::link::State;
use crate::nats::version;
use async_nats::Client;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use unstale_engine::coherence::record::SessionId;
use unstale_engine::log::{Command, Event, Opened, Sink};

/// One connection's session with the log.
pub(super) struct Session<'a> {
    pub(super) log: &'a NatsLog,
    pub(super) client: Client,
    pub(super) sink: Arc<dyn Sink>,
}

/// Why a session is over.
pub(super) struct Ended {
    pub(super) why: String,
    /// How long to wait before the same connection is tried again.
    pub(super) pause: Duration,
}

impl Ended {
    fn soon(why: String) -> Self {
        let pause = crate::entropy::jitter(Duration::from_secs(1));
        Self { why, pause }
    }
}

/// The tasks of a session. All are awaited before the log is called lost, so
/// that nothing of this connection is told after that.
#[derive(Default)]
struct Tasks {
    all: JoinSet<()>,
    incarnations: HashMap<u64, (AbortHandle, String)>,
    listening: Option<AbortHandle>,
}

/// Takes commands while there is no connection: whom to listen to is kept, the
/// rest is void.
pub(super) async fn wait_away(
    watch: &mut watch::Receiver<State>,
    commands: &mut mpsc::Receiver<Command>,
    listen: &mut Option<SessionId>,
) {
    loop {
        tokio::select! {
            changed = watch.changed() => {
                if changed.is_err() {
                    std::future::pending::<()>().await;
                }
                return;
            }
            Some(command) = commands.recv() => keep(command, listen),
        }
    }
}

fn keep(command: Command, listen: &mut Option<SessionId>) {
    if let Command::Listen { session } = command {
        *listen = Some(session);
    }
}

impl Session<'_> {
    /// Runs the session to its end; no task of it is left then.
    pub(super) async fn run(
        &self,
        watch: &mut watch::Receiver<State>,
        commands: &mut mpsc::Receiver<Command>,
        listen: &mut Option<SessionId>,
    ) -> Ended {
        let mut tasks = Tasks::default();
        let ended = tokio::select! {
            ended = away(watch) => ended,
            ended = self.work(&mut tasks, commands, listen) => ended,
        };
        tasks.all.shutdown().await;
        ended
    }

    async fn work(
        &self,
        tasks: &mut Tasks,
        commands: &mut mpsc::Receiver<Command>,
        listen: &mut Option<SessionId>,
    ) -> Ended {
        let (opened, unwise) = match self.open(tasks).await {
            Ok(opened) => opened,
            Err(Why::Away(text)) => return Ended::soon(self.log.link.denied().unwrap_or(text)),
            Err(Why::Wrong(why)) => {
                self.log.link.complain(&why);
                // Trying in a hurry does not help: somebody has to act.
                let pause = Duration::from_secs(10);
                return Ended { why, pause };
            }
        };
        // What was asked of an earlier connection is void.
        while let Ok(command) = commands.try_recv() {
            keep(command, listen);
        }
        if let Some(session) = *listen {
            self.listen(tasks, session).await;
        }
        self.log.adopt(opened.session_ttl, &unwise);
        // Before it is told: the sink may append at once.
        self.log.set_closed(None);
        self.sink.event(Event::Opened(opened));
        loop {
            tokio::select! {
                Some(command) = commands.recv() => self.obey(tasks, command, listen).await,
                Some(_) = tasks.all.join_next() => {}
                else => return Ended::soon("the engine is gone".to_owned()),
            }
        }
    }

    async fn open(&self, tasks: &mut Tasks) -> Result<(Opened, Vec<String>), Why> {
        let found = self.client.server_info().version;
        if let Some(warning) = version::check(&found).map_err(Why::Wrong)? {
            tracing::warn!("{warning}");
        }
        let names = &self.log.names;
        let asked = words::questions(&self.client, names)
            .await
            .map_err(Why::Away)?;
        tasks.all.spawn(words::forward(asked, self.sink.clone()));
        stream::open(&self.client, names, &self.log.config).await
    }

    async fn obey(&self, tasks: &mut Tasks, command: Command, listen: &mut Option<SessionId>) {
        match command {
            Command::Read {
                incarnation,
                anchor,
                session,
            } => self.read(tasks, incarnation, anchor, session),
            Command::Stop { incarnation } => self.stop(tasks, incarnation),
            Command::Backfill { from, to } => {
                let task = self.task();
                tasks.all.spawn(task.backfill(from, to));
            }
            Command::CheckFirst { token } => {
                tasks.all.spawn(self.task().check_first(token));
            }
            Command::Say {
                to,
                session,
                epoch,
                sequence,
            } => {
                let word = words::word(session, epoch, sequence);
                self.tell(self.log.names.word(to), word).await;
            }
            Command::Ask { by } => self.tell(self.log.names.ask(), words::question(by)).await,
            Command::Listen { session } => {
                *listen = Some(session);
                self.listen(tasks, session).await;
            }
            Command::Reopen => self.log.link.reopen(),
        }
    }

    fn read(&self, tasks: &mut Tasks, incarnation: u64, anchor: u64, session: SessionId) {
        let (client, names) = (self.client.clone(), self.log.names.clone());
        let what = (incarnation, anchor, session);
        let name = reader::consumer_name(session, incarnation);
        let sink = self.sink.clone();
        let handle = tasks.all.spawn(reader::run(client, names, what, sink));
        tasks.incarnations.insert(incarnation, (handle, name));
    }

    fn stop(&self, tasks: &mut Tasks, incarnation: u64) {
        if let Some((handle, name)) = tasks.incarnations.remove(&incarnation) {
            handle.abort();
            let (client, names) = (self.client.clone(), self.log.names.clone());
            tasks.all.spawn(reader::delete(client, names, name));
        }
    }

    async fn listen(&self, tasks: &mut Tasks, session: SessionId) {
        let subject = self.log.names.word(session);
        match self.client.subscribe(subject).await {
            Ok(words) => {
                let task = words::forward(words, self.sink.clone());
                let old = tasks.listening.replace(tasks.all.spawn(task));
                if let Some(old) = old {
                    old.abort();
                }
            }
            // Only a closed client refuses: the session ends with it.
            Err(e) => tracing::debug!("cannot listen for words: {e}"),
        }
    }

    /// Best effort: the one who waits asks again.
    async fn tell(&self, subject: String, payload: Bytes) {
        if let Err(e) = self.client.publish(subject, payload).await {
            tracing::debug!("a word was not said: {e}");
        }
    }

    fn task(&self) -> Question {
        Question {
            client: self.client.clone(),
            names: self.log.names.clone(),
            sink: self.sink.clone(),
        }
    }
}

/// Returns when this connection is over. The change stays unseen, so that a
/// connection that came back in the meantime is not missed.
async fn away(watch: &mut watch::Receiver<State>) -> Ended {
    if watch.changed().await.is_err() {
        return Ended::soon("stopped".to_owned());
    }
    watch.mark_changed();
    match &*watch.borrow() {
        State::Up(_) => Ended::soon("connected anew".to_owned()),
        State::Down(why) | State::Refused(why) => Ended::soon(why.clone()),
    }
}
