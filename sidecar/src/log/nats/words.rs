//! Words between pods, over core NATS: best effort, a fixed binary form.

use super::names::Names;
use async_nats::{Client, Subscriber};
use bytes::Bytes;
use futures::StreamExt;
use std::sync::Arc;
use unstale_engine::coherence::record::SessionId;
use unstale_engine::log::{Event, Sink};
use unstale_engine::position::Epoch;

/// A word: session (16 bytes), epoch (8), sequence (8), all big endian.
pub(super) fn word(session: SessionId, epoch: Epoch, sequence: u64) -> Bytes {
    let mut bytes = Vec::with_capacity(32);
    bytes.extend(session.0.to_be_bytes());
    bytes.extend(epoch.0.to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.into()
}

/// A question: the session that asks (16 bytes, big endian).
pub(super) fn question(by: SessionId) -> Bytes {
    Bytes::copy_from_slice(&by.0.to_be_bytes())
}

/// Subscribes to what every pod is asked.
pub(super) async fn questions(client: &Client, names: &Names) -> Result<Subscriber, String> {
    let subscribed = client.subscribe(names.ask()).await;
    subscribed.map_err(|e| e.to_string())
}

/// Hands over what arrives until the connection ends. Bytes that are no word
/// come from a later version and are skipped.
pub(super) async fn forward(mut from: Subscriber, sink: Arc<dyn Sink>) {
    while let Some(message) = from.next().await {
        if let Some(event) = event(&message.payload) {
            sink.event(event);
        }
    }
}

/// What `payload` says: a question or a word, by its length.
fn event(payload: &[u8]) -> Option<Event> {
    let (session, rest) = payload.split_first_chunk::<16>()?;
    let session = SessionId(u128::from_be_bytes(*session));
    if rest.is_empty() {
        return Some(Event::Asked { by: session });
    }
    let (epoch, rest) = rest.split_first_chunk::<8>()?;
    let (sequence, _later) = rest.split_first_chunk::<8>()?;
    Some(Event::Word {
        session,
        epoch: Epoch(u64::from_be_bytes(*epoch)),
        sequence: u64::from_be_bytes(*sequence),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_and_a_question_survive_their_binary_form() {
        let (session, epoch, sequence) = (SessionId(7), Epoch(8), 9);
        let said = Event::Word {
            session,
            epoch,
            sequence,
        };
        assert_eq!(event(&word(session, epoch, sequence)), Some(said));
        assert_eq!(
            event(&question(session)),
            Some(Event::Asked { by: session })
        );
        assert_eq!(event(b"short"), None);
        assert_eq!(event(&[0; 20]), None);
    }
}
