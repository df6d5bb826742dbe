//! From [`NatsConfig`] to connect options. Error texts name files and flags,
//! never their content.

use super::{NatsConfig, NatsTls};
use async_nats::{ConnectOptions, ServerAddr};
use std::path::Path;
use std::time::Duration;

/// A first SYN that is lost is sent again after 1 s, the next not before 3 s: until
/// then a new attempt is the faster one.
const CONNECT: Duration = Duration::from_secs(2);

/// The server addresses, or which one cannot be read.
pub(super) fn addresses(config: &NatsConfig) -> Result<Vec<ServerAddr>, String> {
    if config.urls.is_empty() {
        return Err("no NATS server address is configured".to_owned());
    }
    let parse = |(i, url): (usize, &String)| {
        url.parse()
            .map_err(|_| format!("NATS address number {} is not a NATS url", i + 1))
    };
    config.urls.iter().enumerate().map(parse).collect()
}

/// The options of one connection. It is not meant to survive a disconnect:
/// [`super::link`] makes a new one then. The server's list of connections shows
/// `name`.
pub(super) async fn options(config: &NatsConfig, name: &str) -> Result<ConnectOptions, String> {
    let options = ConnectOptions::new()
        .name(format!("unstale {name}"))
        .ping_interval(Duration::from_secs(1))
        .subscription_capacity(1 << 20)
        .connection_timeout(CONNECT)
        .request_timeout(Some(config.request_timeout))
        .max_reconnects(config.urls.len().max(1));
    let options = tls(options, &config.tls)?;
    authentication(options, config).await
}

async fn authentication(
    options: ConnectOptions,
    config: &NatsConfig,
) -> Result<ConnectOptions, String> {
    if let Some(file) = &config.credentials_file {
        // The client insists on a line end after the last line.
        let text = secret(file, "--nats-credentials").await?;
        return options
            .credentials(&format!("{text}\n"))
            .map_err(|_| format!("--nats-credentials {} is malformed", file.display()));
    }
    if let Some(file) = &config.nkey_seed_file {
        return Ok(options.nkey(secret(file, "--nats-nkey").await?.trim().to_owned()));
    }
    let Some(user) = config.user.clone() else {
        return Ok(options);
    };
    let password = match &config.password_file {
        // Files usually end with a line end that is not part of the password.
        Some(file) => secret(file, "--nats-password-file")
            .await?
            .trim_end_matches(['\r', '\n'])
            .to_owned(),
        None => config.password.clone().unwrap_or_default(),
    };
    Ok(options.user_and_password(user, password))
}

fn tls(mut options: ConnectOptions, tls: &NatsTls) -> Result<ConnectOptions, String> {
    options = options.require_tls(tls.required);
    if let Some(ca) = &tls.ca_file {
        options = options.add_root_certificates(ca.clone());
    }
    match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => Ok(options.add_client_certificate(cert.clone(), key.clone())),
        (None, None) => Ok(options),
        _ => Err("--nats-cert and --nats-key go together; one is missing".to_owned()),
    }
}

async fn secret(file: &Path, flag: &str) -> Result<String, String> {
    let read = tokio::fs::read_to_string(file).await;
    read.map_err(|e| format!("{flag} {}: {e}", file.display()))
}
