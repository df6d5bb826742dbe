//! The NATS remote tier against a real server.

#![allow(clippy::disallowed_methods, reason = "tests spawn for themselves")]
#![allow(clippy::unwrap_used)]

mod nats_support;

use bytes::Bytes;
use nats_support::{PATIENCE, Server};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};
use unstale_engine::key::{Key, NameHash, Namespace};
use unstale_engine::remote::{Expect, PutOutcome, Remote, RemoteError, Revision};
use unstale_sidecar::nats::NatsConfig;
use unstale_sidecar::remote::nats_kv::{NatsKv, NatsKvConfig};

const LONG: Duration = Duration::from_secs(100);

fn key(name: &str) -> NameHash {
    Key::new(Namespace::new("shop").unwrap(), name)
        .unwrap()
        .hash()
}

fn run(connection: NatsConfig) -> (Arc<NatsKv>, DropGuard) {
    let kv = NatsKv::new(NatsKvConfig {
        connection,
        fleet: "test".to_owned(),
        ..NatsKvConfig::default()
    });
    let cancel = CancellationToken::new();
    tokio::spawn(kv.clone().run(cancel.clone()));
    (kv, cancel.drop_guard())
}

/// A tier that answers.
async fn started(server: &Server) -> (Arc<NatsKv>, DropGuard) {
    let (kv, stop) = run(server.connection());
    until(&kv, |ping| ping.is_ok()).await;
    (kv, stop)
}

/// Asks until the answer is right; every round gives others a turn.
async fn until(kv: &NatsKv, right: impl Fn(&Result<(), RemoteError>) -> bool) {
    let asking = async {
        while !right(&kv.ping().await) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap();
}

async fn put(kv: &NatsKv, expect: Expect, text: &'static str) -> PutOutcome {
    let record = Bytes::from_static(text.as_bytes());
    kv.put(key("a"), expect, record, LONG).await.unwrap()
}

fn stored(outcome: PutOutcome) -> Revision {
    match outcome {
        PutOutcome::Stored(revision) => revision,
        PutOutcome::Conflict => panic!("a conflict"),
    }
}

#[tokio::test]
async fn a_put_needs_exactly_the_state_that_is_there() {
    let server = Server::start();
    let (kv, _stop) = started(&server).await;
    assert_eq!(kv.get(key("a")).await, Ok(None));
    let first = stored(put(&kv, Expect::Absent, "one").await);
    assert_eq!(put(&kv, Expect::Absent, "two").await, PutOutcome::Conflict);
    let got = kv.get(key("a")).await.unwrap().unwrap();
    assert_eq!((got.revision, got.record.as_ref()), (first, &b"one"[..]));
    let second = stored(put(&kv, Expect::Revision(first), "two").await);
    assert_eq!(
        put(&kv, Expect::Revision(first), "x").await,
        PutOutcome::Conflict
    );
    let got = kv.get(key("a")).await.unwrap().unwrap();
    assert_eq!((got.revision, got.record.as_ref()), (second, &b"two"[..]));
    assert_eq!(kv.get(key("b")).await, Ok(None));
}

#[tokio::test]
async fn a_delete_removes_exactly_the_state_it_names() {
    let server = Server::start();
    let (kv, _stop) = started(&server).await;
    let first = stored(put(&kv, Expect::Absent, "one").await);
    let second = stored(put(&kv, Expect::Revision(first), "two").await);
    assert_eq!(kv.delete(key("a"), first).await, Ok(()));
    assert!(kv.get(key("a")).await.unwrap().is_some());
    assert_eq!(kv.delete(key("a"), second).await, Ok(()));
    assert_eq!(kv.get(key("a")).await, Ok(None));
    assert_eq!(kv.delete(key("a"), second).await, Ok(()));
    stored(put(&kv, Expect::Absent, "three").await);
}

#[tokio::test]
async fn a_record_goes_after_its_ttl() {
    let server = Server::start();
    let (kv, _stop) = started(&server).await;
    let record = Bytes::from_static(b"short");
    let ttl = Duration::from_millis(700);
    let put = kv.put(key("a"), Expect::Absent, record, ttl).await;
    stored(put.unwrap());
    assert!(kv.get(key("a")).await.unwrap().is_some());
    let gone = async { while kv.get(key("a")).await.unwrap().is_some() {} };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn a_hint_wakes_who_waits_for_that_key() {
    let server = Server::start();
    let (kv, _stop) = started(&server).await;
    let (other, _stop) = started(&server).await;
    let hinting = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            tick.tick().await;
            other.hint(key("a"));
        }
    };
    tokio::select! {
        () = kv.hinted(key("b")) => panic!("a hint for another key"),
        woken = tokio::time::timeout(PATIENCE, kv.hinted(key("a"))) => woken.unwrap(),
        () = hinting => {}
    }
}

#[tokio::test]
async fn a_stream_that_vanished_is_made_again() {
    let server = Server::start();
    let (kv, _stop) = started(&server).await;
    let revision = stored(put(&kv, Expect::Absent, "one").await);
    let admin = async_nats::connect(server.url()).await.unwrap();
    let subject = "$JS.API.STREAM.DELETE.UNSTALE_test_DATA";
    admin.request(subject, Bytes::new()).await.unwrap();
    assert_eq!(kv.delete(key("a"), revision).await, Ok(()));
    assert_eq!(kv.get(key("a")).await, Ok(None));
    admin.request(subject, Bytes::new()).await.unwrap();
    stored(put(&kv, Expect::Absent, "two").await);
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_comes_back() {
    let mut server = Server::start();
    let (kv, _stop) = started(&server).await;
    server.kill();
    until(&kv, |p| matches!(p, Err(RemoteError::Unavailable(_)))).await;
    server.resume();
    until(&kv, Result::is_ok).await;
}

#[tokio::test]
async fn a_wrong_password_is_a_configuration_mistake() {
    let server = Server::with(|_| "authorization { user: me, password: sesame }".to_owned());
    let (kv, _stop) = run(NatsConfig {
        user: Some("me".to_owned()),
        password: Some("wrong-one".to_owned()),
        ..server.connection()
    });
    let refused = |p: &_| match p {
        Err(RemoteError::Misconfigured(text)) => !text.contains("wrong-one"),
        _ => false,
    };
    until(&kv, refused).await;
}

#[tokio::test]
async fn a_missing_permission_is_a_configuration_mistake() {
    let server = Server::with(|_| {
        "authorization { users: [ { user: me, password: sesame, permissions: { publish: x } } ] }"
            .to_owned()
    });
    let (kv, _stop) = run(NatsConfig {
        user: Some("me".to_owned()),
        password: Some("sesame".to_owned()),
        ..server.connection()
    });
    let denied =
        |p: &_| matches!(p, Err(RemoteError::Misconfigured(t)) if t.contains("permission"));
    until(&kv, denied).await;
}
