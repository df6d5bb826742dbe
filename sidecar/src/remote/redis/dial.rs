//! Connecting: to one server, to the primary that Sentinels name, or to a
//! cluster, and noticing that a connection is dead.

use super::check::Each;
use super::failure::Failure;
use super::{Layout, RedisConfig};
use crate::remote::login::read;
use crate::remote::upkeep::{Dial, NotUp};
use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::cluster::ClusterClientBuilder;
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{
    MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr,
};
use ::redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use ::redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo, RedisConnectionInfo, RedisError, TlsCertificates, TlsMode, Value,
};
use std::time::Duration;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// The whole attempt: Sentinels are asked one after the other.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Longest wait for an answer; callers usually give up before.
const ANSWER: Duration = Duration::from_secs(2);
/// How often a connection is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(1);
/// A cluster's client mends its own connections: it is made anew only when no
/// server has answered this often.
const CLUSTER_SILENCES: u32 = 5;
/// Slots of a cluster.
const SLOTS: u16 = 16_384;
/// Slots whose servers are asked whether a cluster lives.
const CLUSTER_PINGS: u16 = 16;
/// How often a call is sent again when a cluster has moved its key.
const CLUSTER_TRIES: u32 = 3;

/// Makes connections as the settings say.
pub(super) struct Dialer(pub(super) RedisConfig);

/// A connection; clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    /// One command, one answer.
    pub(super) async fn ask(&mut self, command: &Cmd) -> Result<Value, Failure> {
        let answer = match self {
            Self::One(connection) => connection.req_packed_command(command).await,
            Self::Cluster(connection) => connection.req_packed_command(command).await,
        };
        match answer.and_then(Value::extract_error) {
            Ok(value) => Ok(value),
            Err(error) => Err(error.into()),
        }
    }

    /// One command to every primary; each one's address and text.
    pub(super) async fn each(&self, words: &[&str]) -> Vec<Each> {
        let mut command = ::redis::cmd(words[0]);
        command.arg(&words[1..]);
        match self.clone() {
            mut one @ Self::One(_) => {
                let answer = one.ask(&command).await;
                vec![("server".to_owned(), answer.and_then(|answer| text(&answer)))]
            }
            Self::Cluster(mut connection) => {
                let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                match connection.route_command(command, all).await {
                    Ok(Value::Map(answers)) => answers.iter().map(of_server).collect(),
                    Ok(_) => Vec::new(),
                    Err(error) => vec![("cluster".to_owned(), Err(error.into()))],
                }
            }
        }
    }

    /// Whether anybody answers. One server of a cluster that is away takes its
    /// own keys with it, and no others.
    pub(super) async fn lives(&mut self) -> Result<(), Failure> {
        match self {
            Self::One(_) => self.ask(&::redis::cmd("PING")).await.map(drop),
            // Not one call to all: the client may leave that lying until another
            // comes.
            Self::Cluster(connection) => {
                let slots = (0..SLOTS).step_by(usize::from(SLOTS / CLUSTER_PINGS));
                let pings = slots.map(|slot| Box::pin(ping(connection.clone(), slot)));
                let first = futures::future::select_ok(pings).await;
                first.map(drop).map_err(Failure::from)
            }
        }
    }
}

/// Whether the server answers that has this slot.
async fn ping(mut cluster: ClusterConnection, slot: u16) -> Result<Value, RedisError> {
    let server = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
    let server = RoutingInfo::SingleNode(server);
    cluster.route_command(::redis::cmd("PING"), server).await
}

fn of_server((address, answer): &(Value, Value)) -> Each {
    (text(address).unwrap_or_default(), text(answer))
}

/// The text of an answer; of a list, its last.
fn text(answer: &Value) -> Result<String, Failure> {
    match answer {
        Value::BulkString(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Ok(text.clone()),
        Value::VerbatimString { text, .. } => Ok(text.clone()),
        Value::Array(list) => list.last().map_or_else(|| Ok(String::new()), text),
        Value::Map(pairs) => pairs
            .last()
            .map_or_else(|| Ok(String::new()), |(_, v)| text(v)),
        _ => Err(Failure::out_of_step()),
    }
}

#[async_trait::async_trait]
impl Dial for Dialer {
    type Connection = Connection;

    async fn dial(&self) -> Result<Connection, NotUp> {
        let attempt = tokio::time::timeout(ATTEMPT, self.connect());
        match attempt.await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(
                Failure::Misconfigured(why) | Failure::Denied(why) | Failure::LoggedOut(why),
            )) => Err(NotUp::Refused(format!("Redis: {why}"))),
            Ok(Err(other)) => Err(NotUp::Away(format!("Redis is away: {}", other.of_read()))),
            Err(_) => Err(NotUp::Away("Redis does not answer".to_owned())),
        }
    }

    async fn over(&self, connection: &Connection) -> String {
        let mut connection = connection.clone();
        let mut tick = tokio::time::interval(PING_EVERY);
        let allowed = match &connection {
            Connection::One(_) => 1,
            Connection::Cluster(_) => CLUSTER_SILENCES,
        };
        let mut silences = 0;
        loop {
            tick.tick().await;
            let lives = connection.lives().await;
            match lives {
                Err(why) if why.ends_connection() => {
                    silences += 1;
                    if silences >= allowed {
                        let why = why.of_read();
                        return format!("Redis: the connection was lost: {why}");
                    }
                }
                Ok(()) | Err(_) => silences = 0,
            }
        }
    }
}

