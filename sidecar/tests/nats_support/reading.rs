//! Reading the log as the engine does, checking that nothing is missing.

use super::Events;
use unstale_engine::coherence::record::{RecordId, SessionId};
use unstale_engine::log::{Command, Event};

/// The session that reads.
const ME: SessionId = SessionId(0xabc);

/// Begins an incarnation.
pub fn read(incarnation: u64, anchor: u64) -> Command {
    Command::Read {
        incarnation,
        anchor,
        session: ME,
    }
}

/// How a part of the log stopped being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The sequence that was asked for is there.
    Reached,
    /// The incarnation is over.
    Broken,
    /// The connection is over.
    Lost,
}

pub fn over(event: &Event) -> Option<End> {
    match event {
        Event::Broken { .. } => Some(End::Broken),
        Event::Lost(_) => Some(End::Lost),
        _ => None,
    }
}

/// What one incarnation delivered; checks that nothing is missing in it.
pub struct Reading<'a> {
    pub events: &'a Events,
    pub incarnation: u64,
    pub got: Vec<(u64, RecordId)>,
}

impl<'a> Reading<'a> {
    pub fn of(events: &'a Events, incarnation: u64) -> Self {
        Self {
            events,
            incarnation,
            got: Vec::new(),
        }
    }

    /// Reads on until this sequence was delivered, or there is no more.
    pub async fn until(&mut self, last: u64) -> End {
        loop {
            let next = self.events.wait(|event| match event {
                Event::Delivered(d) if d.incarnation == self.incarnation => {
                    Some(Ok((d.consumer_sequence, d.sequence, d.id)))
                }
                Event::Broken { incarnation, .. } if *incarnation != self.incarnation => None,
                other => over(other).map(Err),
            });
            match next.await {
                Err(end) => return end,
                Ok((count, sequence, id)) => {
                    assert_eq!(count, self.got.len() as u64 + 1, "a gap");
                    self.got.push((sequence, id));
                    if sequence == last {
                        return End::Reached;
                    }
                }
            }
        }
    }
}
