//! Which remote tier, and the addresses of its servers:
//! `redis://host:6379`, `rediss+sentinel://a,b/primary`, `memcached://a,b`.
//!
//! Never shows what was read: it may hold a password.

use super::address::{decode, host_and_port};
use super::settings::Reader;
use super::{Mistake, Secret};
use std::path::PathBuf;

/// Which remote tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteTier {
    /// In this process.
    Memory,
    /// JetStream KV.
    Nats,
    /// Redis or Valkey.
    Redis(Redis),
    /// These memcached servers; each key has one of them.
    Memcached(Vec<(String, u16)>),
}

/// Redis or Valkey servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// How they stand together.
    pub layout: RedisLayout,
    /// Where they are; at least one.
    pub hosts: Vec<(String, u16)>,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// The number of the database.
    pub database: u16,
}

/// How Redis servers stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisLayout {
    /// One server.
    One,
    /// The hosts are Sentinels, which know the primary of this name.
    Sentinel(String),
    /// A cluster, found through any of the hosts.
    Cluster,
}

/// Who to be at the servers, and whom to believe.
#[derive(Clone, Debug, Default)]
pub struct RemoteLogin {
    /// User name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// File with the password; read at every connection.
    pub password_file: Option<PathBuf>,
    /// Certificate authorities.
    pub ca: Option<PathBuf>,
    /// Client certificate.
    pub cert: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

impl RemoteTier {
    /// Its name in status and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Nats => "nats",
            Self::Redis(_) => "redis",
            Self::Memcached(_) => "memcached",
        }
    }

    /// The setting, without user and password.
    pub fn shown(&self) -> String {
        match self {
            Self::Memory | Self::Nats => self.name().to_owned(),
            Self::Redis(redis) => redis.shown(),
            Self::Memcached(hosts) => format!("memcached://{}", list(hosts)),
        }
    }
}

impl Redis {
    fn shown(&self) -> String {
        let tls = if self.tls { "s" } else { "" };
        let (layout, path) = match &self.layout {
            RedisLayout::One if self.database > 0 => ("", format!("/{}", self.database)),
            RedisLayout::One => ("", String::new()),
            RedisLayout::Cluster => ("+cluster", String::new()),
            RedisLayout::Sentinel(name) => ("+sentinel", format!("/{name}/{}", self.database)),
        };
        format!("redis{tls}{layout}://{}{path}", list(&self.hosts))
    }
}

fn list(hosts: &[(String, u16)]) -> String {
    let one = |(host, port): &(String, u16)| match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    hosts.iter().map(one).collect::<Vec<_>>().join(",")
}

const FORM: &str = "must be memory, nats, redis://HOST:6379, rediss://HOST (TLS), redis+cluster://HOST,HOST, redis+sentinel://HOST,HOST/NAME or memcached://HOST:11211";

/// User and password.
type Given = (Option<String>, Secret);

/// Reads the setting, or says why it cannot be meant.
fn parse(text: &str) -> Result<(RemoteTier, Option<Given>), &'static str> {
    match text {
        "memory" => return Ok((RemoteTier::Memory, None)),
        "nats" => return Ok((RemoteTier::Nats, None)),
        _ => {}
    }
    let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
    let (login, rest) = match rest.split_once('@') {
        Some((login, rest)) => (Some(self::login(login)?), rest),
        None => (None, rest),
    };
    if rest.contains('@') {
        return Err("has more than one user; every server is told the same one");
    }
    let (hosts, path) = match rest.split_once('/') {
        Some((hosts, path)) => (hosts, path),
        None => (rest, ""),
    };
    // Each host may stand as a URL of its own.
    let again = format!("{scheme}://");
    let (hosts, path) = match rest.contains(&again) {
        true => (rest.replace(&again, ""), ""),
        false => (hosts.to_owned(), path),
    };
    if scheme == "memcached" {
        return match path {
            "" => Ok((RemoteTier::Memcached(addresses(&hosts, 11_211)?), login)),
            _ => Err("must have nothing after the hosts: memcached://HOST:11211,HOST:11211"),
        };
    }
    Ok((RemoteTier::Redis(redis(scheme, &hosts, path)?), login))
}

