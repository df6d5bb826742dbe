//! One incarnation of the reader, over a plain push consumer ([`consumer`]).
//!
//! Guarantees: every message of the subscription becomes an event, in order;
//! whatever is not understood, and 2.5 s of silence, is [`Event::Broken`]. Nothing
//! stands between the subscription and the sink.

use super::names::Names;
use crate::nats::api;
use crate::nats::consumer::{self, Arrived};
use async_nats::Client;
use serde_json::json;
use std::sync::Arc;
use unstale_engine::clock::LogTime;
use unstale_engine::coherence::record::{RecordId, SessionId};
use unstale_engine::log::{Delivery, Event, Sink};

/// A consumer of the log.
pub(super) struct Consumer(consumer::Consumer);

/// What the consumer's server sent.
pub(super) enum Heard {
    /// A record; its incarnation is filled in by whoever knows it.
    Record(Delivery),
    /// A heartbeat with the consumer sequence delivered last.
    Heartbeat(u64),
}

/// Runs one incarnation to its end and says why it ended.
pub(super) async fn run(
    client: Client,
    names: Names,
    (incarnation, anchor, session): (u64, u64, SessionId),
    sink: Arc<dyn Sink>,
) {
    let name = consumer_name(session, incarnation);
    let made = Consumer::create(&client, &names, name, anchor, Some(session)).await;
    let why = match made {
        Err(why) => why,
        Ok(mut consumer) => {
            sink.event(Event::Reading { incarnation });
            forward(&mut consumer, incarnation, &sink).await
        }
    };
    // The engine tries again, with pauses, and says so in its status.
    tracing::warn!(incarnation, why, "reading the log ended");
    sink.event(Event::Broken { incarnation, why });
}

/// Unique per incarnation, under a prefix of the session.
pub(super) fn consumer_name(session: SessionId, incarnation: u64) -> String {
    format!("pod-{:032x}-{incarnation}", session.0)
}

/// Deletes a consumer, best effort: the server forgets it anyway.
pub(super) async fn delete(client: Client, names: Names, name: String) {
    let what = format!("CONSUMER.DELETE.{}.{name}", names.stream());
    let _ = api::call(&client, &what, serde_json::Value::Null).await;
}

async fn forward(consumer: &mut Consumer, incarnation: u64, sink: &Arc<dyn Sink>) -> String {
    loop {
        match consumer.next().await {
            Ok(Heard::Record(delivery)) => sink.event(Event::Delivered(Delivery {
                incarnation,
                ..delivery
            })),
            Ok(Heard::Heartbeat(consumer_sequence)) => sink.event(Event::Idle {
                incarnation,
                consumer_sequence,
            }),
            Err(why) => return why,
        }
    }
}

impl Consumer {
    /// Subscribes, then makes the consumer.
    pub(super) async fn create(
        client: &Client,
        names: &Names,
        name: String,
        start: u64,
        session: Option<SessionId>,
    ) -> Result<Self, String> {
        let which = json!({
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": start.max(1),
            "filter_subjects": names.filters(session),
        });
        let made = consumer::Consumer::create(client, names.stream(), name, which).await;
        Ok(Self(made?.0))
    }

    /// The next record or heartbeat, or why there is none.
    pub(super) async fn next(&mut self) -> Result<Heard, String> {
        Ok(match self.0.next().await? {
            consumer::Heard::Record(arrived) => Heard::Record(delivery(arrived)),
            consumer::Heard::Heartbeat(last) => Heard::Heartbeat(last),
        })
    }
}

fn delivery(arrived: Arrived) -> Delivery {
    let id = arrived.header("Nats-Msg-Id");
    let id = id.and_then(|id| u128::from_str_radix(id, 16).ok());
    Delivery {
        incarnation: 0,
        consumer_sequence: arrived.consumer_sequence,
        sequence: arrived.sequence,
        time: LogTime(arrived.nanos / 1000),
        // A record that nobody of ours appended has no id of ours.
        id: RecordId(id.unwrap_or_default()),
        expires: arrived.header("Nats-TTL").is_some(),
        payload: arrived.message.payload,
    }
}
