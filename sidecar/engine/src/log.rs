//! The port to the ordered log, and what its driver tells the engine.
//!
//! A driver appends, reads from an anchor, and carries words between pods. It
//! decides nothing: whether a delivery may be processed, whether the log went
//! backwards and whether to read anew is judged by [`crate::coherence`].
//! Reading: the engine sends [`Command`]s; the driver answers with [`Event`]s,
//! in the order in which things happened, through [`Sink`].

use crate::clock::LogTime;
use crate::coherence::record::{RecordId, SessionId};
use crate::position::Epoch;
use bytes::Bytes;
use std::time::Duration;

/// Number of subjects over which writes are spread for conditional appends.
pub const WRITE_SHARDS: u16 = 1024;

/// How long the log keeps a Beat: more than twice the greatest age of an
/// incarnation of the reader.
pub const BEAT_TTL: Duration = Duration::from_secs(600);

/// Where a record goes, so that a reader can leave out what is not for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// For every pod.
    Records,
    /// Writes of the keys of one shard, for every pod.
    Writes(u16),
    /// Beats of one session, delivered only to its pod; kept 10 minutes.
    Beats(SessionId),
    /// NewEpoch and SameEpoch records, for every pod.
    Epochs,
}

/// An append. The driver sends it once; the engine repeats it with the same id
/// until the answer is definite, or the id cannot be trusted any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The record's id: repeated appends of one id append once.
    pub id: RecordId,
    /// Where it goes.
    pub subject: Subject,
    /// The encoded record.
    pub payload: Bytes,
    /// When set: append only if the newest record on this subject has this
    /// sequence (0: there is none).
    pub expect_last: Option<u64>,
}

/// What became of one attempt to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is in the log at this sequence (perhaps by an earlier attempt).
    At(u64),
    /// The expectation does not hold; nothing was appended.
    Conflict,
    /// Not sent, or definitely refused: nothing was appended by this attempt.
    NotSent(String),
    /// Sent, and no definite answer: it may be in the log.
    Unknown(String),
    /// The log says that an earlier attempt of this record is under way. It may
    /// have been lost, and the log goes on saying so until it forgets the id.
    Held,
}

/// What the log is, read when it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The epoch that the newest record on [`Subject::Epochs`] names; none in a
    /// new log.
    pub epoch: Option<Epoch>,
    /// That record's sequence; 0: there is none.
    pub epoch_told: u64,
    /// The first retained sequence (1 in a new log).
    pub first: u64,
    /// The last sequence (0 in a new log).
    pub last: u64,
    /// SESSION_TTL as the log says; every pod adopts it.
    pub session_ttl: Duration,
    /// How long records are kept.
    pub retention: Duration,
    /// Nobody but this process can read it, now or before.
    pub alone: bool,
}

/// One record as delivered to one incarnation of the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which incarnation it was delivered to.
    pub incarnation: u64,
    /// The incarnation's own count of deliveries, from 1.
    pub consumer_sequence: u64,
    /// The record's sequence in the log.
    pub sequence: u64,
    /// What the server stamped on it.
    pub time: LogTime,
    /// Its message id, as the append gave it.
    pub id: RecordId,
    /// Whether it carries a message ttl (beats do).
    pub expires: bool,
    /// The encoded record.
    pub payload: Bytes,
}

/// The answer to [`Command::Backfill`]: every record in a range that is not a
/// beat, with the range it is complete for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backfilled {
    /// Complete from this sequence...
    pub from: u64,
    /// ...up to, not including, this one.
    pub to: u64,
    /// First retained sequence, read after the range was read: what is below
    /// it may be missing.
    pub first: u64,
    /// The records, in log order: sequence, server time, payload.
    pub records: Vec<(u64, LogTime, Bytes)>,
}

/// What a driver tells the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The connection is up and the log was opened. Sent again after every
    /// reconnect; every earlier incarnation is void then.
    Opened(Opened),
    /// The log is away, and why; every incarnation is void.
    Lost(String),
    /// The incarnation's consumer exists.
    Reading {
        /// Which one.
        incarnation: u64,
    },
    /// A record was delivered.
    Delivered(Delivery),
    /// The incarnation's consumer is alive and says what it delivered last.
    Idle {
        /// Which one.
        incarnation: u64,
        /// The consumer sequence it delivered last.
        consumer_sequence: u64,
    },
    /// The incarnation cannot go on (consumer error, unknown status, ...).
    Broken {
        /// Which one.
        incarnation: u64,
        /// What happened.
        why: String,
    },
    /// The first retained sequence, asked for by [`Command::CheckFirst`].
    First {
        /// The token of the question.
        token: u64,
        /// First retained sequence, read after the question was asked.
        first: u64,
    },
    /// Records from before the anchor.
    Backfilled(Backfilled),
    /// A word of another pod: it processed everything up to `sequence`.
    Word {
        /// Whose word.
        session: SessionId,
        /// The epoch it counts in.
        epoch: Epoch,
        /// What it processed.
        sequence: u64,
    },
    /// Somebody wants this pod's word.
    Asked {
        /// To whom the word goes.
        by: SessionId,
    },
}

/// What the engine asks of a driver. Never waits; the answer is an [`Event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Build an incarnation that delivers, from `anchor` (a sequence, itself
    /// included) on, everything for all pods and `session`'s beats. Earlier
    /// incarnations go on until they are stopped.
    Read {
        /// Its number, unique in this process.
        incarnation: u64,
        /// The first sequence to deliver.
        anchor: u64,
        /// Whose beats to deliver.
        session: SessionId,
    },
    /// Stop an incarnation; nothing it still delivers matters.
    Stop {
        /// Which one.
        incarnation: u64,
    },
    /// Read the non-beat records in `from..to` beside the incarnation.
    Backfill {
        /// The first sequence wanted.
        from: u64,
        /// The first sequence not wanted; a record that is not a beat is there.
        to: u64,
    },
    /// Read the first retained sequence now.
    CheckFirst {
        /// Comes back in the event.
        token: u64,
    },
    /// Tell `to` that this pod processed everything up to `sequence`.
    Say {
        /// Who wanted to know.
        to: SessionId,
        /// This pod's session.
        session: SessionId,
        /// The epoch `sequence` counts in.
        epoch: Epoch,
        /// What this pod processed.
        sequence: u64,
    },
    /// Ask every pod for its word, to be said to `by`.
    Ask {
        /// This pod's session.
        by: SessionId,
    },
    /// This pod's session changed: words said to it are to be received.
    Listen {
        /// The new session.
        session: SessionId,
    },
    /// Close and open the connection again; answered by Opened or Lost.
    Reopen,
}

/// Where a driver's events go. Never blocks: the reading task waits for
/// nothing but the socket.
pub trait Sink: Send + Sync + 'static {
    /// Takes one event.
    fn event(&self, event: Event);
}

/// An ordered log.
#[async_trait::async_trait]
pub trait Log: Send + Sync + 'static {
    /// The log's name in status ("local", "nats").
    fn name(&self) -> &'static str;
    /// Appends once. Cancel safe: a cancelled append may have happened.
    async fn append(&self, append: Append) -> Appended;
    /// The sequence of the newest record on `subject` (0: none), or why not.
    async fn last(&self, subject: Subject) -> Result<u64, String>;
    /// Hands a command to the driver. Never waits.
    fn command(&self, command: Command);
}
