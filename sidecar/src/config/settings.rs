//! From texts to settings: where each text came from, and every mistake.

use super::{Config, Flags, Nats, RemoteTier, Secret, units};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use unstale_engine::limits;

/// Every setting.
pub(super) const NAMES: [&str; 23] = [
    "listen",
    "uds",
    "admin",
    "nats",
    "fleet",
    "remote",
    "l1_bytes",
    "memory_bytes",
    "session_ttl",
    "default_ttl",
    "drain",
    "pod",
    "log_format",
    "log_level",
    "nats_credentials",
    "nats_nkey",
    "nats_user",
    "nats_password",
    "nats_password_file",
    "nats_ca",
    "nats_cert",
    "nats_key",
    "nats_replicas",
];

/// One mistake, on one line: the setting, the value, what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake(pub String);

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text and where it was given.
#[derive(Clone, Debug)]
pub struct Given {
    text: String,
    origin: String,
}

/// Collects the text of every setting, the last source winning.
pub fn gather(
    flags: &Flags,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<&'static str, Given>, Vec<Mistake>> {
    let file = flags
        .config
        .clone()
        .or_else(|| env("UNSTALE_CONFIG").map(PathBuf::from));
    let mut all = match file {
        Some(path) => from_file(&path)?,
        None => BTreeMap::new(),
    };
    for name in NAMES {
        let variable = format!("UNSTALE_{}", name.to_uppercase());
        if let Some(text) = env(&variable) {
            let origin = variable;
            all.insert(name, Given { text, origin });
        }
        if let Some(text) = flags.given(name) {
            let origin = format!("--{}", name.replace('_', "-"));
            let text = text.to_owned();
            all.insert(name, Given { text, origin });
        }
    }
    Ok(all)
}

fn from_file(path: &Path) -> Result<BTreeMap<&'static str, Given>, Vec<Mistake>> {
    let shown = path.display();
    let fail = |why: String| vec![Mistake(format!("{shown}: {why}"))];
    let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        let before = e
            .span()
            .map_or("", |span| text.get(..span.start).unwrap_or(&text));
        let line = before.matches('\n').count() + 1;
        let why = e.message().replace('\n', " ");
        fail(format!("line {line} is not TOML: {why}"))
    })?;
    let mut all = BTreeMap::new();
    let mut mistakes = Vec::new();
    for (key, value) in table {
        let Some(name) = NAMES.into_iter().find(|name| *name == key) else {
            let known = NAMES.join(", ");
            mistakes.push(Mistake(format!(
                "{shown}: {key} is not a setting; the settings are {known}"
            )));
            continue;
        };
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            other => {
                let kind = other.type_str();
                mistakes.push(Mistake(format!(
                    "{shown}: {key} is a {kind}; write it as a text in quotes"
                )));
                continue;
            }
        };
        let origin = format!("{shown}: {key}");
        all.insert(name, Given { text, origin });
    }
    if mistakes.is_empty() {
        Ok(all)
    } else {
        Err(mistakes)
    }
}

/// Judges every text.
pub(super) fn parse(given: BTreeMap<&'static str, Given>) -> Result<Config, Vec<Mistake>> {
    let mut reader = Reader {
        given,
        mistakes: Vec::new(),
    };
    let config = reader.config();
    if reader.mistakes.is_empty() {
        Ok(config)
    } else {
        Err(reader.mistakes)
    }
}

struct Reader {
    given: BTreeMap<&'static str, Given>,
    mistakes: Vec<Mistake>,
}

impl Reader {
    fn config(&mut self) -> Config {
        let address = "an address like 127.0.0.1:7070";
        let nats = self.nats();
        let tier = if nats.is_some() {
            RemoteTier::Nats
        } else {
            RemoteTier::Memory
        };
        let remote = self.read("remote", tier, "memory or nats", |text| match text {
            "memory" => Some(RemoteTier::Memory),
            "nats" => Some(RemoteTier::Nats),
            _ => None,
        });
        if remote == RemoteTier::Nats && !self.given.contains_key("nats") {
            self.mistake("remote", "nats needs --nats URL --fleet NAME");
        }
        Config {
            listen: self.read("listen", ([127, 0, 0, 1], 7070).into(), address, |t| {
                t.parse().ok()
            }),
            uds: self.uds(),
            admin: self.read("admin", ([127, 0, 0, 1], 7071).into(), address, |t| {
                t.parse().ok()
            }),
            nats,
            remote,
            l1_bytes: self.size("l1_bytes"),
            memory_bytes: self.size("memory_bytes"),
            session_ttl: self.time("session_ttl", 15_000, (500, 600_000)),
            default_ttl: self.time("default_ttl", 300_000, (1, millis(limits::TTL_MAX))),
            drain: self.time("drain", 10_000, (100, 600_000)),
            pod: self.pod(),
            log_json: self.read("log_format", false, "text or json", |text| match text {
                "text" => Some(false),
                "json" => Some(true),
                _ => None,
            }),
            log_level: self.log_level(),
        }
    }

    fn log_level(&mut self) -> String {
        let allowed = "error, warn, info, debug or trace";
        self.read("log_level", "info".into(), allowed, |text| {
            let known = ["error", "warn", "info", "debug", "trace"];
            known.contains(&text).then(|| text.into())
        })
    }

    fn pod(&mut self) -> String {
        self.read(
            "pod",
            default_pod(),
            "1 to 128 bytes without control characters",
            |text| {
                let good =
                    !text.is_empty() && text.len() <= 128 && !text.chars().any(char::is_control);
                good.then(|| text.into())
            },
        )
    }

