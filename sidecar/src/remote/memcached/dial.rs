//! Connecting to one memcached, and telling its starts apart.
//!
//! A server that starts anew counts its states from 1 again. What it was before
//! must not match then: each start that is seen gets a number, which goes into
//! revisions. A connection never outlives a start, so that its number holds for
//! all that comes over it.

use super::codec::{self, Answer};
use super::connection::Connection;
use crate::remote::login::Login;
use crate::remote::upkeep::{Dial, NotUp};
use bytes::BytesMut;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// Longest wait for an answer; callers usually give up before.
pub(super) const ANSWER: Duration = Duration::from_secs(2);
/// How often a connection is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(1);
/// What rounding may take from an uptime.
const ROUNDING_S: u64 = 2;

/// Makes connections to one server.
pub(super) struct Dialer {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) login: Login,
    pub(super) starts: Arc<Starts>,
    pub(super) opaque: Arc<AtomicU64>,
}

/// The starts of one server, as this pod saw them.
#[derive(Default)]
pub(super) struct Starts(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    number: u16,
    last: Option<Start>,
}

#[derive(Clone, Copy)]
struct Start {
    pid: u64,
    uptime: u64,
    at: Instant,
}

impl Starts {
    /// The number of the start that a server is in which says this.
    fn number(&self, pid: u64, uptime: u64) -> u16 {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Start {
            pid,
            uptime,
            at: Instant::now(),
        };
        if !seen.last.is_some_and(|last| last.goes_on_in(&now)) {
            seen.number = seen.number.wrapping_add(1);
        }
        seen.last = Some(now);
        seen.number
    }
}

impl Start {
    /// Whether no start can lie between: its uptime would be shorter. When in
    /// doubt there was one.
    fn goes_on_in(&self, now: &Self) -> bool {
        let least = self.uptime + now.at.duration_since(self.at).as_secs();
        self.pid == now.pid && self.uptime > 2 * ROUNDING_S && now.uptime + ROUNDING_S >= least
    }
}

#[async_trait::async_trait]
impl Dial for Dialer {
    type Connection = Connection;

    async fn dial(&self) -> Result<Connection, NotUp> {
        let attempt = tokio::time::timeout(CONNECT, self.connect()).await;
        attempt.unwrap_or_else(|_| Err(self.away("it does not answer")))
    }

    async fn over(&self, connection: &Connection) -> String {
        let Some(driver) = connection.driver() else {
            return "it was over before".to_owned();
        };
        let why = tokio::select! {
            why = driver.run() => why,
            () = self.silence(connection) => "it does not answer".to_owned(),
        };
        format!("memcached {}: the connection was lost: {why}", self.name())
    }
}

impl Dialer {
    fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    fn away(&self, why: impl std::fmt::Display) -> NotUp {
        NotUp::Away(format!("memcached {}: {why}", self.name()))
    }

    fn refused(&self, why: impl std::fmt::Display) -> NotUp {
        NotUp::Refused(format!("memcached {}: {why}", self.name()))
    }

    async fn connect(&self) -> Result<Connection, NotUp> {
        let mut talk = self.talk().await?;
        let stats = talk.stats("stats").await.map_err(|e| self.judge(e))?;
        let settings = talk.stats("stats settings").await;
        let settings = settings.map_err(|e| self.judge(e))?;
        if settings.get("cas_enabled").is_some_and(|on| on == "no") {
            return Err(self.refused("started with -C, it cannot put on a condition; leave -C out"));
        }
        let number = |name: &str| stats.get(name).and_then(|text| text.parse().ok());
        let (Some(pid), Some(uptime)) = (number("pid"), number("uptime")) else {
            return Err(self.refused("it does not tell its pid and uptime"));
        };
        let incarnation = self.starts.number(pid, uptime);
        Ok(Connection::new(talk.socket, talk.bytes, incarnation))
    }

