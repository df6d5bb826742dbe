//! What the NATS remote tier says of a put or delete that was sent and not
//! answered: that nobody knows. Only what certainly was not done is unavailable.

#![allow(clippy::disallowed_methods, reason = "tests spawn for themselves")]
#![allow(clippy::unwrap_used)]

mod nats_support;

use bytes::Bytes;
use nats_support::{PATIENCE, Server};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use unstale_engine::key::NameHash;
use unstale_engine::remote::{Expect, PutOutcome, Remote, RemoteError};
use unstale_sidecar::remote::nats_kv::{NatsKv, NatsKvConfig};

const KEY: NameHash = NameHash(7);
const LONG: Duration = Duration::from_secs(100);

/// Stops or continues the server as a machine that hangs would.
fn signal(server: &Server, signal: Signal) {
    let pid = std::fs::read_to_string(server.dir.path().join("pid")).unwrap();
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
    // A thread on another core may run on for a moment, and answer.
    while signal == Signal::STOP && !is_stopped(pid) {
        std::thread::yield_now();
    }
}

/// Whether none of its threads runs.
fn is_stopped(pid: Pid) -> bool {
    let threads = format!("/proc/{}/task", pid.as_raw_nonzero());
    let mut threads = std::fs::read_dir(threads).unwrap();
    !threads.any(|thread| {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("stat"));
        // Behind the name, which may hold anything. One that has ended runs no more.
        stat.is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with('T'))
    })
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

#[tokio::test]
async fn what_was_sent_and_not_answered_is_unknown() {
    let mut server = Server::with(|dir| format!("pid_file: {:?}", dir.join("pid")));
    let kv = NatsKv::new(NatsKvConfig {
        connection: server.connection(),
        fleet: "test".to_owned(),
        ..NatsKvConfig::default()
    });
    let cancel = CancellationToken::new();
    tokio::spawn(kv.clone().run(cancel.clone()));
    let _stop = cancel.drop_guard();
    until(&kv, |ping| ping.is_ok()).await;
    let record = || Bytes::from_static(b"record");
    let put = kv.put(KEY, Expect::Absent, record(), LONG).await;
    let Ok(PutOutcome::Stored(revision)) = put else {
        panic!("{put:?}")
    };
    signal(&server, Signal::STOP);
    let (read, put, delete) = tokio::join!(
        kv.get(KEY),
        kv.put(KEY, Expect::Revision(revision), record(), LONG),
        kv.delete(KEY, revision),
    );
    signal(&server, Signal::CONT);
    assert!(matches!(read, Err(RemoteError::Unavailable(_))), "{read:?}");
    assert!(matches!(put, Err(RemoteError::Unknown(_))), "{put:?}");
    assert!(matches!(delete, Err(RemoteError::Unknown(_))), "{delete:?}");
    server.kill();
    until(
        &kv,
        |ping| matches!(ping, Err(RemoteError::Unavailable(why)) if why.contains("away")),
    )
    .await;
    let put = kv.put(KEY, Expect::Absent, record(), LONG).await;
    assert!(matches!(put, Err(RemoteError::Unavailable(_))), "{put:?}");
}
