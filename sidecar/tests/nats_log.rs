//! The NATS log driver against a real server.

#![allow(clippy::disallowed_methods, reason = "tests spawn for themselves")]
#![allow(clippy::unwrap_used)]

mod nats_support;

use nats_support::{Running, Server, append, log_config, run};
use serde_json::json;
use std::time::Duration;
use unstale_engine::coherence::record::{Body, Record, RecordId, SessionId};
use unstale_engine::log::{Append, Appended, Backfilled, Command, Delivery, Event, Log, Subject};
use unstale_engine::position::Epoch;

const ME: SessionId = SessionId(0xabc);
const OTHER: SessionId = SessionId(0xdef);

async fn started(server: &Server) -> Running {
    let running = run(log_config(server.connection()));
    running.events.opened().await;
    running
}

async fn fill(log: &Running, subjects: &[Subject]) {
    for (i, subject) in subjects.iter().enumerate() {
        let id = i as u128 + 1;
        let appended = log.log.append(append(id, *subject)).await;
        assert_eq!(appended, Appended::At(i as u64 + 1));
    }
}

async fn next_delivery(log: &Running, of: u64) -> Delivery {
    let pick = |e: &Event| match e {
        Event::Delivered(d) if d.incarnation == of => Some(Ok(d.clone())),
        Event::Broken { incarnation, why } if *incarnation == of => Some(Err(why.clone())),
        _ => None,
    };
    log.events.wait(pick).await.unwrap()
}

#[tokio::test]
async fn an_append_is_repeated_without_harm_and_refused_on_conflict() {
    let server = Server::start();
    let on = started(&server).await;
    let write = Subject::Writes(7);
    let expecting = |id, last| Append {
        expect_last: Some(last),
        ..append(id, write)
    };
    assert_eq!(on.log.last(write).await, Ok(0));
    assert_eq!(on.log.append(expecting(1, 0)).await, Appended::At(1));
    assert_eq!(
        on.log.append(append(9, Subject::Records)).await,
        Appended::At(2)
    );
    assert_eq!(
        on.log.append(append(9, Subject::Records)).await,
        Appended::At(2)
    );
    assert_eq!(on.log.append(expecting(2, 0)).await, Appended::Conflict);
    assert_eq!(on.log.append(expecting(3, 1)).await, Appended::At(3));
    assert_eq!(on.log.last(write).await, Ok(3));
}

#[tokio::test]
async fn a_reader_gets_everything_from_its_anchor_but_the_beats_of_others() {
    let server = Server::start();
    let on = started(&server).await;
    let subjects = [
        Subject::Records,
        Subject::Writes(1023),
        Subject::Beats(OTHER),
        Subject::Beats(ME),
        Subject::Epochs,
    ];
    fill(&on, &subjects).await;
    on.log.command(Command::Read {
        incarnation: 4,
        anchor: 2,
        session: ME,
    });
    for (count, sequence) in [(1, 2), (2, 4), (3, 5)] {
        let got = next_delivery(&on, 4).await;
        assert_eq!((got.consumer_sequence, got.sequence), (count, sequence));
        assert_eq!(got.id, RecordId(u128::from(sequence)));
        assert_eq!(got.expires, sequence == 4);
        assert_eq!(got.payload, format!("record {sequence}"));
        assert!(
            got.time.0 > 1_700_000_000_000_000,
            "microseconds since 1970"
        );
    }
    let idle = |e: &Event| match e {
        Event::Idle {
            incarnation: 4,
            consumer_sequence,
        } => Some(*consumer_sequence),
        _ => None,
    };
    assert_eq!(on.events.wait(idle).await, 3);
    assert_eq!(
        on.log.append(append(6, Subject::Beats(ME))).await,
        Appended::At(6)
    );
    assert_eq!(next_delivery(&on, 4).await.consumer_sequence, 4);
}

#[tokio::test]
async fn a_large_backlog_arrives_without_a_gap() {
    let server = Server::start();
    let on = started(&server).await;
    fill(&on, &[Subject::Records; 3000]).await;
    on.log.command(Command::Read {
        incarnation: 1,
        anchor: 1,
        session: ME,
    });
    for expected in 1..=3000 {
        let got = next_delivery(&on, 1).await;
        assert_eq!((got.consumer_sequence, got.sequence), (expected, expected));
    }
}

#[tokio::test]
async fn a_stopped_incarnation_ends_while_the_next_goes_on() {
    let server = Server::start();
    let on = started(&server).await;
    fill(&on, &[Subject::Records]).await;
    for incarnation in [1, 2] {
        on.log.command(Command::Read {
            incarnation,
            anchor: 1,
            session: ME,
        });
        assert_eq!(next_delivery(&on, incarnation).await.sequence, 1);
    }
    on.log.command(Command::Stop { incarnation: 1 });
    on.log.append(append(2, Subject::Records)).await;
    assert_eq!(next_delivery(&on, 2).await.sequence, 2);
}

#[tokio::test]
async fn a_restarted_server_means_lost_and_opened_with_the_same_log() {
    let mut server = Server::start();
    let on = started(&server).await;
    fill(&on, &[Subject::Records; 3]).await;
    on.log.command(Command::Listen { session: ME });
    server.kill();
    on.events.lost("").await;
    let away = on.log.append(append(9, Subject::Records)).await;
    assert!(matches!(away, Appended::NotSent(_)), "{away:?}");
    server.resume();
    let opened = on.events.opened().await;
    assert_eq!((opened.first, opened.last), (1, 3));
    on.log.command(Command::Ask { by: ME });
    let asked = |e: &Event| matches!(e, Event::Asked { by: ME }).then_some(());
    on.events.wait(asked).await;
    say(&on, ME).await;
    on.events.wait(word).await;
}

