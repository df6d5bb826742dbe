//! The settings: defaults, then the TOML file, then `UNSTALE_*`, then flags.
//!
//! Every setting has one name ([`settings::NAMES`]) from which its flag
//! (`--l1-bytes`), its variable (`UNSTALE_L1_BYTES`) and its key in the file
//! (`l1_bytes`) follow. [`Config::load`] reports every mistake at once, one
//! line each, of all sources together; a key that the file does not know is a
//! mistake, too. (A flag that does not exist is refused before that, alone: what
//! stands behind it cannot be told from its value.) A variable
//! that no setting is named after is not: Kubernetes invents such names.
//! Policies of namespaces stand in tables of the file only; they alone can be
//! changed while the sidecar runs ([`Reload`]).

mod adaptive;
mod address;
mod calls;
mod file;
mod flags;
mod given;
mod policies;
mod reload;
mod remote;
mod settings;
pub(crate) mod units;

pub use calls::{Records, RemoteCalls};
pub use file::File;
pub use flags::Flags;
pub use given::Mistake;
pub use reload::{InForce, Reload};
pub use remote::{Redis, RedisLayout, RemoteLogin, RemoteTier};
pub use units::{duration, show_duration, show_size, size};

use crate::keyring::Keyring;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use unstale_engine::policy::{Policies, Policy};

/// What the sidecar runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where gRPC listens on TCP.
    pub listen: SocketAddr,
    /// Where gRPC listens on a Unix socket; none: nowhere.
    pub uds: Option<PathBuf>,
    /// Where HTTP for people and Kubernetes listens.
    pub admin: SocketAddr,
    /// The fleet's NATS; none: this pod is alone.
    pub nats: Option<Nats>,
    /// The remote tier.
    pub remote: RemoteTier,
    /// Who to be at the remote tier's servers.
    pub remote_login: RemoteLogin,
    /// How the remote tier is called.
    pub remote_calls: RemoteCalls,
    /// What becomes of records on their way to it.
    pub records: Records,
    /// Bound of L1 in weighed bytes.
    pub l1_bytes: u64,
    /// What L1 keeps of what is referred to beside that, in percent of it.
    pub l1_pinned_share: u8,
    /// Bound of the memory tier in bytes.
    pub memory_bytes: u64,
    /// How long one beat keeps a session fresh (a log that exists says itself).
    pub session_ttl: Duration,
    /// What each namespace says. The setting `default_ttl` is in its default.
    pub policies: Policies,
    /// Where a prefix may end to be hashed like a tag.
    pub prefix_delimiters: String,
    /// Size of the floor table in bytes.
    pub floor_bytes: u64,
    /// How long a drain may take.
    pub drain: Duration,
    /// The name this pod gives itself.
    pub pod: String,
    /// Whether logs are JSON.
    pub log_json: bool,
    /// Which events are logged.
    pub log_level: String,
    /// The settings that were given, as texts; to tell what changed.
    texts: BTreeMap<&'static str, Secret>,
    source: Source,
}

/// Where the settings came from, to read them again.
#[derive(Clone, Debug)]
struct Source {
    flags: Secret<Flags>,
    file: Option<File>,
}

/// How to reach the fleet.
#[derive(Clone, Debug)]
pub struct Nats {
    /// Server addresses, separated by commas.
    pub url: String,
    /// The fleet's name.
    pub fleet: String,
    /// Credentials file.
    pub credentials: Option<PathBuf>,
    /// File with an nkey seed.
    pub nkey: Option<PathBuf>,
    /// User name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// File with the password; read at every connection.
    pub password_file: Option<PathBuf>,
    /// Extra certificate authorities.
    pub ca: Option<PathBuf>,
    /// Client certificate.
    pub cert: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
    /// Replicas of the streams this pod makes.
    pub replicas: u8,
}

/// Something that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T = String>(pub T);

impl<T> std::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Config {
    /// Reads every source; all mistakes, or the settings.
    pub fn load(flags: &Flags) -> Result<Self, Vec<Mistake>> {
        let file = given::file_of(flags, &variable).map(File::read);
        Self::judge(flags, &variable, file, None)
    }