fn redis(scheme: &str, hosts: &str, path: &str) -> Result<Redis, &'static str> {
    let (server, way) = match scheme.split_once('+') {
        Some((server, way)) => (server, Some(way)),
        None => (scheme, None),
    };
    let tls = match server {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        _ => return Err(FORM),
    };
    let several = hosts.contains(',');
    let (layout, database) = match way {
        Some("sentinel") => sentinel(path)?,
        Some("cluster") => (RedisLayout::Cluster, path),
        None if several => (RedisLayout::Cluster, path),
        None => (RedisLayout::One, path),
        Some(_) => return Err(FORM),
    };
    let port = match layout {
        RedisLayout::Sentinel(_) => 26_379,
        RedisLayout::One | RedisLayout::Cluster => 6379,
    };
    let database = match database {
        "" => 0,
        number => {
            let wrong = "has a database that is not a number from 0 to 65535";
            number.parse().map_err(|_| wrong)?
        }
    };
    if layout == RedisLayout::Cluster && database > 0 {
        return Err("names a database; a cluster has only the one with number 0");
    }
    if layout == RedisLayout::One && several {
        return Err(FORM);
    }
    let hosts = addresses(hosts, port)?;
    Ok(Redis {
        layout,
        hosts,
        tls,
        database,
    })
}

/// `NAME` or `NAME/DATABASE`.
fn sentinel(path: &str) -> Result<(RedisLayout, &str), &'static str> {
    let (name, database) = path.split_once('/').unwrap_or((path, ""));
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(
            "must name the primary that the Sentinels watch: redis+sentinel://HOST,HOST/NAME",
        );
    }
    Ok((RedisLayout::Sentinel(name.to_owned()), database))
}

fn addresses(hosts: &str, default: u16) -> Result<Vec<(String, u16)>, &'static str> {
    let one = |text: &str| {
        let (host, port) = host_and_port(text.trim()).map_err(|why| match why {
            super::address::FORM => FORM,
            other => other,
        })?;
        Ok((host.to_owned(), port.unwrap_or(default)))
    };
    hosts.split(',').map(one).collect()
}

/// `user:password` or `:password`, with %XX for what a URL does not allow.
fn login(text: &str) -> Result<Given, &'static str> {
    const HOW: &str = "has a login that is not user:password or :password";
    let (user, password) = text.split_once(':').ok_or(HOW)?;
    let user = decode(user).ok_or(HOW)?;
    let password = decode(password).filter(|text| !text.is_empty());
    Ok((
        (!user.is_empty()).then_some(user),
        Secret(password.ok_or(HOW)?),
    ))
}

impl Reader {
    /// The remote tier; `nats`: there is a fleet.
    pub(super) fn remote(&mut self, nats: bool) -> (RemoteTier, RemoteLogin) {
        let default = match nats {
            true => RemoteTier::Nats,
            false => RemoteTier::Memory,
        };
        let text = self
            .given
            .get("remote")
            .map(|given| given.text().to_owned());
        let (tier, in_url) = match text.map(|text| parse(&text)) {
            None => (default, None),
            Some(Ok(read)) => read,
            Some(Err(why)) => {
                self.mistake("remote", why);
                // What else was given is not judged by a tier nobody meant.
                return (default, RemoteLogin::default());
            }
        };
        if tier == RemoteTier::Nats && self.lacks("nats") {
            self.mistake("remote", "nats needs --nats URL --fleet NAME");
        }
        self.unused_login(&tier);
        let login = self.remote_login(in_url);
        (tier, login)
    }

    fn remote_login(&mut self, in_url: Option<Given>) -> RemoteLogin {
        let twice = in_url.is_some();
        let (user, password) =
            in_url.map_or((None, None), |(user, password)| (user, Some(password)));
        let given = self.given.get("remote_password");
        let given = given.map(|given| Secret(given.text().to_owned()));
        let login = RemoteLogin {
            user: self
                .optional("remote_user", "a name", |text| Some(text.to_owned()))
                .or(user),
            password: given.or(password),
            password_file: self.file("remote_password_file"),
            ca: self.file("remote_ca"),
            cert: self.file("remote_cert"),
            key: self.file("remote_key"),
        };
        self.remote_together(twice);
        login
    }

