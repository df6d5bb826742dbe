//! One incarnation of the reader: a plain push consumer, read to the letter.
//!
//! Guarantees: every message of the subscription becomes an event, in order;
//! whatever is not understood, and 2.5 s of silence, is
//! [`Event::Broken`]. The inbox is subscribed before the consumer is made, and
//! nothing stands between the subscription and the sink.

use super::names::Names;
use crate::nats::{api, link};
use async_nats::{Client, HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use unstale_engine::clock::LogTime;
use unstale_engine::coherence::record::{RecordId, SessionId};
use unstale_engine::log::{Delivery, Event, Sink};

/// Longest silence: heartbeats come every second.
const SILENCE: Duration = Duration::from_millis(2500);
const HEARTBEAT_NANOS: u64 = 1_000_000_000;
const INACTIVE_NANOS: u64 = 20_000_000_000;

/// A consumer and its subscription.
pub(super) struct Consumer {
    client: Client,
    stream: String,
    name: String,
    from: Subscriber,
}

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
        let inbox = client.new_inbox();
        let from = client.subscribe(inbox.clone()).await;
        let from = from.map_err(|e| e.to_string())?;
        let stream = names.stream();
        let body = json!({
            "stream_name": stream,
            "action": "create",
            "config": {
                "name": name,
                "deliver_subject": inbox,
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": start.max(1),
                "ack_policy": "none",
                "replay_policy": "instant",
                "max_deliver": 1,
                "mem_storage": true,
                "num_replicas": 1,
                "idle_heartbeat": HEARTBEAT_NANOS,
                "flow_control": true,
                "inactive_threshold": INACTIVE_NANOS,
                "filter_subjects": names.filters(session),
            }
        });
        let what = format!("CONSUMER.CREATE.{stream}.{name}");
        api::call(client, &what, body).await.map_err(|e| e.text())?;
        Ok(Self {
            client: client.clone(),
            stream,
            name,
            from,
        })
    }

    /// The next record or heartbeat, or why there is none.
    pub(super) async fn next(&mut self) -> Result<Heard, String> {
        loop {
            let message = tokio::time::timeout(SILENCE, self.from.next()).await;
            let message = message
                .map_err(|_| "neither record nor heartbeat for 2.5 s".to_owned())?
                .ok_or_else(|| "the subscription ended".to_owned())?;
            if !link::unbroken(&self.client) {
                return Err("the client reconnected".to_owned());
            }
            match message.status {
                None => return self.record(message).map(Heard::Record),
                Some(StatusCode::IDLE_HEARTBEAT) => {
                    self.answer_flow_control(&message).await?;
                    if let Some(last) = header(&message, "Nats-Last-Consumer") {
                        let last = last.parse().map_err(|_| "a heartbeat without number")?;
                        return Ok(Heard::Heartbeat(last));
                    }
                }
                Some(status) => {
                    let text = message.description.unwrap_or_default();
                    return Err(format!("the consumer's status is {status} {text}"));
                }
            }
        }
    }

    /// Without the answer the server stops delivering.
    async fn answer_flow_control(&self, message: &Message) -> Result<(), String> {
        let stalled = header(message, "Nats-Consumer-Stalled").map(str::to_owned);
        let to = message.reply.as_ref().map(ToString::to_string).or(stalled);
        let Some(to) = to else { return Ok(()) };
        let sent = self.client.publish(to, Bytes::new()).await;
        sent.map_err(|e| e.to_string())
    }

    fn record(&self, message: Message) -> Result<Delivery, String> {
        let reply = message.reply.as_deref().unwrap_or_default();
        let at = Address::parse(reply).ok_or("a delivery without address")?;
        if at.stream != self.stream || at.consumer != self.name {
            return Err("a delivery of another consumer".to_owned());
        }
        let id = header(&message, "Nats-Msg-Id").and_then(|id| u128::from_str_radix(id, 16).ok());
        Ok(Delivery {
            incarnation: 0,
            consumer_sequence: at.consumer_sequence,
            sequence: at.sequence,
            time: LogTime(at.nanos / 1000),
            // A record that nobody of ours appended has no id of ours.
            id: RecordId(id.unwrap_or_default()),
            expires: header(&message, "Nats-TTL").is_some(),
            payload: message.payload,
        })
    }
}

fn header<'m>(message: &'m Message, name: &str) -> Option<&'m str> {
    let headers: &HeaderMap = message.headers.as_ref()?;
    headers.get(name).map(|value| value.as_str())
}

/// What a delivery's reply subject says.
struct Address<'a> {
    stream: &'a str,
    consumer: &'a str,
    sequence: u64,
    consumer_sequence: u64,
    nanos: u64,
}

impl<'a> Address<'a> {
    /// `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<count>.<sequence>.
    /// <consumer sequence>.<nanoseconds>.<pending>[.<token>]`
    fn parse(reply: &'a str) -> Option<Self> {
        let rest = reply.strip_prefix("$JS.ACK.")?;
        let tokens: Vec<_> = rest.split('.').collect();
        let tokens = match tokens.len() {
            7 => &tokens[..],
            9.. => &tokens[2..],
            _ => return None,
        };
        Some(Self {
            stream: tokens[0],
            consumer: tokens[1],
            sequence: tokens[3].parse().ok()?,
            consumer_sequence: tokens[4].parse().ok()?,
            nanos: tokens[5].parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_deliverys_address_are_read() {
        for reply in [
            "$JS.ACK.S.c.1.22.3.4000.0",
            "$JS.ACK._.acc.S.c.1.22.3.4000.0.tok",
            "$JS.ACK.hub.acc.S.c.1.22.3.4000.0",
        ] {
            let at = Address::parse(reply).unwrap();
            assert_eq!((at.stream, at.consumer), ("S", "c"), "{reply}");
            assert_eq!((at.sequence, at.consumer_sequence, at.nanos), (22, 3, 4000));
        }
        assert!(Address::parse("$JS.ACK.S.c.1.x.3.4000.0").is_none());
        assert!(Address::parse("_INBOX.1").is_none());
    }
}
