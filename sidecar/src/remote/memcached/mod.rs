//! The remote tier on memcached, over its meta protocol.
//!
//! Guarantees: a put is conditional on exactly the state named; a revision
//! never comes back (the server's own count, and which start of the server it
//! is of); one that was sent and not answered is reported as unknown. Each key
//! has one server, the same on every pod that is given the same servers; while
//! it is away its keys are. Keeps nothing longer than 30 days, the longest that
//! memcached counts from now. Speaks no TLS.

pub mod check;
mod codec;
mod connection;
mod dial;

use self::codec::{Answer, Code, Expected, Flags};
use self::connection::Connection;
use self::dial::{ANSWER, Dialer, Starts};
use super::hints::Hints;
use super::login::Login;
use super::upkeep::{Open, Upkeep};
use crate::telemetry::complaint::Complaint;
use bytes::Bytes;
use futures::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use unstale_engine::key::NameHash;
use unstale_engine::remote::{Expect, PutOutcome, Read, Remote, RemoteError, Revision, Stored};

/// Connections to each server: a large record holds up half of the others.
const CONNECTIONS: usize = 2;
/// Longer times are dates to memcached.
const TTL_MAX_S: u64 = 30 * 24 * 3600;
/// Bits of a revision that count states; the rest is the server's start.
const CAS_BITS: u32 = 48;

/// The tier's configuration.
#[derive(Clone, Debug)]
pub struct MemcachedConfig {
    /// Where the servers are; at least one.
    pub hosts: Vec<(String, u16)>,
    /// Who to be there.
    pub login: Login,
    /// The fleet's name: pods of one name share one tier.
    pub fleet: String,
}

/// The tier. [`MemcachedTier::run`] keeps its connections up.
pub struct MemcachedTier {
    fleet: String,
    servers: Vec<Server>,
    hints: Hints,
    opaque: Arc<AtomicU64>,
}

struct Server {
    /// As the settings name it: what keys are given to.
    name: String,
    links: [Upkeep<Dialer>; CONNECTIONS],
}

impl MemcachedTier {
    /// Connects nowhere yet, and never fails.
    pub fn new(config: MemcachedConfig, hints: Hints) -> Arc<Self> {
        let opaque = Arc::new(AtomicU64::new(0));
        let server = |(host, port): (String, u16)| {
            let starts = Arc::new(Starts::default());
            let complaint = Arc::<Complaint>::default();
            let link = |_| {
                let dialer = Dialer {
                    host: host.clone(),
                    port,
                    login: config.login.clone(),
                    starts: starts.clone(),
                    opaque: opaque.clone(),
                };
                Upkeep::new(dialer, "remote", complaint.clone())
            };
            Server {
                name: format!("{host}:{port}"),
                links: std::array::from_fn(link),
            }
        };
        Arc::new(Self {
            fleet: config.fleet,
            servers: config.hosts.into_iter().map(server).collect(),
            hints,
            opaque: opaque.clone(),
        })
    }

    /// Keeps the connections up until `cancel`.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let links = self.servers.iter().flat_map(|server| &server.links);
        let links = links.map(|link| link.run(cancel.clone()));
        let links = futures::future::join_all(links);
        tokio::join!(links, self.hints.run(cancel.clone()));
    }

    fn key(&self, key: NameHash) -> String {
        format!("unstale:{}:{:032x}", self.fleet, key.0)
    }

    /// The connection for a key: always the same, because a revision is only
    /// good where it was read. Each key goes to the server that ranks highest
    /// for it, so that one server more takes over only its share.
    fn link(&self, key: NameHash) -> &Upkeep<Dialer> {
        let (server, link) = self.place(key);
        &self.servers[server].links[link]
    }

    fn place(&self, key: NameHash) -> (usize, usize) {
        let link = (key.0 % CONNECTIONS as u128) as usize;
        (self.server(key), link)
    }

    fn server(&self, key: NameHash) -> usize {
        if self.servers.len() == 1 {
            return 0;
        }
        let servers = self.servers.iter().enumerate();
        let best = servers.max_by_key(|(_, server)| rank(&server.name, key));
        best.expect("settings name a server").0
    }

    /// Whether a server answers on each connection.
    async fn ping_to(&self, server: &Server) -> Result<(), RemoteError> {
        for link in &server.links {
            let open = link.open()?;
            let answer = self.ask(link, &open, codec::ping).await;
            answer.map_err(Failure::of_read)?;
        }
        Ok(())
    }

    async fn ask(
        &self,
        link: &Upkeep<Dialer>,
        open: &Open<Connection>,
        request: impl FnOnce(u64) -> Bytes,
    ) -> Result<Answer, Failure> {
        let mut answers = self.ask_many(open, 1, request).await?;
        let answer = answers.pop().ok_or(Failure::NoAnswer)?;
        no_error(link, open, answer)
    }

    /// So many requests at once, an answer to each.
    async fn ask_many(
        &self,
        open: &Open<Connection>,
        count: usize,
        requests: impl FnOnce(u64) -> Bytes,
    ) -> Result<Vec<Answer>, Failure> {
        let opaque = self.opaque.fetch_add(count as u64, Relaxed);
        let asked = open.connection.ask(opaque, count, requests(opaque));
        let answers = open.answer(tokio::time::timeout(ANSWER, asked)).await;
        match answers {
            Some(Ok(Some(answers))) => Ok(answers),
            Some(Ok(None) | Err(_)) | None => Err(Failure::NoAnswer),
        }
    }

    /// Reads keys of one connection.
    async fn read(&self, link: &Upkeep<Dialer>, keys: &[NameHash]) -> Vec<Read> {
        let failed = |error: RemoteError| keys.iter().map(|_| Err(error.clone())).collect();
        let open = match link.open() {
            Ok(open) => open,
            Err(error) => return failed(error),
        };
        let names = keys.iter().map(|key| self.key(*key));
        let requests = |opaque| codec::get(names, opaque);
        match self.ask_many(&open, keys.len(), requests).await {
            Ok(answers) => {
                let answers = answers.into_iter();
                let read = |answer| stored(link, &open, answer).map_err(Failure::of_read);
                answers.map(read).collect()
            }
            Err(failure) => failed(failure.of_read()),
        }
    }
}

