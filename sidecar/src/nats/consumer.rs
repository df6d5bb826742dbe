//! A plain push consumer, read to the letter.
//!
//! Guarantees: every message of the subscription is told, in order; whatever is
//! not understood, and 2.5 s of silence, ends it. The inbox is subscribed before
//! the consumer is made. It judges no gap: who reads it does.

use super::{api, link};
use async_nats::{Client, HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Value, json};
use std::time::Duration;

/// Longest silence: heartbeats come every second.
const SILENCE: Duration = Duration::from_millis(2500);
/// What a heartbeat says while deliveries wait for an answer.
const STALLED: &str = "Nats-Consumer-Stalled";
const HEARTBEAT_NANOS: u64 = 1_000_000_000;
const INACTIVE_NANOS: u64 = 20_000_000_000;

/// A consumer and its subscription.
pub(crate) struct Consumer {
    client: Client,
    stream: String,
    name: String,
    from: Subscriber,
}

/// What the consumer's server sent.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and nearly all are records"
)]
pub(crate) enum Heard {
    /// A record.
    Record(Arrived),
    /// A heartbeat with the consumer sequence delivered last.
    Heartbeat(u64),
}

/// A record as it was delivered.
pub(crate) struct Arrived {
    /// The message.
    pub(crate) message: Message,
    /// The consumer's own count of deliveries, from 1.
    pub(crate) consumer_sequence: u64,
    /// The record's sequence in the stream.
    pub(crate) sequence: u64,
    /// What the server stamped on it, in nanoseconds since the Unix epoch.
    pub(crate) nanos: u64,
    /// How many more are to be delivered.
    pub(crate) pending: u64,
}

impl Arrived {
    /// A header of the message.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.message, name)
    }
}

impl Consumer {
    /// Subscribes, then makes the consumer: `which` says what it delivers. Also
    /// what the server says of it.
    pub(crate) async fn create(
        client: &Client,
        stream: String,
        name: String,
        which: Value,
    ) -> Result<(Self, Value), String> {
        let inbox = client.new_inbox();
        let from = client.subscribe(inbox.clone()).await;
        let from = from.map_err(|e| e.to_string())?;
        let mut config = json!({
            "name": name,
            "deliver_subject": inbox,
            "ack_policy": "none",
            "replay_policy": "instant",
            "max_deliver": 1,
            "mem_storage": true,
            "num_replicas": 1,
            "idle_heartbeat": HEARTBEAT_NANOS,
            "flow_control": true,
            "inactive_threshold": INACTIVE_NANOS,
        });
        if let (Some(config), Value::Object(which)) = (config.as_object_mut(), which) {
            config.extend(which);
        }
        let body = json!({ "stream_name": stream, "action": "create", "config": config });
        let what = format!("CONSUMER.CREATE.{stream}.{name}");
        let made = api::call(client, &what, body).await;
        let made = made.map_err(|e| e.text())?;
        let consumer = Self {
            client: client.clone(),
            stream,
            name,
            from,
        };
        Ok((consumer, made))
    }

    /// The next record or heartbeat, or why there is none.
    pub(crate) async fn next(&mut self) -> Result<Heard, String> {
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
                    // While it waits for an answer more is to come.
                    if header(&message, STALLED).is_some() {
                        continue;
                    }
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
        let stalled = header(message, STALLED).map(str::to_owned);
        let to = message.reply.as_ref().map(ToString::to_string).or(stalled);
        let Some(to) = to else { return Ok(()) };
        let sent = self.client.publish(to, Bytes::new()).await;
        sent.map_err(|e| e.to_string())
    }

    fn record(&self, message: Message) -> Result<Arrived, String> {
        let reply = message.reply.as_deref().unwrap_or_default();
        let at = Address::parse(reply).ok_or("a delivery without address")?;
        if at.stream != self.stream || at.consumer != self.name {
            return Err("a delivery of another consumer".to_owned());
        }
        let (consumer_sequence, sequence) = (at.consumer_sequence, at.sequence);
        let (nanos, pending) = (at.nanos, at.pending);
        Ok(Arrived {
            message,
            consumer_sequence,
            sequence,
            nanos,
            pending,
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
    pending: u64,
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
            pending: tokens[6].parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_deliverys_address_are_read() {
        for reply in [
            "$JS.ACK.S.c.1.22.3.4000.5",
            "$JS.ACK._.acc.S.c.1.22.3.4000.5.tok",
            "$JS.ACK.hub.acc.S.c.1.22.3.4000.5",
        ] {
            let at = Address::parse(reply).unwrap();
            assert_eq!((at.stream, at.consumer), ("S", "c"), "{reply}");
            assert_eq!((at.sequence, at.consumer_sequence), (22, 3), "{reply}");
            assert_eq!((at.nanos, at.pending), (4000, 5), "{reply}");
        }
        assert!(Address::parse("$JS.ACK.S.c.1.x.3.4000.0").is_none());
        assert!(Address::parse("_INBOX.1").is_none());
    }
}
