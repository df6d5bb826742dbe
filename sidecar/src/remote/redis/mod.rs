//! The remote tier on Redis or Valkey: one server, the primary that Sentinels
//! name, or a cluster; one connection per server.
//!
//! Guarantees: a put is conditional on exactly the state named, and stored with
//! its ttl in the same step and round trip; a revision never comes back; one
//! that was sent and not answered is reported as unknown. An answer is believed
//! only if it names its call: RESP numbers nothing. Does not trust the servers
//! to keep anything: they may evict, restart and fail over to an older copy.

pub mod check;
mod dial;
mod failure;
mod rights;
mod script;

use self::dial::{Connection, Dialer};
use self::failure::Failure;
use self::script::{Put, Script};
use super::hints::Hints;
use super::login::Login;
use super::upkeep::{Open, Upkeep};
use ::redis::{Cmd, Value};
use bytes::Bytes;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use unstale_engine::key::NameHash;
use unstale_engine::random::Random;
use unstale_engine::remote::{Expect, PutOutcome, Read, Remote, RemoteError, Revision};

/// Hex digits of a key's hash.
const HASH_CHARS: usize = 32;

/// How the servers stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One server.
    One,
    /// The hosts are Sentinels, which know the primary of this name.
    Sentinel {
        /// The name.
        service: String,
    },
    /// A cluster, found through any of the hosts.
    Cluster,
}

/// The tier's configuration.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// How the servers stand together.
    pub layout: Layout,
    /// Where they are; at least one.
    pub hosts: Vec<(String, u16)>,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// The number of the database.
    pub database: i64,
    /// Who to be there.
    pub login: Login,
    /// The fleet's name: pods of one name share one tier.
    pub fleet: String,
}

/// The tier. [`RedisTier::run`] keeps its connection up.
pub struct RedisTier {
    /// What every key begins with. No braces: they would put all keys of a fleet
    /// into one slot of a cluster.
    before: String,
    upkeep: Upkeep<Dialer>,
    hints: Hints,
    random: Arc<dyn Random>,
    put: Script,
    delete: Script,
    /// The keys are spread over servers.
    spread: bool,
}

/// What every key of a fleet begins with.
fn before(fleet: &str) -> String {
    ["unstale:", fleet, ":"].concat()
}

impl RedisTier {
    /// Connects nowhere yet, and never fails.
    pub fn new(config: RedisConfig, hints: Hints, random: Arc<dyn Random>) -> Arc<Self> {
        Arc::new(Self {
            before: before(&config.fleet),
            spread: config.layout == Layout::Cluster,
            upkeep: Upkeep::new(Dialer(config), "remote", Arc::default()),
            hints,
            random,
            put: Script::put(),
            delete: Script::delete(),
        })
    }

