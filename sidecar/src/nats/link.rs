//! One connection to NATS, kept up.
//!
//! Every connection is a new client: after a disconnect nothing of the old one
//! is used again, so that whoever holds a client knows that all it delivered
//! came over one unbroken connection. Waits between attempts are full jitter,
//! so that pods do not come back in step. A refusal (wrong password, untrusted
//! certificate, missing permission, unreadable file) is told apart from a
//! server that is away, tried again every 10 to 20 s and complained about once
//! a minute.

use super::{NatsConfig, options};
use crate::entropy::jitter;
use crate::telemetry::complaint::Complaint;
use async_nats::{Client, ConnectError, ConnectErrorKind, Event};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const FIRST_DELAY: Duration = Duration::from_millis(100);
/// Well within the margin in which a fleet is whole again after a fault (I-16,
/// D + 5 s): the breaker of a remote tier on NATS begins its wait after this one.
const LONGEST_DELAY: Duration = Duration::from_secs(2);
const REFUSED_DELAY: Duration = Duration::from_secs(10);

/// Whether there is a connection.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// No connection, and why; one is being tried for.
    Down(String),
    /// No connection before the configuration changes.
    Refused(String),
    /// This client is connected.
    Up(Client),
}

/// The connection of one part of the sidecar.
#[derive(Debug)]
pub(crate) struct Link {
    config: NatsConfig,
    /// Whose connection it is, for people.
    name: &'static str,
    state: watch::Sender<State>,
    again: Notify,
    complaint: Complaint,
    denied: Mutex<Option<(Instant, String)>>,
}

impl Link {
    /// Does not connect yet: [`Link::run`] does.
    pub(crate) fn new(config: NatsConfig, name: &'static str) -> Self {
        Self {
            config,
            name,
            state: watch::Sender::new(State::Down("not connected yet".to_owned())),
            again: Notify::new(),
            complaint: Complaint::default(),
            denied: Mutex::new(None),
        }
    }

    /// Whether there is a connection now.
    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// The state and its changes.
    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Closes the connection, if there is one, and opens another.
    pub(crate) fn reopen(&self) {
        self.again.notify_one();
    }

    /// The permission the server denied within the last few seconds, if any:
    /// requests that it concerns just time out.
    pub(crate) fn denied(&self) -> Option<String> {
        let denied = self.denied.lock().expect("nobody panics with this lock");
        let recent = |(at, _): &&(Instant, String)| at.elapsed() < Duration::from_secs(5);
        denied.as_ref().filter(recent).map(|(_, text)| text.clone())
    }

    /// Reports what keeps the connection away, the same at most once a minute.
    pub(crate) fn complain(&self, text: &str) {
        self.complaint.say(self.name, text);
    }

    /// Keeps the connection up until `cancel`.
    pub(crate) async fn run(&self, cancel: CancellationToken) {
        let mut attempt = 0;
        loop {
            let wait = tokio::select! {
                () = cancel.cancelled() => break,
                wait = self.once(&mut attempt) => wait,
            };
            tokio::select! {
                () = cancel.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.state.send_replace(State::Down("stopped".to_owned()));
    }

    /// One connection, from the attempt to its end; how long to wait then.
    async fn once(&self, attempt: &mut u32) -> Duration {
        // Full means 1024 unread events: the connection is given up then.
        let (tell, mut told) = mpsc::channel(1024);
        match self.connect(tell).await {
            Ok(client) => {
                *attempt = 0;
                let connected = client.clone();
                self.state.send_replace(State::Up(connected));
                let why = self.watch_over(&client, &mut told).await;
                self.state.send_replace(State::Down(why));
            }
            Err(state) => {
                if let State::Refused(why) | State::Down(why) = &state {
                    self.complain(why);
                }
                self.state.send_replace(state);
            }
        }
        *attempt = attempt.saturating_add(1);
        match self.state() {
            State::Refused(_) => REFUSED_DELAY + jitter(REFUSED_DELAY),
            _ => jitter((FIRST_DELAY * 2u32.pow((*attempt).min(6))).min(LONGEST_DELAY)),
        }
    }

    async fn connect(&self, tell: mpsc::Sender<Event>) -> Result<Client, State> {
        let addresses = options::addresses(&self.config).map_err(State::Refused)?;
        let options = options::options(&self.config, self.name).await;
        let options = options.map_err(State::Refused)?.event_callback(move |e| {
            // When it is full the counter of connects still tells of a loss.
            let _ = tell.try_send(e);
            std::future::ready(())
        });
        options.connect(addresses).await.map_err(|e| failed(&e))
    }

    /// Returns why the connection is over.
    async fn watch_over(&self, client: &Client, told: &mut mpsc::Receiver<Event>) -> String {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            let event = tokio::select! {
                () = self.again.notified() => return "closed to be opened again".to_owned(),
                _ = tick.tick() => None,
                event = told.recv() => Some(event),
            };
            // Events are best effort in the client: its counter is not.
            if client.statistics().connects.load(Ordering::Relaxed) > 1 {
                return "the connection was lost".to_owned();
            }
            match event {
                None | Some(Some(Event::Connected)) => {}
                Some(Some(Event::ServerError(async_nats::ServerError::Other(text)))) => {
                    self.server_error(&text);
                }
                Some(Some(Event::ServerError(_) | Event::LameDuckMode | Event::ClientError(_))) => {
                }
                Some(Some(other)) => return format!("the connection was lost: {other}"),
                Some(None) => return "the connection was closed".to_owned(),
            }
        }
    }

    fn server_error(&self, text: &str) {
        if text.to_ascii_lowercase().contains("permissions violation") {
            let said = format!("NATS denies a permission: {text}");
            self.complain(&said);
            let mut denied = self.denied.lock().expect("nobody panics with this lock");
            *denied = Some((Instant::now(), said));
        }
    }
}

/// Whether one side did not accept the other's certificate: the client calls
/// that an I/O error, of bytes that came but are not good.
fn untrusted(error: &ConnectError) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::InvalidData) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What a failed attempt means, and what to do about it.
fn failed(error: &ConnectError) -> State {
    let text = error.to_string();
    if text.contains("InvalidContentType") {
        return State::Refused(format!(
            "the NATS server does not speak TLS: write nats:// instead of tls:// and leave out --nats-ca, or give the server a certificate ({text})"
        ));
    }
    if text.contains("UnknownIssuer") {
        return State::Refused(format!(
            "NATS refused: the server's certificate is of an authority that is not trusted here: give it with --nats-ca ({text})"
        ));
    }
    match error.kind() {
        ConnectErrorKind::Authentication
        | ConnectErrorKind::AuthorizationViolation
        | ConnectErrorKind::ServerParse
        | ConnectErrorKind::Tls => State::Refused(format!("NATS refused: {text}")),
        ConnectErrorKind::Io if untrusted(error) => State::Refused(format!("NATS refused: {text}")),
        _ => State::Down(format!("NATS is away: {text}")),
    }
}

/// Whether the client has had one unbroken connection so far.
pub(crate) fn unbroken(client: &Client) -> bool {
    client.statistics().connects.load(Ordering::Relaxed) <= 1
}