/// What an answer to a read tells.
fn stored(
    link: &Upkeep<Dialer>,
    open: &Open<Connection>,
    answer: Answer,
) -> Result<Option<Stored>, Failure> {
    match no_error(link, open, answer)? {
        Answer::Status {
            code: Code::Miss, ..
        } => Ok(None),
        Answer::Value {
            data: record,
            flags,
        } => {
            let stored = revision(open, flags).map(|revision| Stored { revision, record });
            stored.map(Some).ok_or_else(|| out_of_step(link))
        }
        _ => Err(out_of_step(link)),
    }
}

fn no_error(
    link: &Upkeep<Dialer>,
    open: &Open<Connection>,
    answer: Answer,
) -> Result<Answer, Failure> {
    match answer {
        Answer::Error(line) => Err(refusal(link, open, &line)),
        answer => Ok(answer),
    }
}

fn rank(server: &str, key: NameHash) -> u64 {
    let mut hash = blake3::Hasher::new();
    hash.update(server.as_bytes()).update(&key.0.to_be_bytes());
    let hash = hash.finalize();
    let first = hash.as_bytes().iter().take(8);
    first.fold(0, |rank, byte| rank << 8 | u64::from(*byte))
}

/// Why there is no answer of use.
enum Failure {
    NoAnswer,
    /// Nothing was done.
    Refused(String),
    Misconfigured(String),
}

impl Failure {
    fn of_read(self) -> RemoteError {
        match self {
            Self::NoAnswer => RemoteError::Unavailable("memcached did not answer".to_owned()),
            Self::Refused(why) => RemoteError::Refused(why),
            Self::Misconfigured(why) => RemoteError::Misconfigured(why),
        }
    }

    /// Without an answer a put or delete may have happened.
    fn of_change(self) -> RemoteError {
        match self {
            Self::NoAnswer => RemoteError::Unknown("memcached did not answer".to_owned()),
            other => other.of_read(),
        }
    }
}

/// What an error line means, by what the caller should do.
fn refusal(link: &Upkeep<Dialer>, open: &Open<Connection>, line: &str) -> Failure {
    let why = if line.contains("too large") {
        "memcached takes no record of this size: start it with -I 2m".to_owned()
    } else if line == "ERROR" {
        "memcached does not know a meta command: 1.6 or newer is needed".to_owned()
    } else if line.starts_with("SERVER_ERROR") {
        let why = format!("memcached: {line}");
        link.complain(&why);
        return Failure::Refused(why);
    } else {
        // It did not understand what was sent, or wants a login now.
        open.give_up();
        format!("memcached: {line}")
    };
    link.complain(&why);
    Failure::Misconfigured(why)
}

/// An answer of a kind that the request cannot have had.
fn out_of_step(link: &Upkeep<Dialer>) -> Failure {
    link.distrust();
    Failure::NoAnswer
}

fn revision(open: &Open<Connection>, flags: Flags) -> Option<Revision> {
    let start = u64::from(open.connection.incarnation) << CAS_BITS;
    let cas = flags.cas.filter(|cas| cas >> CAS_BITS == 0)?;
    Some(Revision(start | cas))
}

/// The server's own count, if the state is of this start of it.
fn cas(open: &Open<Connection>, revision: Revision) -> Option<u64> {
    let start = revision.0 >> CAS_BITS;
    let cas = revision.0 & ((1 << CAS_BITS) - 1);
    (start == u64::from(open.connection.incarnation)).then_some(cas)
}

