//! Every way to convince a NATS server, each against a real one.

#![allow(clippy::disallowed_methods, reason = "tests spawn for themselves")]
#![allow(clippy::unwrap_used)]

mod nats_support;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nats_support::{Server, log_config, run};
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair as TlsKey};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
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

/// An operator with one account and one user; writes the user's credentials.
fn operator(dir: &Path) -> String {
    let (operator, system) = (KeyPair::new_operator(), KeyPair::new_account());
    let (account, user) = (KeyPair::new_account(), KeyPair::new_user());
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
        "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let of_account = json!({ "limits": limits, "type": "account", "version": 2 });
    let mut of_system = of_account.clone();
    for field in ["mem_storage", "disk_storage", "streams", "consumer"] {
        of_system["limits"][field] = json!(0);
    }
    let of_user = json!({
        "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1,
        "type": "user", "version": 2,
    });
    let of_operator = json!({ "type": "operator", "version": 2 });
    let user_jwt = jwt(&account, &user, &of_user);
    let seed = user.seed().unwrap();
    let creds = format!(
        "-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    fs::write(dir.join("user.creds"), creds).unwrap();
    format!(
        "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {}, {}: {} }}",
        jwt(&operator, &operator, &of_operator),
        system.public_key(),
        system.public_key(),
        jwt(&operator, &system, &of_system),
        account.public_key(),
        jwt(&operator, &account, &of_account),
    )
}

fn jwt(issuer: &KeyPair, subject: &KeyPair, nats: &Value) -> String {
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let claims = json!({
        "jti": "test", "iat": 1_700_000_000, "name": "test",
        "iss": issuer.public_key(), "sub": subject.public_key(), "nats": nats,
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
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
    run(log_config(with(half))).events.lost("key_file").await;
}

/// A CA, and certificates of it for the server and a client.
fn certificates(dir: &Path) -> String {
    let ca_key = TlsKey::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    fs::write(dir.join("ca.pem"), ca_pem).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    for name in ["server", "client"] {
        let key = TlsKey::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let signed = params.signed_by(&key, &issuer).unwrap();
        fs::write(dir.join(format!("{name}.pem")), signed.pem()).unwrap();
        fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
    let at = |name: &str| dir.join(name);
    format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}",
        at("server.pem"),
        at("server.key"),
        at("ca.pem")
    )
}
