//! The newest changes that the log told of, and who asked for them: for people
//! who ask what changed their entry. Nothing is judged by it.
//!
//! Guarantees: bounded in count and in bytes; what is remembered is complete
//! after the sequence that it says. Of an invalidation its names are kept, of a
//! write only its key's hash. It does not outlive the epoch, and is rebuilt from
//! the log by the replay after a restart.

use super::record::{Invalidation, Record, RecordId, SessionId};
use crate::clock::LogTime;
use crate::key::NameHash;
use crate::limits::{HISTORY_BYTES, HISTORY_CHANGES, HISTORY_PODS, REASON_BYTES};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Which record it was, who appended it and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) id: RecordId,
    pub(crate) origin: SessionId,
    pub(crate) trace_id: Option<u128>,
    pub(crate) time: LogTime,
}

impl Asked {
    pub(crate) fn of(record: &Record, time: LogTime) -> Self {
        Self {
            id: record.id,
            origin: record.origin,
            trace_id: record.trace_id,
            time,
        }
    }
}

/// An invalidation that is remembered.
pub(crate) struct Invalidated {
    pub(crate) asked: Asked,
    pub(crate) what: Arc<Invalidation>,
    pub(crate) reason: Option<Box<str>>,
}

impl Invalidated {
    /// About what it takes in memory.
    fn bytes(&self) -> usize {
        let names = [&self.what.keys, &self.what.tags, &self.what.prefixes];
        let names = names.into_iter().flatten();
        let names: usize = names.map(|name| name.len() + size_of::<String>()).sum();
        let reason = self.reason.as_ref().map_or(0, |reason| reason.len());
        let namespace = self.what.namespace.len();
        size_of::<Self>() + size_of::<Invalidation>() + names + reason + namespace
    }
}

/// The changes of one kind, by sequence: a replay brings older ones later.
struct Kept<T> {
    by_sequence: BTreeMap<u64, T>,
    /// Whatever came after this is here.
    after: u64,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            by_sequence: BTreeMap::new(),
            after: 0,
        }
    }
}

impl<T> Kept<T> {
    /// False: it is older than what had to go already, or known.
    fn add(&mut self, sequence: u64, change: T) -> bool {
        sequence > self.after && self.by_sequence.insert(sequence, change).is_none()
    }

    fn drop_oldest(&mut self) -> Option<T> {
        let (sequence, oldest) = self.by_sequence.pop_first()?;
        self.after = sequence;
        Some(oldest)
    }

    fn newest_first(&self) -> impl Iterator<Item = (u64, &T)> {
        let all = self.by_sequence.iter().rev();
        all.map(|(sequence, change)| (*sequence, change))
    }
}

#[derive(Default)]
pub(crate) struct History {
    invalidations: Kept<Invalidated>,
    bytes: usize,
    writes: Kept<(NameHash, Asked)>,
    /// The names of sessions, and where the newest Join was that told them.
    pods: HashMap<SessionId, (u64, Arc<str>)>,
}

impl History {
    pub(crate) fn invalidated(
        &mut self,
        sequence: u64,
        asked: Asked,
        what: &Arc<Invalidation>,
        reason: Option<&str>,
    ) {
        let change = Invalidated {
            asked,
            what: Arc::clone(what),
            reason: reason.map(|reason| cut(reason).into()),
        };
        let bytes = change.bytes();
        if !self.invalidations.add(sequence, change) {
            return;
        }
        self.bytes += bytes;
        while self.invalidations.by_sequence.len() > HISTORY_CHANGES || self.bytes > HISTORY_BYTES {
            let Some(oldest) = self.invalidations.drop_oldest() else {
                return;
            };
            self.bytes -= oldest.bytes();
        }
    }

    pub(crate) fn wrote(&mut self, sequence: u64, asked: Asked, key: NameHash) {
        self.writes.add(sequence, (key, asked));
        if self.writes.by_sequence.len() > HISTORY_CHANGES {
            self.writes.drop_oldest();
        }
    }

    /// The session told its pod's name.
    pub(crate) fn joined(&mut self, sequence: u64, session: SessionId, pod: &str) {
        let known = self.pods.get_mut(&session);
        if let Some((newest, _)) = known {
            *newest = sequence.max(*newest);
            return;
        }
        if self.pods.len() >= HISTORY_PODS {
            let oldest = self.pods.iter().min_by_key(|(_, (newest, _))| *newest);
            let Some((oldest, newest)) = oldest.map(|(id, (newest, _))| (*id, *newest)) else {
                return;
            };
            if newest > sequence {
                return;
            }
            self.pods.remove(&oldest);
        }
        self.pods.insert(session, (sequence, cut(pod).into()));
    }

