//! How the settings say to reach each kind of server: one function per client.
//! Connects nowhere.

use crate::config::{Nats, Redis, RedisLayout, RemoteLogin};
use crate::nats::{NatsConfig, NatsTls};
use crate::remote::login::Login;
use crate::remote::memcached::MemcachedConfig;
use crate::remote::nats_kv::NatsKvConfig;
use crate::remote::redis::{Layout, RedisConfig};

/// How the settings say to reach Redis.
pub fn redis_servers(redis: &Redis, login: &RemoteLogin, fleet: &str) -> RedisConfig {
    RedisConfig {
        layout: match &redis.layout {
            RedisLayout::One => Layout::One,
            RedisLayout::Cluster => Layout::Cluster,
            RedisLayout::Sentinel(service) => Layout::Sentinel {
                service: service.clone(),
            },
        },
        hosts: redis.hosts.clone(),
        tls: redis.tls,
        database: redis.database.into(),
        login: self::login(login),
        fleet: fleet.to_owned(),
    }
}

/// How the settings say to reach memcached.
pub fn memcached_servers(
    hosts: &[(String, u16)],
    login: &RemoteLogin,
    fleet: &str,
) -> MemcachedConfig {
    MemcachedConfig {
        hosts: hosts.to_vec(),
        login: self::login(login),
        fleet: fleet.to_owned(),
    }
}

/// How the settings say to keep values in the log's NATS.
pub fn nats_servers(nats: &Nats) -> NatsKvConfig {
    NatsKvConfig {
        connection: connection(nats),
        fleet: nats.fleet.clone(),
        replicas: nats.replicas,
        ..NatsKvConfig::default()
    }
}

fn login(login: &RemoteLogin) -> Login {
    Login {
        user: login.user.clone(),
        password: login.password.as_ref().map(|secret| secret.0.clone()),
        password_file: login.password_file.clone(),
        ca_file: login.ca.clone(),
        cert_file: login.cert.clone(),
        key_file: login.key.clone(),
    }
}

/// How the settings say to connect.
pub fn connection(nats: &Nats) -> NatsConfig {
    NatsConfig {
        urls: nats.url.split(',').map(str::to_owned).collect(),
        credentials_file: nats.credentials.clone(),
        nkey_seed_file: nats.nkey.clone(),
        user: nats.user.clone(),
        password: nats.password.as_ref().map(|secret| secret.0.clone()),
        password_file: nats.password_file.clone(),
        tls: NatsTls {
            required: nats.url.contains("tls://"),
            ca_file: nats.ca.clone(),
            cert_file: nats.cert.clone(),
            key_file: nats.key.clone(),
        },
        ..NatsConfig::default()
    }
}
