//! The log driver when it is held up: what it reads has no gap, or it says that
//! something is over, even when the server drops it as too slow.

#![allow(clippy::disallowed_methods, reason = "tests spawn for themselves")]
#![allow(clippy::unwrap_used)]

mod nats_support;

use nats_support::reading::{End, Reading, read};
use nats_support::{Events, PATIENCE, Server, log_config};
use std::sync::{Arc, Mutex};
use tokio_util::sync::{CancellationToken, DropGuard};
use unstale_engine::log::{Event, Log, Sink};
use unstale_sidecar::log::nats::NatsLog;

/// A sink that can be held up, and the driver with it: both have one thread.
struct Gate {
    open: Mutex<()>,
    events: Arc<Events>,
}

impl Sink for Gate {
    fn event(&self, event: Event) {
        drop(self.open.lock().unwrap());
        self.events.event(event);
    }
}

struct HeldUp {
    log: Arc<NatsLog>,
    gate: Arc<Gate>,
    _stop: DropGuard,
}

fn one_thread(server: &Server) -> HeldUp {
    let gate = Arc::new(Gate {
        open: Mutex::new(()),
        events: Events::new(),
    });
    let cancel = CancellationToken::new();
    let log = NatsLog::new(log_config(server.connection()));
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let running = log.clone().run(gate.clone(), cancel.clone());
    std::thread::spawn(move || runtime.block_on(running));
    let _stop = cancel.drop_guard();
    HeldUp { log, gate, _stop }
}

/// Appends records until the log has `last`, as other pods would.
async fn others_append(server: &Server, (first, last): (u64, u64)) -> async_nats::Client {
    let other = async_nats::connect(server.url()).await.unwrap();
    let payload = bytes::Bytes::from(vec![b'x'; 1000]);
    for _ in first..last {
        let sent = other.publish("unstale.test.log.r", payload.clone()).await;
        sent.unwrap();
    }
    let acked = other.request("unstale.test.log.r", payload).await.unwrap();
    let ack: serde_json::Value = serde_json::from_slice(&acked.payload).unwrap();
    assert_eq!(ack["seq"], last, "{ack}");
    other
}

/// Reads as the engine would: again from the last record that came, whenever
/// the driver says that something is over.
struct Follower<'a> {
    held: &'a HeldUp,
    reading: Reading<'a>,
    all: Vec<u64>,
    /// What the reading begins with.
    anchor: u64,
}

impl<'a> Follower<'a> {
    /// Follows from the log's first record, which must be there.
    async fn of(held: &'a HeldUp) -> Self {
        held.log.command(read(1, 1));
        let mut follower = Self {
            held,
            reading: Reading::of(&held.gate.events, 1),
            all: Vec::new(),
            anchor: 1,
        };
        follower.to(1).await;
        follower
    }

    /// Reads until this sequence was delivered; how often it began anew.
    async fn to(&mut self, last: u64) -> usize {
        for anew in 0.. {
            let known = self.reading.got.len();
            let end = self.reading.until(last).await;
            let got = self.reading.got[known..].iter();
            self.all.extend(got.map(|(sequence, _)| sequence));
            match end {
                End::Reached => return anew,
                End::Broken => {}
                End::Lost => {
                    self.held.gate.events.opened().await;
                }
            }
            // It is delivered again, unless it was not yet.
            self.anchor = self.all.pop().unwrap_or(self.anchor);
            let next = self.reading.incarnation + 1;
            self.held.log.command(read(next, self.anchor));
            self.reading = Reading::of(&self.held.gate.events, next);
        }
        unreachable!("it goes on until it returns")
    }
}

/// Runs `meanwhile` to its end while the driver stands still.
fn hold_up<T>(held: &HeldUp, meanwhile: impl Future<Output = T>) -> T {
    let _shut = held.gate.open.lock().unwrap();
    let meanwhile = tokio::time::timeout(PATIENCE, meanwhile);
    let here = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| here.block_on(meanwhile)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_was_held_up_reads_on_without_a_gap() {
    const LAST: u64 = 20_000;
    let server = Server::start();
    let held = one_thread(&server);
    held.gate.events.opened().await;
    others_append(&server, (1, 1)).await;
    let mut follower = Follower::of(&held).await;
    hold_up(&held, others_append(&server, (2, LAST)));
    follower.to(LAST).await;
    assert_eq!(follower.all, (1..=LAST).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_the_server_drops_as_too_slow_knows_it_and_reads_on_without_a_gap() {
    const LAST: u64 = 2_000;
    let server = Server::with(|_| "max_pending: 2MB\nwrite_deadline: \"100ms\"".to_owned());
    let held = one_thread(&server);
    held.gate.events.opened().await;
    others_append(&server, (1, 1)).await;
    let mut follower = Follower::of(&held).await;
    hold_up(&held, async {
        let other = others_append(&server, (2, LAST)).await;
        // Questions to all pods: no consumer's flow control holds them back.
        let noise = bytes::Bytes::from(vec![0; 100_000]);
        while !server.log().contains("Slow Consumer") {
            let sent = other.publish("unstale.test.ask", noise.clone()).await;
            sent.unwrap();
            other.flush().await.unwrap();
        }
    });
    let anew = follower.to(LAST).await;
    assert!(anew > 0, "the driver did not say that it was dropped");
    assert_eq!(follower.all, (1..=LAST).collect::<Vec<_>>());
}