    /// Keeps the connection up until `cancel`.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let hints = self.hints.run(cancel.clone());
        tokio::join!(self.upkeep.run(cancel), hints);
    }

    fn key(&self, key: NameHash) -> String {
        [&self.before, key.text().as_str()].concat()
    }

    /// One command on a connection, which is given up if it is of no use.
    async fn ask(&self, command: &Cmd) -> Result<Result<Value, Failure>, RemoteError> {
        let open = self.upkeep.open()?;
        let mut connection: Connection = open.connection.clone();
        let answer = open.answer(connection.ask(command)).await;
        Ok(self.judged(&open, answer))
    }

    /// An answer, none when the connection was given up, and what follows from
    /// it for the connection.
    fn judged<T>(
        &self,
        open: &Open<Connection>,
        answer: Option<Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let given_up = || Err(Failure::NoAnswer("the connection was given up".to_owned()));
        let answer = answer.unwrap_or_else(given_up);
        if let Err(failure) = &answer {
            self.judge(failure, open);
        }
        answer
    }

    fn judge(&self, failure: &Failure, open: &Open<Connection>) {
        match failure {
            // Another type than ours under the key is replaced.
            Failure::Refused(why) if why.contains("WRONGTYPE") => {}
            Failure::Misconfigured(why)
            | Failure::Denied(why)
            | Failure::LoggedOut(why)
            | Failure::WrongServer(why)
            | Failure::ReadOnly(why)
            | Failure::Refused(why) => self.upkeep.complain(&format!("Redis: {why}")),
            Failure::NoScript | Failure::NoAnswer(_) | Failure::Away(_) => {}
        }
        // A cluster's client mends the connection that failed by itself.
        if failure.ends_connection() && matches!(open.connection, Connection::One(_)) {
            open.give_up();
        }
        // After a failover the same address or the Sentinels lead elsewhere;
        // until then this server is good for reads.
        if matches!(failure, Failure::ReadOnly(_)) {
            self.upkeep.look_again();
        }
    }

    async fn read(&self, key: &str) -> Read {
        let mut get = ::redis::cmd("GET");
        get.arg(key);
        match self.ask(&get).await? {
            Ok(answer) => self.stored(answer),
            Err(Failure::Refused(why)) if why.contains("WRONGTYPE") => Ok(Some(script::foreign())),
            Err(failure) => Err(failure.of_read()),
        }
    }

    /// All keys in one round trip. None: each has to be asked for by itself.
    async fn read_together(&self, keys: &[NameHash]) -> Option<Vec<Read>> {
        let get = self.mget(keys);
        let failed = |error: &RemoteError| keys.iter().map(|_| Err(error.clone())).collect();
        match self.ask(&get).await {
            Ok(Ok(Value::Array(answers))) if answers.len() == keys.len() => {
                let answers = answers.into_iter();
                Some(answers.map(|answer| self.stored(answer)).collect())
            }
            Ok(Ok(_)) => {
                self.upkeep.distrust();
                Some(failed(&Failure::out_of_step().of_read()))
            }
            // It may be the command that the server does not let us use.
            Ok(Err(Failure::Refused(_) | Failure::Misconfigured(_) | Failure::Denied(_))) => None,
            // Who does not answer would not answer each of them either.
            Ok(Err(failure)) => Some(failed(&failure.of_read())),
            Err(error) => Some(failed(&error)),
        }
    }

    /// Written without a text of its own for every key.
    fn mget(&self, keys: &[NameHash]) -> Cmd {
        let each = self.before.len() + HASH_CHARS;
        let mut get = Cmd::with_capacity(1 + keys.len(), "MGET".len() + keys.len() * each);
        get.arg("MGET");
        let mut text = String::with_capacity(each);
        for key in keys {
            text.clear();
            text.push_str(&self.before);
            text.push_str(key.text().as_str());
            get.arg(&text);
        }
        get
    }

    fn stored(&self, answer: Value) -> Read {
        script::stored(answer).map_err(|()| {
            self.upkeep.distrust();
            Failure::out_of_step().of_read()
        })
    }

    /// One round trip; two if the server does not know the script yet.
    async fn run_script(
        &self,
        script: &Script,
        key: &str,
        arguments: &[&[u8]],
    ) -> Result<Result<Value, Failure>, RemoteError> {
        match self.ask(&script.by_digest(key, arguments)).await? {
            Err(Failure::NoScript) => self.ask(&script.by_source(key, arguments)).await,
            other => Ok(other),
        }
    }
}

#[async_trait::async_trait]
impl Remote for RedisTier {
    fn name(&self) -> &'static str {
        "redis"
    }

    async fn get(&self, key: NameHash) -> Read {
        self.read(&self.key(key)).await
    }

    /// In a cluster a GET each: no command takes keys of more than one slot,
    /// and those that are under way at once share the connections.
    async fn get_many(&self, keys: &[NameHash]) -> Vec<Read> {
        let together = match self.spread || keys.is_empty() {
            true => None,
            false => self.read_together(keys).await,
        };
        match together {
            Some(reads) => reads,
            None => join_all(keys.iter().map(|key| self.get(*key))).await,
        }
    }

    async fn put(
        &self,
        key: NameHash,
        expect: Expect,
        record: Bytes,
        ttl: Duration,
    ) -> Result<PutOutcome, RemoteError> {
        let random = self.random.bits() as u64;
        let put = Put::new(expect, random, &record, ttl);
        let (key, arguments) = (self.key(key), put.arguments());
        let ran = self.run_script(&self.put, &key, &arguments).await?;
        let answer = ran.map_err(Failure::of_change)?;
        put.outcome(&answer).ok_or_else(|| {
            self.upkeep.distrust();
            Failure::out_of_step().of_change()
        })
    }

    async fn delete(&self, key: NameHash, revision: Revision) -> Result<(), RemoteError> {
        let expected = revision.0.to_be_bytes();
        let (key, arguments) = (self.key(key), [&expected[..]]);
        let ran = self.run_script(&self.delete, &key, &arguments).await?;
        ran.map(drop).map_err(Failure::of_change)
    }

    async fn ping(&self) -> Result<(), RemoteError> {
        let open = self.upkeep.open()?;
        let mut connection: Connection = open.connection.clone();
        let lives = open.answer(connection.lives()).await;
        self.judged(&open, lives).map_err(Failure::of_read)
    }

    /// In a cluster: a sixteenth of its slots, so that a server that is away
    /// takes few of the others' keys with it.
    fn part(&self, key: NameHash) -> u16 {
        match self.spread {
            false => 0,
            true => {
                1 + crc16::State::<crc16::XMODEM>::calculate(self.key(key).as_bytes()) % 16_384
                    / 1_024
            }
        }
    }

    fn hint(&self, key: NameHash) {
        self.hints.hint(key);
    }

    async fn hinted(&self, key: NameHash) {
        self.hints.hinted(key).await;
    }

    fn distrust(&self, _key: NameHash) {
        self.upkeep.distrust();
    }
}
