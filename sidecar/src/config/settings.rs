//! From texts to settings: every text is judged, and every mistake told.

use super::given::{Gathered, Given, Mistake};
use super::policies::Tables;
use super::{Config, Nats, Secret, Source, address, units};
use crate::keyring::Keyring;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use unstale_engine::key::Delimiters;
use unstale_engine::limits;
use unstale_engine::policy::refs;

/// Every setting.
pub(super) const NAMES: [&str; 37] = [
    "listen",
    "uds",
    "admin",
    "nats",
    "fleet",
    "remote",
    "remote_user",
    "remote_password",
    "remote_password_file",
    "remote_ca",
    "remote_cert",
    "remote_key",
    "remote_timeout",
    "remote_concurrency",
    "remote_hedge",
    "compress_from",
    "encryption_key_file",
    "l1_bytes",
    "l1_pinned_share",
    "memory_bytes",
    "session_ttl",
    "default_ttl",
    "prefix_delimiters",
    "floor_bytes",
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

/// Judges every text.
pub(super) fn parse(
    gathered: Gathered,
    source: Source,
    known: Option<(PathBuf, Keyring)>,
) -> Result<Config, Vec<Mistake>> {
    let Gathered {
        settings,
        policies,
        mistakes,
        partial,
    } = gathered;
    let mut reader = Reader {
        given: settings,
        mistakes,
        partial,
        known,
    };
    let config = reader.config(&policies, source);
    if reader.mistakes.is_empty() {
        Ok(config)
    } else {
        Err(reader.mistakes)
    }
}

pub(super) struct Reader {
    pub(super) given: BTreeMap<&'static str, Given>,
    pub(super) mistakes: Vec<Mistake>,
    /// Something given could not be read, so that nothing is called missing.
    pub(super) partial: bool,
    /// A key file that was read already, and what was in it.
    pub(super) known: Option<(PathBuf, Keyring)>,
}

impl Reader {
    fn config(&mut self, policies: &Tables, source: Source) -> Config {
        let address = "an address like 127.0.0.1:7070";
        let nats = self.nats();
        let (remote, remote_login) = self.remote(nats.is_some());
        let (remote_calls, records) = self.calls(&remote);
        let default_ttl = self.time("default_ttl", 300_000, (1, millis(limits::TTL_MAX)));
        let given = self.has("default_ttl");
        let policies = policies.judge(given.then_some(default_ttl), &mut self.mistakes);
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
            remote_login,
            remote_calls,
            records,
            l1_bytes: self.size("l1_bytes", 64 << 20),
            l1_pinned_share: self.pinned_share(),
            memory_bytes: self.size("memory_bytes", 64 << 20),
            session_ttl: self.time("session_ttl", 15_000, (500, 600_000)),
            policies,
            prefix_delimiters: self.prefix_delimiters(),
            floor_bytes: self.size("floor_bytes", 16 << 20),
            drain: self.time("drain", 10_000, (100, 600_000)),
            pod: self.pod(),
            log_json: self.read("log_format", false, "text or json", |text| match text {
                "text" => Some(false),
                "json" => Some(true),
                _ => None,
            }),
            log_level: self.log_level(),
            texts: self.texts(),
            source,
        }
    }

    fn texts(&self) -> BTreeMap<&'static str, Secret> {
        let each = self.given.iter();
        each.map(|(name, given)| (*name, Secret(given.text.clone())))
            .collect()
    }

    fn prefix_delimiters(&mut self) -> String {
        let allowed = "1 to 8 ASCII punctuation characters, like :/.";
        self.read("prefix_delimiters", ":/.".into(), allowed, |text| {
            Delimiters::new(text).is_ok().then(|| text.into())
        })
    }

    fn pinned_share(&mut self) -> u8 {
        let allowed = format!("a share from 0% to {}%, like 25%", refs::PINNED_SHARE_MAX);
        self.read(
            "l1_pinned_share",
            refs::PINNED_SHARE_DEFAULT,
            &allowed,
            |text| {
                let percent = text.strip_suffix('%')?.parse().ok();
                percent.filter(|percent| *percent <= refs::PINNED_SHARE_MAX)
            },
        )
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

    fn size(&mut self, name: &'static str, default: u64) -> u64 {
        let allowed = "a size from 1MiB to 1024GiB, like 64MiB";
        self.read(name, default, allowed, |text| {
            units::size(text).filter(|bytes| (1 << 20..=1 << 40).contains(bytes))
        })
    }

    pub(super) fn time(
        &mut self,
        name: &'static str,
        default: u64,
        (min, max): (u64, u64),
    ) -> Duration {
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
        let servers = self.servers();
        let fleet = self.optional("fleet", "1 to 32 of [a-z0-9-]", |text| {
            let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            let good = (1..=32).contains(&text.len()) && text.bytes().all(allowed);
            good.then(|| text.to_owned())
        });
        if self.has("nats") && self.lacks("fleet") {
            self.mistake("nats", "--fleet NAME is required with it");
        }
        let replicas = self.read("nats_replicas", 1, "1, 3 or 5", |text| {
            text.parse().ok().filter(|count| [1, 3, 5].contains(count))
        });
        let (user, password) = servers.login.clone().unzip();
        let given = self.given.get("nats_password");
        let given = given.map(|given| Secret(given.text.clone()));
        let nats = Nats {
            url: servers.urls,
            fleet: fleet.unwrap_or_default(),
            credentials: self.file("nats_credentials"),
            nkey: self.file("nats_nkey"),
            password: given.or(password),
            user: self
                .optional("nats_user", "a name", |text| Some(text.to_owned()))
                .or(user),
            password_file: self.file("nats_password_file"),
            ca: self.file("nats_ca"),
            cert: self.file("nats_cert"),
            key: self.file("nats_key"),
            replicas,
        };
        self.unused();
        self.together(servers.login.is_some());
        self.has("nats").then_some(nats)
    }

    fn servers(&mut self) -> address::Servers {
        let text = self.given.get("nats").map(|given| given.text.clone());
        match text.map(|text| address::parse(&text)) {
            None => address::Servers::default(),
            Some(Ok(servers)) => servers,
            Some(Err(why)) => {
                self.mistake("nats", why);
                address::Servers::default()
            }
        }
    }

    /// Settings that only mean something with NATS: without it they would be
    /// ignored, and nobody would know.
    fn unused(&mut self) {
        if !self.lacks("nats") {
            return;
        }
        let needs = |name: &&str| *name == "fleet" || name.starts_with("nats_");
        for name in NAMES.into_iter().filter(needs) {
            if self.has(name) {
                self.mistake(name, "--nats URL is required with it");
            }
        }
    }

    fn together(&mut self, in_url: bool) {
        let ways = ["nats_credentials", "nats_nkey", "nats_user"];
        let mut ways: Vec<_> = ways.into_iter().filter(|way| self.has(way)).collect();
        ways.extend(in_url.then_some("the user and password in nats"));
        if ways.len() > 1 {
            let ways = ways.join(", ");
            let why = format!("{ways}: give one of them only");
            self.mistakes.push(Mistake(why));
        }
        for (one, other) in [("nats_cert", "nats_key"), ("nats_key", "nats_cert")] {
            if self.has(one) && self.lacks(other) {
                self.mistake(one, "--nats-cert and --nats-key go together");
            }
        }
        if self.has("nats_password") && self.has("nats_password_file") {
            self.mistake("nats_password_file", "give this or nats_password, not both");
        }
        if self.has("nats_user") && self.lacks("nats_password") && self.lacks("nats_password_file")
        {
            self.mistake(
                "nats_user",
                "--nats-password-file or UNSTALE_NATS_PASSWORD goes with it",
            );
        }
        for name in ["nats_password", "nats_password_file"] {
            if self.has(name) && self.lacks("nats_user") {
                self.mistake(name, "--nats-user goes with it");
            }
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Whether `name` was surely not given.
    pub(super) fn lacks(&self, name: &str) -> bool {
        !self.partial && !self.has(name)
    }

    /// A file that exists and can be read.
    pub(super) fn file(&mut self, name: &'static str) -> Option<PathBuf> {
        self.optional(name, "a file that can be read", |text| {
            let path = PathBuf::from(text);
            std::fs::read(&path).is_ok().then_some(path)
        })
    }

    pub(super) fn optional<T>(
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

    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        default: T,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        self.optional(name, allowed, parse).unwrap_or(default)
    }

    pub(super) fn mistake(&mut self, name: &str, why: &str) {
        let Some(Given { text, origin }) = self.given.get(name) else {
            self.mistakes.push(Mistake(format!("{name}: {why}")));
            return;
        };
        let shown = match name {
            "nats_password" | "remote_password" => "(not shown)".to_owned(),
            "nats" | "remote" => super::without_userinfo(text),
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