#[tokio::test]
async fn reopen_is_answered_by_lost_and_opened() {
    let server = Server::start();
    let on = started(&server).await;
    on.log.command(Command::Reopen);
    on.events.lost("").await;
    on.events.opened().await;
}

#[tokio::test]
async fn the_past_is_read_complete_and_without_beats() {
    let server = Server::start();
    let on = started(&server).await;
    let subjects = [
        Subject::Records,
        Subject::Beats(ME),
        Subject::Writes(3),
        Subject::Records,
        Subject::Records,
    ];
    fill(&on, &subjects).await;
    on.log.command(Command::Backfill { from: 1, to: 4 });
    let got = on.events.wait(|e| match e {
        Event::Backfilled(b) => Some(b.clone()),
        _ => None,
    });
    let Backfilled {
        from,
        to,
        first,
        records,
    } = got.await;
    assert_eq!((from, to, first), (1, 4, 1));
    let sequences: Vec<_> = records.iter().map(|r| r.0).collect();
    assert_eq!(sequences, [1, 3]);
    on.log.command(Command::CheckFirst { token: 77 });
    let first = |e: &Event| {
        matches!(
            e,
            Event::First {
                token: 77,
                first: 1
            }
        )
        .then_some(())
    };
    on.events.wait(first).await;
}

#[tokio::test]
async fn a_word_reaches_the_pod_that_asked() {
    let server = Server::start();
    let (me, other) = (started(&server).await, started(&server).await);
    me.log.command(Command::Listen { session: ME });
    me.log.command(Command::Ask { by: ME });
    let asked = |e: &Event| matches!(e, Event::Asked { by: ME }).then_some(());
    other.events.wait(asked).await;
    say(&other, ME).await;
    me.events.wait(word).await;
}

async fn say(by: &Running, to: SessionId) {
    by.log.command(Command::Say {
        to,
        session: OTHER,
        epoch: Epoch(5),
        sequence: 6,
    });
}

fn word(event: &Event) -> Option<()> {
    let expected = Event::Word {
        session: OTHER,
        epoch: Epoch(5),
        sequence: 6,
    };
    (*event == expected).then_some(())
}

#[tokio::test]
async fn a_later_pod_adopts_what_the_log_says() {
    let server = Server::start();
    let mut config = log_config(server.connection());
    config.session_ttl = Duration::from_millis(12_345);
    let first = run(config);
    let opened = first.events.opened().await;
    assert_eq!((opened.first, opened.last, opened.epoch), (1, 0, None));
    let epoch = Record {
        id: RecordId(1),
        origin: ME,
        reason: None,
        trace_id: None,
        body: Body::NewEpoch(Epoch(42)),
    };
    let payload = epoch.encode().into();
    let appended = first.log.append(Append {
        payload,
        ..append(1, Subject::Epochs)
    });
    assert_eq!(appended.await, Appended::At(1));
    let later = run(log_config(server.connection()));
    let opened = later.events.opened().await;
    assert_eq!(opened.session_ttl, Duration::from_millis(12_345));
    assert_eq!(opened.epoch, Some(Epoch(42)));
    assert_eq!(opened.retention, Duration::from_secs(31 * 24 * 3600));
}

#[tokio::test]
async fn an_incarnation_whose_consumer_is_deleted_is_broken() {
    let server = Server::start();
    let on = started(&server).await;
    on.log.command(Command::Read {
        incarnation: 3,
        anchor: 1,
        session: ME,
    });
    let reading = |e: &Event| matches!(e, Event::Reading { incarnation: 3 }).then_some(());
    on.events.wait(reading).await;
    let admin = async_nats::connect(server.url()).await.unwrap();
    let subject = format!(
        "$JS.API.CONSUMER.DELETE.UNSTALE_test_LOG.pod-{:032x}-3",
        ME.0
    );
    admin.request(subject, "".into()).await.unwrap();
    let broken = |e: &Event| matches!(e, Event::Broken { incarnation: 3, .. }).then_some(());
    on.events.wait(broken).await;
}

#[tokio::test]
async fn a_stream_that_could_lose_records_is_refused() {
    let server = Server::start();
    let config = json!({ "name": "UNSTALE_test_LOG", "subjects": ["unstale.test.log.>"] });
    server.make_stream(&config).await;
    let refused = run(log_config(server.connection()));
    refused.events.lost("deny_delete").await;
    let appended = refused.log.append(append(1, Subject::Records)).await;
    assert!(
        matches!(&appended, Appended::NotSent(why) if why.contains("deny_delete")),
        "{appended:?}"
    );
}

/// Each pod would take its own ttl for the fleet's, and not wait for a pod
/// whose ttl is longer.
#[tokio::test]
async fn a_stream_that_does_not_say_its_session_ttl_is_refused() {
    let server = Server::start();
    let config = json!({
        "name": "UNSTALE_test_LOG", "subjects": ["unstale.test.log.>"],
        "deny_delete": true, "deny_purge": true, "allow_msg_ttl": true,
    });
    server.make_stream(&config).await;
    let refused = run(log_config(server.connection()));
    let first = refused.events.wait(|event| match event {
        Event::Opened(opened) => Some(Err(opened.clone())),
        Event::Lost(why) if why.contains("UNSTALE") => Some(Ok(why.clone())),
        _ => None,
    });
    let why = first.await.expect("it is not opened");
    assert!(why.contains("unstale-session-ttl-ms"), "{why}");
}