    /// A connection over which nothing but plain questions was asked.
    pub(super) async fn talk(&self) -> Result<Talk, NotUp> {
        let to = (self.host.as_str(), self.port);
        let socket = TcpStream::connect(to).await.map_err(|e| self.away(e))?;
        // Without it small requests wait for each other.
        socket.set_nodelay(true).map_err(|e| self.away(e))?;
        let bytes = BytesMut::new();
        let mut talk = Talk { socket, bytes };
        let password = self.login.password().await.map_err(|e| self.refused(e))?;
        if let Some(password) = password {
            let user = self.login.user.as_deref().unwrap_or_default();
            let login = format!("{user} {password}");
            // Expired at once, where a server that wants no login stores it.
            let set = format!("set auth 0 -1 {}\r\n{login}", login.len());
            match talk.ask(&set).await.map_err(|e| self.judge(e))? {
                Answer::Line(line) if line == "STORED" => {}
                other => {
                    return Err(self.away(format!("an odd answer to the login: {}", said(&other))));
                }
            }
        }
        Ok(talk)
    }

    fn judge(&self, error: TalkError) -> NotUp {
        match error {
            TalkError::Broken(why) => self.away(why),
            TalkError::Said(line) if line.contains("unauthenticated") => self.refused(
                "it wants a user and password: give --remote-user and --remote-password-file",
            ),
            TalkError::Said(line) if line.contains("authentication failure") => {
                self.refused("it refuses the user or password")
            }
            TalkError::Said(line) => self.refused(line),
        }
    }

    /// Returns when nothing is answered any more.
    async fn silence(&self, connection: &Connection) {
        let mut tick = tokio::time::interval(PING_EVERY);
        loop {
            tick.tick().await;
            let opaque = self.opaque.fetch_add(1, Relaxed);
            let ping = connection.ask(opaque, 1, codec::ping(opaque));
            if !matches!(tokio::time::timeout(ANSWER, ping).await, Ok(Some(_))) {
                return;
            }
        }
    }
}

/// What an answer says, without any value.
fn said(answer: &Answer) -> &str {
    match answer {
        Answer::Error(line) | Answer::Line(line) => line,
        Answer::Value { .. } | Answer::Status { .. } => "of another kind",
    }
}

/// Question and answer in turn.
pub(super) struct Talk {
    socket: TcpStream,
    bytes: BytesMut,
}

/// Why a question was not answered.
pub(super) enum TalkError {
    Broken(String),
    /// With an error.
    Said(String),
}

impl Talk {
    async fn ask(&mut self, question: &str) -> Result<Answer, TalkError> {
        let question = format!("{question}\r\n");
        let written = self.socket.write_all(question.as_bytes()).await;
        written.map_err(|e| TalkError::Broken(e.to_string()))?;
        self.next().await
    }

    async fn next(&mut self) -> Result<Answer, TalkError> {
        loop {
            let answer = codec::decode(&mut self.bytes);
            match answer.map_err(|_| TalkError::Broken("it is no memcached".to_owned()))? {
                Some(Answer::Error(line)) => return Err(TalkError::Said(line)),
                Some(answer) => return Ok(answer),
                None => {}
            }
            match self.socket.read_buf(&mut self.bytes).await {
                Ok(0) => return Err(TalkError::Broken("it hung up".to_owned())),
                Ok(_) => {}
                Err(error) => return Err(TalkError::Broken(error.to_string())),
            }
        }
    }

    /// One of the server's tables.
    pub(super) async fn stats(
        &mut self,
        question: &str,
    ) -> Result<HashMap<String, String>, TalkError> {
        let mut table = HashMap::new();
        let mut answer = self.ask(question).await?;
        loop {
            match &answer {
                Answer::Line(line) if line == "END" => return Ok(table),
                Answer::Line(line) => {
                    let mut words = line.splitn(3, ' ').skip(1);
                    if let (Some(name), Some(value)) = (words.next(), words.next()) {
                        table.insert(name.to_owned(), value.to_owned());
                    }
                }
                _ => return Err(TalkError::Broken("it is no memcached".to_owned())),
            }
            answer = self.next().await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_may_have_started_anew_gets_another_number() {
        let starts = Starts::default();
        assert_eq!(starts.number(1, 100), 1);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(starts.number(1, 109), 1, "rounded");
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(starts.number(1, 5), 2, "the same pid in a container");
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(starts.number(2, 15), 3);
        tokio::time::advance(Duration::from_millis(10)).await;
        assert_eq!(starts.number(2, 0), 4);
        assert_eq!(starts.number(2, 0), 5, "too young to tell");
    }
}
