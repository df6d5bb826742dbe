//! What the engine may rely on.

use super::*;
use crate::boottime::BootTime;

#[derive(Default)]
struct Seen(Mutex<Vec<Event>>, tokio::sync::Notify);

impl Sink for Seen {
    fn event(&self, event: Event) {
        lock(&self.0).push(event);
        self.1.notify_waiters();
    }
}

impl Seen {
    async fn until(&self, done: impl Fn(&[Event]) -> bool) -> Vec<Event> {
        loop {
            let changed = self.1.notified();
            let events = lock(&self.0).clone();
            if done(&events) {
                return events;
            }
            changed.await;
        }
    }
}

async fn running() -> (Arc<LocalLog>, Arc<Seen>, CancellationToken) {
    let log = LocalLog::new(Duration::from_secs(15), Arc::new(BootTime));
    let (seen, cancel) = (Arc::new(Seen::default()), CancellationToken::new());
    #[allow(clippy::disallowed_methods, reason = "a test's own task")]
    tokio::spawn(log.clone().run(seen.clone(), cancel.clone()));
    seen.until(|events| !events.is_empty()).await;
    (log, seen, cancel)
}

fn record(id: u128, subject: Subject, expect_last: Option<u64>) -> Append {
    Append {
        id: RecordId(id),
        subject,
        payload: Bytes::from_static(b"payload"),
        expect_last,
    }
}

fn delivered(events: &[Event]) -> Vec<(u64, u64, u64)> {
    let each = events.iter().filter_map(|event| match event {
        Event::Delivered(d) => Some((d.incarnation, d.consumer_sequence, d.sequence)),
        _ => None,
    });
    each.collect()
}

#[tokio::test]
async fn a_new_incarnation_gets_the_past_from_its_anchor_and_then_the_present_in_order() {
    let (log, seen, _cancel) = running().await;
    for id in 1..=3 {
        log.append(record(id, Subject::Records, None)).await;
    }
    let session = SessionId(9);
    log.command(Command::Read {
        incarnation: 7,
        anchor: 2,
        session,
    });
    seen.until(|events| delivered(events).len() == 2).await;
    log.append(record(4, Subject::Beats(SessionId(8)), None))
        .await;
    log.append(record(5, Subject::Beats(session), None)).await;
    let events = seen.until(|events| delivered(events).len() == 3).await;
    assert_eq!(delivered(&events), [(7, 1, 2), (7, 2, 3), (7, 3, 5)]);
}

#[tokio::test]
async fn a_repeated_append_is_one_record_and_an_expectation_is_checked() {
    let (log, _seen, _cancel) = running().await;
    let shard = Subject::Writes(3);
    assert_eq!(log.append(record(1, shard, Some(0))).await, Appended::At(1));
    assert_eq!(log.append(record(1, shard, Some(0))).await, Appended::At(1));
    assert_eq!(
        log.append(record(2, shard, Some(0))).await,
        Appended::Conflict
    );
    assert_eq!(
        log.append(record(3, Subject::Records, None)).await,
        Appended::At(2)
    );
    assert_eq!(log.append(record(4, shard, Some(1))).await, Appended::At(3));
    assert_eq!(log.last(shard).await, Ok(3));
}

#[tokio::test]
async fn the_log_is_bounded_and_says_so_to_who_comes_too_late() {
    let (log, seen, _cancel) = running().await;
    let many = KEPT as u128 + 10;
    for id in 1..=many {
        log.append(record(id, Subject::Records, None)).await;
    }
    let session = SessionId(9);
    log.command(Command::Read {
        incarnation: 1,
        anchor: 5,
        session,
    });
    let opened = |events: &[Event]| {
        let first = |event: &Event| matches!(event, Event::Opened(o) if o.first == 11);
        events.iter().any(first)
    };
    seen.until(opened).await;
}
