//! What the NATS log, the NATS remote tier and the references share: how to
//! connect, who keeps the connection up, and how a stream is read.
//!
//! Each opens a connection of its own ([`link`]), with the options of one [`NatsConfig`]. No secret is in `Debug` output, in
//! an error text or in a log line.

pub(crate) mod api;
pub mod check;
pub(crate) mod consumer;
pub(crate) mod hints;
pub(crate) mod link;
mod options;
pub(crate) mod streams;
pub(crate) mod version;

use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How to reach and convince the NATS servers. Files are read again at every
/// connection, so that rotated secrets are picked up.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsConfig {
    /// Server addresses, tried in random order: `nats://host:4222`.
    pub urls: Vec<String>,
    /// A credentials file (user JWT and seed).
    pub credentials_file: Option<PathBuf>,
    /// A file with an nkey seed.
    pub nkey_seed_file: Option<PathBuf>,
    /// User name.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// A file with the user's password; wins over `password`.
    pub password_file: Option<PathBuf>,
    /// TLS towards the servers.
    pub tls: NatsTls,
    /// Longest wait for an answer to one request.
    #[serde(deserialize_with = "seconds")]
    pub request_timeout: Duration,
}

/// TLS towards the NATS servers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsTls {
    /// Refuse servers that do not offer TLS.
    pub required: bool,
    /// CA certificates (PEM) trusted in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate (PEM); needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// The client's private key (PEM); needs `cert_file`.
    pub key_file: Option<PathBuf>,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            urls: vec!["nats://127.0.0.1:4222".to_owned()],
            credentials_file: None,
            nkey_seed_file: None,
            user: None,
            password: None,
            password_file: None,
            tls: NatsTls::default(),
            request_timeout: Duration::from_secs(2),
        }
    }
}

/// Leaves out the password, and whatever an address carries before its `@`.
impl fmt::Debug for NatsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<_> = self.urls.iter().map(|url| url.rsplit('@').next()).collect();
        f.debug_struct("NatsConfig")
            .field("urls", &urls)
            .field("credentials_file", &self.credentials_file)
            .field("nkey_seed_file", &self.nkey_seed_file)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "(hidden)"))
            .field("password_file", &self.password_file)
            .field("tls", &self.tls)
            .field("request_timeout", &self.request_timeout)
            .finish()
    }
}

/// Durations in configuration are numbers of seconds.
pub(crate) fn seconds<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(d)?;
    Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debug_form_has_no_secrets() {
        let config = NatsConfig {
            urls: vec!["nats://me:sesame@host:4222".to_owned()],
            password: Some("sesame".to_owned()),
            ..NatsConfig::default()
        };
        assert!(!format!("{config:?}").contains("sesame"));
    }
}
