//! Every way to convince a NATS server, each against a real one.

#![allow(clippy::disallowed_methods, reason = "tests spawn for themselves")]
#![allow(clippy::unwrap_used)]

mod nats_support;

use nats_support::secrets::{certificates, operator};
use nats_support::{Server, log_config, run};
use nkeys::KeyPair;
use std::fs;
use unstale_sidecar::nats::{NatsConfig, NatsTls};

async fn opens(connection: NatsConfig) {
    run(log_config(connection)).events.opened().await;
}

async fn is_refused(connection: NatsConfig) {
    run(log_config(connection)).events.lost("refused").await;
}

#[tokio::test]
async fn user_and_password_open_the_log_and_a_wrong_password_is_refused() {
    let server = Server::with(|dir| {
        fs::write(dir.join("password"), "sesame\n").unwrap();
        "authorization { user: me, password: sesame }".to_owned()
    });
    let with = |password: &str| NatsConfig {
        user: Some("me".to_owned()),
        password: Some(password.to_owned()),
        ..server.connection()
    };
    opens(with("sesame")).await;
    opens(NatsConfig {
        password_file: Some(server.dir.path().join("password")),
        ..with("ignored")
    })
    .await;
    is_refused(with("wrong")).await;
    is_refused(server.connection()).await;
}

#[tokio::test]
async fn an_nkey_opens_the_log_and_another_does_not() {
    let (good, bad) = (KeyPair::new_user(), KeyPair::new_user());
    let server = Server::with(|dir| {
        fs::write(dir.join("good"), good.seed().unwrap()).unwrap();
        fs::write(dir.join("bad"), bad.seed().unwrap()).unwrap();
        format!(
            "authorization {{ users: [{{ nkey: {} }}] }}",
            good.public_key()
        )
    });
    let with = |file: &str| NatsConfig {
        nkey_seed_file: Some(server.dir.path().join(file)),
        ..server.connection()
    };
    opens(with("good")).await;
    is_refused(with("bad")).await;
    is_refused(server.connection()).await;
}

#[tokio::test]
async fn a_credentials_file_opens_the_log_and_a_missing_one_is_named() {
    let server = Server::with(operator);
    let with = |file: &str| NatsConfig {
        credentials_file: Some(server.dir.path().join(file)),
        ..server.connection()
    };
    opens(with("user.creds")).await;
    let missing = run(log_config(with("no.creds")));
    missing.events.lost("no.creds").await;
    is_refused(server.connection()).await;
}

#[tokio::test]
async fn tls_needs_the_ca_and_the_clients_certificate() {
    let server = Server::with(certificates);
    let file = |name: &str| Some(server.dir.path().join(name));
    let with = |tls| NatsConfig {
        tls,
        ..server.connection()
    };
    let tls = NatsTls {
        required: true,
        ca_file: file("ca.pem"),
        cert_file: file("client.pem"),
        key_file: file("client.key"),
    };
    opens(with(tls.clone())).await;
    let untrusting = NatsTls {
        ca_file: None,
        ..tls.clone()
    };
    is_refused(with(untrusting)).await;
    let anonymous = NatsTls {
        cert_file: None,
        key_file: None,
        ..tls.clone()
    };
    is_refused(with(anonymous)).await;
    let half = NatsTls {
        key_file: None,
        ..tls
    };
    run(log_config(with(half))).events.lost("--nats-key").await;
}