    /// The same flags and variables with the file as it is now.
    fn again(&self, file: File) -> Result<Self, Vec<Mistake>> {
        // The key file has its own watch: one that changes just now is no mistake.
        let known = self.records.key_file.clone().zip(self.records.keys.clone());
        Self::judge(&self.source.flags.0, &variable, Some(file), known)
    }

    fn judge(
        flags: &Flags,
        env: &dyn Fn(&str) -> Option<OsString>,
        file: Option<File>,
        known: Option<(PathBuf, Keyring)>,
    ) -> Result<Self, Vec<Mistake>> {
        let gathered = given::gather(flags, env, file.as_ref());
        let flags = Secret(flags.clone());
        settings::parse(gathered, Source { flags, file }, known)
    }

    /// The settings that differ and are read at the start only.
    fn differs(&self, new: &Self) -> Vec<&'static str> {
        let fixed = settings::NAMES.into_iter();
        fixed
            .filter(|name| *name != "default_ttl" && self.texts.get(name) != new.texts.get(name))
            .collect()
    }

    /// The policies in force, one line each, for people.
    pub fn policies(&self) -> Vec<String> {
        let line = |name: String, policy: &Policy| {
            let fields = policies::shown(policy);
            let fields = fields.map(|(field, value)| format!("{field} {value}"));
            format!("{name}: {}", fields.join(", "))
        };
        let defaults = line("namespace_defaults".into(), &self.policies.default);
        let own = self.policies.namespaces.iter();
        let own = own.map(|(name, policy)| line(format!("namespace.{}", name.as_str()), policy));
        std::iter::once(defaults).chain(own).collect()
    }

    /// The fleet's name; empty without NATS.
    pub fn fleet(&self) -> &str {
        self.nats.as_ref().map_or("", |nats| &nats.fleet)
    }

    /// The same for those who show it: nothing in it is a secret.
    fn without_secrets(&self) -> Self {
        let mut shown = self.clone();
        shown.nats.iter_mut().for_each(|nats| nats.password = None);
        shown.remote_login.password = None;
        shown.records.keys = None;
        shown.texts.clear();
        shown.source = Source {
            flags: Secret(Flags::default()),
            file: None,
        };
        shown
    }

    /// The settings in force as TOML, without secrets.
    pub fn as_toml(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            text += &format!("{name} = {}\n", toml::Value::String(value.into()));
        };
        line("listen", &self.listen.to_string());
        let uds = self.uds.as_ref().map(|path| path.display().to_string());
        line("uds", uds.as_deref().unwrap_or("off"));
        line("admin", &self.admin.to_string());
        line("remote", &self.remote.shown());
        if self.remote != RemoteTier::Memory {
            for (name, value) in calls::shown(&self.remote_calls, &self.records) {
                line(name, &value);
            }
        }
        line("l1_bytes", &show_size(self.l1_bytes));
        line("l1_pinned_share", &format!("{}%", self.l1_pinned_share));
        line("memory_bytes", &show_size(self.memory_bytes));
        line("session_ttl", &show_duration(self.session_ttl));
        line(
            "default_ttl",
            &show_duration(self.policies.default.default_ttl),
        );
        line("prefix_delimiters", &self.prefix_delimiters);
        line("floor_bytes", &show_size(self.floor_bytes));
        line("drain", &show_duration(self.drain));
        line("pod", &self.pod);
        line("log_format", if self.log_json { "json" } else { "text" });
        line("log_level", &self.log_level);
        if let Some(nats) = &self.nats {
            line("nats", &without_userinfo(&nats.url));
            line("fleet", &nats.fleet);
            line("nats_replicas", &nats.replicas.to_string());
        }
        text + &policies::as_toml(&self.policies)
    }
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// A URL list without the user names and passwords it may carry.
pub fn without_userinfo(urls: &str) -> String {
    let one = |url: &str| match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            format!("{scheme}://{host}")
        }
        None => url.rsplit_once('@').map_or(url, |(_, host)| host).into(),
    };
    urls.split(',').map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