    /// The pod's name, as far as it is known still.
    pub(crate) fn pod(&self, session: SessionId) -> Option<Arc<str>> {
        self.pods.get(&session).map(|(_, pod)| Arc::clone(pod))
    }

    pub(crate) fn invalidations(&self) -> impl Iterator<Item = (u64, &Invalidated)> {
        self.invalidations.newest_first()
    }

    /// The writes, and of which keys.
    pub(crate) fn writes(&self) -> impl Iterator<Item = (u64, NameHash, Asked)> {
        let all = self.writes.newest_first();
        all.map(|(sequence, (key, asked))| (sequence, *key, *asked))
    }

    /// After which sequence all invalidations, and all writes, are remembered.
    pub(crate) fn after(&self) -> [u64; 2] {
        [self.invalidations.after, self.writes.after]
    }

    /// Another epoch begins: sequences of the last one mean nothing.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Words of others: whoever can append to the log is not trusted to be brief.
fn cut(text: &str) -> &str {
    let mut ends = (0..=text.len().min(REASON_BYTES)).rev();
    let end = ends.find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_key(key: &str) -> Arc<Invalidation> {
        Arc::new(Invalidation {
            keys: vec![key.into()],
            ..Invalidation::default()
        })
    }

    fn sequences(history: &History) -> Vec<u64> {
        history.invalidations().map(|(at, _)| at).collect()
    }

    #[test]
    fn a_replay_fills_in_what_came_before_and_repeats_nothing() {
        let mut history = History::default();
        for sequence in [7, 9, 5, 3, 5, 7] {
            history.invalidated(sequence, Asked::default(), &of_key("k"), None);
        }
        assert_eq!(sequences(&history), [9, 7, 5, 3]);
        assert_eq!(history.after(), [0, 0]);
    }

    #[test]
    fn the_oldest_go_first_by_count_and_it_says_so() {
        let mut history = History::default();
        let most = HISTORY_CHANGES as u64;
        for sequence in 1..=most + 2 {
            history.invalidated(sequence, Asked::default(), &of_key("k"), None);
            history.wrote(sequence, Asked::default(), NameHash(1));
        }
        assert_eq!(history.after(), [2, 2]);
        assert_eq!(sequences(&history).len() as u64, most);
        let of_one = history.writes().filter(|(_, key, _)| *key == NameHash(1));
        assert_eq!(of_one.count() as u64, most);
        // A replay that meets it again brings it back no more.
        history.invalidated(2, Asked::default(), &of_key("k"), None);
        history.wrote(2, Asked::default(), NameHash(1));
        assert_eq!(history.after(), [2, 2]);
    }

    #[test]
    fn long_names_are_bounded_in_bytes_and_long_words_are_cut() {
        let mut history = History::default();
        let (names, words) = ("n".repeat(64 * 1024), "é".repeat(REASON_BYTES));
        for sequence in 1..=200 {
            let what = of_key(&names);
            history.invalidated(sequence, Asked::default(), &what, Some(&words));
        }
        let reasons = history.invalidations().map(|(_, i)| i.reason.as_deref());
        let lengths: Vec<_> = reasons.flatten().map(str::len).collect();
        assert!(lengths.iter().all(|bytes| *bytes == REASON_BYTES));
        assert!(history.bytes <= HISTORY_BYTES, "{}", history.bytes);
        assert!(sequences(&history).len() < 200);
        let [after, _] = history.after();
        assert_eq!(sequences(&history).last(), Some(&(after + 1)));
        let held: usize = history.invalidations().map(|(_, i)| i.bytes()).sum();
        assert_eq!(held, history.bytes);
    }

    #[test]
    fn the_names_of_sessions_are_bounded_and_the_newest_stay() {
        let mut history = History::default();
        let most = HISTORY_PODS as u64;
        for n in 1..=most + 1 {
            history.joined(n, SessionId(u128::from(n)), "pod");
        }
        assert_eq!(history.pods.len() as u64, most);
        assert_eq!(history.pod(SessionId(1)), None);
        // One met by a replay, older than all that are known.
        history.joined(1, SessionId(1), "old");
        assert_eq!(history.pod(SessionId(1)), None);
        assert_eq!(history.pod(SessionId(2)).as_deref(), Some("pod"));
    }
}