    /// Settings that mean nothing to this tier would be ignored, and nobody
    /// would know.
    fn unused_login(&mut self, tier: &RemoteTier) {
        let who = ["remote_user", "remote_password", "remote_password_file"];
        let tls = ["remote_ca", "remote_cert", "remote_key"];
        let (who_needs, tls_needs) = match tier {
            _ if self.partial => return,
            RemoteTier::Memory | RemoteTier::Nats => {
                let servers = "--remote redis://… or memcached://… is required with it";
                (Some(servers), Some(servers))
            }
            RemoteTier::Memcached(_) => (None, Some("memcached is spoken to without TLS")),
            RemoteTier::Redis(redis) if redis.tls => (None, None),
            RemoteTier::Redis(_) => (None, Some("goes with TLS: --remote rediss://…")),
        };
        for (names, needs) in [(who, who_needs), (tls, tls_needs)] {
            let Some(needs) = needs else { continue };
            for name in names {
                if self.has(name) {
                    self.mistake(name, needs);
                }
            }
        }
    }

    fn remote_together(&mut self, in_url: bool) {
        let mut ways = vec!["remote_password", "remote_password_file"];
        ways.retain(|way| self.has(way));
        ways.extend(in_url.then_some("the password in remote"));
        if ways.len() > 1 {
            let ways = ways.join(", ");
            let why = format!("{ways}: give one of them only");
            self.mistakes.push(Mistake(why));
        }
        if self.has("remote_user") && in_url {
            self.mistake("remote_user", "remote has a user and password already");
        }
        let lacks = |reader: &Self, name| reader.lacks(name);
        if self.has("remote_user")
            && !in_url
            && lacks(self, "remote_password")
            && lacks(self, "remote_password_file")
        {
            self.mistake(
                "remote_user",
                "--remote-password-file or UNSTALE_REMOTE_PASSWORD goes with it",
            );
        }
        for (one, other) in [("remote_cert", "remote_key"), ("remote_key", "remote_cert")] {
            if self.has(one) && self.lacks(other) {
                self.mistake(one, "--remote-cert and --remote-key go together");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let (tier, _) = parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        tier.shown()
    }

    #[test]
    fn what_redis_users_write_is_understood() {
        for (text, means) in [
            ("redis://h", "redis://h:6379"),
            ("valkey://h:1/2", "redis://h:1/2"),
            ("valkeys://me:p%40ss@h", "rediss://h:6379"),
            ("redis://a,b:1", "redis+cluster://a:6379,b:1"),
            ("redis://a:1,redis://b", "redis+cluster://a:1,b:6379"),
            ("rediss+cluster://[::1]:7000", "rediss+cluster://[::1]:7000"),
            (
                "redis+sentinel://a,b:2/main",
                "redis+sentinel://a:26379,b:2/main/0",
            ),
            ("memcached://a,b:1", "memcached://a:11211,b:1"),
        ] {
            assert_eq!(shown(text), means, "{text}");
        }
        let (_, login) = parse("redis://:p%40ss@h").unwrap();
        let (user, password) = login.unwrap();
        assert_eq!((user, password.0.as_str()), (None, "p@ss"));
    }

    #[test]
    fn what_no_connection_could_be_made_to_is_refused_without_showing_it() {
        for text in [
            "",
            "redis",
            "redis://",
            "redis://h:0",
            "redis://h/x",
            "redis://h?ssl=1",
            "redis://sesame@h",
            "redis://u:@h",
            "redis://u:sesame@a,u:sesame@b",
            "redis+cluster://a,b/1",
            "redis+sentinel://a",
            "redis+other://a",
            "memcached://a/1",
            "memcacheds://a",
            "http://h",
        ] {
            let why = parse(text).err();
            assert!(why.is_some_and(|why| !why.contains("sesame")), "{text}");
        }
    }
}