    fn uds(&mut self) -> Option<PathBuf> {
        // sockaddr_un holds 108 bytes, one of them the closing zero.
        let allowed = "a path of at most 107 bytes, or off";
        self.read("uds", Some(default_uds()), allowed, |text| match text {
            "off" => Some(None),
            path if !path.is_empty() && path.len() < 108 => Some(Some(path.into())),
            _ => None,
        })
    }

    fn size(&mut self, name: &'static str) -> u64 {
        let allowed = "a size from 1MiB to 1024GiB, like 64MiB";
        self.read(name, 64 << 20, allowed, |text| {
            units::size(text).filter(|bytes| (1 << 20..=1 << 40).contains(bytes))
        })
    }

    fn time(&mut self, name: &'static str, default: u64, (min, max): (u64, u64)) -> Duration {
        let bound = |millis| units::show_duration(Duration::from_millis(millis));
        let allowed = format!(
            "a duration from {} to {}, like 15s or 500ms",
            bound(min),
            bound(max)
        );
        self.read(name, Duration::from_millis(default), &allowed, |text| {
            units::duration(text).filter(|time| (min..=max).contains(&millis(*time)))
        })
    }

    fn nats(&mut self) -> Option<Nats> {
        let url = self.optional("nats", "URLs like nats://host:4222", |text| {
            let schemes = ["nats://", "tls://", "ws://", "wss://"];
            let good = |url: &str| {
                schemes
                    .iter()
                    .any(|s| url.strip_prefix(s).is_some_and(|host| !host.is_empty()))
            };
            text.split(',').all(good).then(|| text.to_owned())
        });
        let fleet = self.optional("fleet", "1 to 32 of [a-z0-9-]", |text| {
            let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            let good = (1..=32).contains(&text.len()) && text.bytes().all(allowed);
            good.then(|| text.to_owned())
        });
        match (
            self.given.contains_key("nats"),
            self.given.contains_key("fleet"),
        ) {
            (true, false) => self.mistake("nats", "--fleet NAME is required with it"),
            (false, true) => self.mistake("fleet", "--nats URL is required with it"),
            _ => {}
        }
        let replicas = self.read("nats_replicas", 1, "1, 3 or 5", |text| {
            text.parse().ok().filter(|count| [1, 3, 5].contains(count))
        });
        let nats = Nats {
            url: url.unwrap_or_default(),
            fleet: fleet.unwrap_or_default(),
            credentials: self.file("nats_credentials"),
            nkey: self.file("nats_nkey"),
            user: self.optional("nats_user", "a name", |text| Some(text.to_owned())),
            password: self
                .given
                .get("nats_password")
                .map(|given| Secret(given.text.clone())),
            password_file: self.file("nats_password_file"),
            ca: self.file("nats_ca"),
            cert: self.file("nats_cert"),
            key: self.file("nats_key"),
            replicas,
        };
        self.together(&nats);
        self.given.contains_key("nats").then_some(nats)
    }

    fn together(&mut self, nats: &Nats) {
        let ways = ["nats_credentials", "nats_nkey", "nats_user"];
        if ways
            .iter()
            .filter(|way| self.given.contains_key(*way))
            .count()
            > 1
        {
            let given = |way: &&&str| self.given.contains_key(**way);
            let both: Vec<_> = ways.iter().filter(given).copied().collect();
            let both = both.join(", ");
            self.mistakes
                .push(Mistake(format!("{both}: give one of them only")));
        }
        if nats.cert.is_some() != nats.key.is_some() {
            let name = if nats.cert.is_some() {
                "nats_cert"
            } else {
                "nats_key"
            };
            self.mistake(name, "--nats-cert and --nats-key go together");
        }
        let given = |name| self.given.contains_key(name);
        let (text, file) = (given("nats_password"), given("nats_password_file"));
        if text && file {
            self.mistake("nats_password_file", "give this or nats_password, not both");
        }
        if nats.user.is_some() && !text && !file {
            self.mistake(
                "nats_user",
                "--nats-password-file or UNSTALE_NATS_PASSWORD goes with it",
            );
        }
        if nats.user.is_none() && (text || file) {
            let name = if text {
                "nats_password"
            } else {
                "nats_password_file"
            };
            self.mistake(name, "--nats-user goes with it");
        }
    }

    /// A file that exists and can be read.
    fn file(&mut self, name: &'static str) -> Option<PathBuf> {
        self.optional(name, "a file that can be read", |text| {
            let path = PathBuf::from(text);
            std::fs::read(&path).is_ok().then_some(path)
        })
    }

    fn optional<T>(
        &mut self,
        name: &'static str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let given = self.given.get(name)?.clone();
        let value = parse(&given.text);
        if value.is_none() {
            self.mistake(name, &format!("must be {allowed}"));
        }
        value
    }

    fn read<T>(
        &mut self,
        name: &'static str,
        default: T,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        self.optional(name, allowed, parse).unwrap_or(default)
    }

    fn mistake(&mut self, name: &str, why: &str) {
        let Some(Given { text, origin }) = self.given.get(name) else {
            self.mistakes.push(Mistake(format!("{name}: {why}")));
            return;
        };
        let shown = match name {
            "nats_password" => "(not shown)".to_owned(),
            "nats" => super::without_userinfo(text),
            _ => text.clone(),
        };
        self.mistakes
            .push(Mistake(format!("{origin} is {shown:?}: {why}")));
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn default_pod() -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    format!("{host}-{}", std::process::id())
}

/// In the user's runtime directory, else in a directory of the user's own.
fn default_uds() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir).join("unstale.sock"),
        _ => {
            let user = rustix::process::getuid().as_raw();
            PathBuf::from(format!("/tmp/unstale-{user}/unstale.sock"))
        }
    }
}