impl Dialer {
    async fn connect(&self) -> Result<Connection, Failure> {
        let config = &self.0;
        let own = self.identity().await.map_err(Failure::Misconfigured)?;
        let certificates = self.certificates().await.map_err(Failure::Misconfigured)?;
        let mut connection = match &config.layout {
            Layout::One => Connection::One(one(config, own, certificates).await?),
            Layout::Sentinel { service } => {
                Connection::One(primary(config, service, own, certificates).await?)
            }
            Layout::Cluster => Connection::Cluster(cluster(config, own, certificates).await?),
        };
        // A server may take the connection, and nothing over it.
        connection.lives().await?;
        Ok(connection)
    }

    /// Who to be.
    async fn identity(&self) -> Result<RedisConnectionInfo, String> {
        let login = &self.0.login;
        let mut own = RedisConnectionInfo::default()
            .set_lib_name("unstale", env!("CARGO_PKG_VERSION"))
            .set_db(self.0.database);
        if let Some(user) = &login.user {
            own = own.set_username(user);
        }
        if let Some(password) = login.password().await? {
            own = own.set_password(password);
        }
        Ok(own)
    }

    async fn certificates(&self) -> Result<TlsCertificates, String> {
        let login = &self.0.login;
        let mut root_cert = None;
        if let Some(file) = &login.ca_file {
            root_cert = Some(read(file, "--remote-ca").await?);
        }
        let mut client_tls = None;
        if let (Some(cert), Some(key)) = (&login.cert_file, &login.key_file) {
            client_tls = Some(ClientTlsConfig {
                client_cert: read(cert, "--remote-cert").await?,
                client_key: read(key, "--remote-key").await?,
            });
        }
        Ok(TlsCertificates {
            client_tls,
            root_cert,
        })
    }
}

fn addresses(config: &RedisConfig) -> Vec<ConnectionAddr> {
    let address = |(host, port): &(String, u16)| match config.tls {
        false => ConnectionAddr::Tcp(host.clone(), *port),
        true => ConnectionAddr::TcpTls {
            host: host.clone(),
            port: *port,
            insecure: false,
            tls_params: None,
        },
    };
    config.hosts.iter().map(address).collect()
}

fn limits() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER))
}

async fn one(
    config: &RedisConfig,
    own: RedisConnectionInfo,
    certificates: TlsCertificates,
) -> Result<MultiplexedConnection, RedisError> {
    let mut addresses = addresses(config).into_iter();
    let address = addresses.next().expect("settings name a server");
    let to: ConnectionInfo = address.into_connection_info()?.set_redis_settings(own);
    let client = match config.tls {
        true => Client::build_with_tls(to, certificates)?,
        false => Client::open(to)?,
    };
    let limits = limits();
    let connect = client.get_multiplexed_async_connection_with_config(&limits);
    connect.await
}

/// Asks the Sentinels, every time anew.
async fn primary(
    config: &RedisConfig,
    service: &str,
    own: RedisConnectionInfo,
    certificates: TlsCertificates,
) -> Result<MultiplexedConnection, RedisError> {
    let sentinels = addresses(config);
    let mut builder = SentinelClientBuilder::new(sentinels, service, SentinelServerType::Master)?
        .set_client_to_redis_db(own.db());
    if let Some(user) = own.username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = own.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if config.tls {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    let mut client = builder.build()?;
    client.get_async_connection_with_config(&limits()).await
}

async fn cluster(
    config: &RedisConfig,
    own: RedisConnectionInfo,
    certificates: TlsCertificates,
) -> Result<ClusterConnection, RedisError> {
    let mut builder = ClusterClientBuilder::new(addresses(config))
        .retries(CLUSTER_TRIES)
        .min_retry_wait(10)
        .max_retry_wait(100)
        .connection_timeout(CONNECT)
        .response_timeout(ANSWER)
        .overall_response_timeout(Some(ANSWER));
    if let Some(user) = own.username() {
        builder = builder.username(user);
    }
    if let Some(password) = own.password() {
        builder = builder.password(password);
    }
    if config.tls {
        builder = builder.tls(TlsMode::Secure).certs(certificates);
    }
    builder.build()?.get_async_connection().await
}