/// Whole seconds; the server's clock may be about to strike the next.
fn seconds(ttl: Duration) -> u32 {
    let up = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0) + 1;
    u32::try_from(up.min(TTL_MAX_S)).expect("30 days are few seconds")
}

#[async_trait::async_trait]
impl Remote for MemcachedTier {
    fn name(&self) -> &'static str {
        "memcached"
    }

    async fn get(&self, key: NameHash) -> Read {
        let mut reads = self.read(self.link(key), &[key]).await;
        reads.pop().expect("one answer per key")
    }

    async fn get_many(&self, keys: &[NameHash]) -> Vec<Read> {
        let mut places: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for (at, key) in keys.iter().enumerate() {
            places.entry(self.place(*key)).or_default().push(at);
        }
        let reads = places.into_iter().map(|((server, link), at)| async move {
            let keys: Vec<_> = at.iter().map(|at| keys[*at]).collect();
            let link = &self.servers[server].links[link];
            at.into_iter().zip(self.read(link, &keys).await)
        });
        let mut reads: Vec<_> = join_all(reads).await.into_iter().flatten().collect();
        reads.sort_unstable_by_key(|(at, _)| *at);
        reads.into_iter().map(|(_, read)| read).collect()
    }

    async fn put(
        &self,
        key: NameHash,
        expect: Expect,
        record: Bytes,
        ttl: Duration,
    ) -> Result<PutOutcome, RemoteError> {
        let link = self.link(key);
        let open = link.open()?;
        let expected = match expect {
            Expect::Absent => Expected::Absent,
            Expect::Revision(revision) => match cas(&open, revision) {
                Some(cas) => Expected::Cas(cas),
                // Nothing is left of another start.
                None => return Ok(PutOutcome::Conflict),
            },
        };
        let name = self.key(key);
        let request = |opaque| codec::put(&name, &record, seconds(ttl), expected, opaque);
        let answer = self.ask(link, &open, request).await;
        match answer.map_err(Failure::of_change)? {
            Answer::Status {
                code: Code::Done,
                flags,
            } => {
                let stored = revision(&open, flags).map(PutOutcome::Stored);
                stored.ok_or_else(|| out_of_step(link).of_change())
            }
            Answer::Status {
                code: Code::NotStored | Code::Exists | Code::NotFound,
                ..
            } => Ok(PutOutcome::Conflict),
            _ => Err(out_of_step(link).of_change()),
        }
    }

    async fn delete(&self, key: NameHash, revision: Revision) -> Result<(), RemoteError> {
        let link = self.link(key);
        let open = link.open()?;
        let Some(cas) = cas(&open, revision) else {
            return Ok(());
        };
        let request = |opaque| codec::delete(&self.key(key), cas, opaque);
        let answer = self.ask(link, &open, request).await;
        match answer.map_err(Failure::of_change)? {
            Answer::Status {
                code: Code::Done | Code::Exists | Code::NotFound,
                ..
            } => Ok(()),
            _ => Err(out_of_step(link).of_change()),
        }
    }

    /// Whether any server answers: one that is away takes its own keys with it,
    /// and no others. Not before each was tried.
    async fn ping(&self) -> Result<(), RemoteError> {
        let mut links = self.servers.iter().flat_map(|server| &server.links);
        if let Some(new) = links.find(|link| link.is_new()) {
            return new.open().map(drop);
        }
        let pings = self.servers.iter().map(|server| self.ping_to(server));
        let first = futures::future::select_ok(pings.map(Box::pin)).await;
        first.map(drop)
    }

    fn hint(&self, key: NameHash) {
        self.hints.hint(key);
    }

    async fn hinted(&self, key: NameHash) {
        self.hints.hinted(key).await;
    }

    /// Its server.
    fn part(&self, key: NameHash) -> u16 {
        match self.servers.len() {
            1 => 0,
            _ => u16::try_from(self.server(key) + 1).unwrap_or(u16::MAX),
        }
    }

    fn distrust(&self, key: NameHash) {
        self.link(key).distrust();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_rounded_up_and_never_becomes_a_date() {
        let seconds = |ms| seconds(Duration::from_millis(ms));
        assert_eq!([seconds(0), seconds(1), seconds(1000)], [1, 2, 2]);
        assert_eq!(seconds(TTL_MAX_S * 1000 * 2), 2_592_000);
    }

    #[test]
    fn a_server_more_takes_over_its_share_and_nothing_else_moves() {
        let names = ["a:1", "b:1", "c:1", "d:1"];
        let of = |names: &[&'static str], key| {
            let best = names.iter().max_by_key(|name| rank(name, NameHash(key)));
            *best.unwrap()
        };
        let moved: Vec<_> = (0..3000)
            .map(|key| (of(&names[..3], key), of(&names, key)))
            .filter(|(before, after)| before != after)
            .collect();
        assert!(moved.iter().all(|(_, after)| *after == "d:1"));
        assert!((600..900).contains(&moved.len()), "{}", moved.len());
    }
}
