//! The log driver when its server hangs: noticed, told, and nothing lost or
//! doubled when it goes on.

#![allow(clippy::disallowed_methods, reason = "tests spawn for themselves")]
#![allow(clippy::unwrap_used)]

mod nats_support;

use nats_support::reading::{End, Reading, over, read};
use nats_support::{Server, append, log_config, run};
use std::time::{Duration, Instant};
use unstale_engine::coherence::record::RecordId;
use unstale_engine::log::{Appended, Log, Subject};

/// 2.5 s of silence, and what two busy cores add.
const NOTICED: Duration = Duration::from_millis(3500);

#[tokio::test]
async fn a_server_that_hangs_is_noticed_and_read_on_from_when_it_goes_on() {
    let server = Server::start();
    let on = run(log_config(server.connection()));
    on.events.opened().await;
    for sequence in 1..=3 {
        let appended = on.log.append(append(sequence, Subject::Records)).await;
        assert_eq!(appended, Appended::At(sequence as u64));
    }
    on.log.command(read(1, 1));
    assert_eq!(Reading::of(&on.events, 1).until(3).await, End::Reached);
    let began = Instant::now();
    server.pause();
    let (over, appended) = tokio::join!(
        on.events.wait(over),
        on.log.append(append(9, Subject::Records)),
    );
    assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
    assert!(matches!(appended, Appended::Unknown(_)), "{appended:?}");
    if over == End::Broken {
        on.events.lost("").await;
    }
    server.go_on();
    let opened = on.events.opened().await;
    assert_eq!(opened.first, 1);
    // The server has it from its socket, or from this repetition; once.
    let appended = on.log.append(append(9, Subject::Records)).await;
    assert_eq!(appended, Appended::At(4));
    on.log.command(read(2, 3));
    let mut reading = Reading::of(&on.events, 2);
    assert_eq!(reading.until(4).await, End::Reached);
    assert_eq!(reading.got, [(3, RecordId(3)), (4, RecordId(9))]);
}
