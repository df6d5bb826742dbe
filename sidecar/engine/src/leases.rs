//! What this pod remembers of leases: those it granted, and when it first saw
//! the markers of others.

use crate::clock::Moment;
use crate::engine::lock;
use crate::entry::{Entry, Marker};
use crate::error::Error;
use crate::key::{Key, NameHash};
use crate::limits;
use crate::policy::grants::GrantRate;
use crate::position::Position;
use crate::remote::Revision;
use crate::request::LeaseToken;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Notify;

/// Grants are remembered this long after their term.
const REMEMBER: Duration = Duration::from_secs(60);
/// Most grants and sightings remembered each.
const MOST: usize = 65_536;

/// A lease that this pod granted.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) key: Key,
    /// What was processed here before the grant: the fill's `as_of`.
    pub(crate) position: Position,
    /// When it was granted: the source is read after that.
    pub(crate) since: Moment,
    pub(crate) term: Duration,
    pub(crate) until: Moment,
    /// The marker's state in the remote tier; none for a lease of this pod.
    pub(crate) marker: Option<(Revision, u32)>,
    /// What may be served stale meanwhile.
    pub(crate) stale: Option<Box<Entry>>,
    /// The source version of what was there before.
    pub(crate) source_version: Option<u64>,
}

/// A grant as remembered; it is out while its fate is being decided.
struct Slot {
    key: Key,
    position: Position,
    until: Moment,
    local: bool,
    grant: Option<Grant>,
}

impl Slot {
    fn of(grant: Grant) -> Self {
        Self {
            key: grant.key.clone(),
            position: grant.position,
            until: grant.until,
            local: grant.marker.is_none(),
            grant: Some(grant),
        }
    }
}

/// The first sight of another pod's marker: its term is counted from here.
struct Sighting {
    token: LeaseToken,
    renewal: u32,
    first: Moment,
    term: Duration,
    /// Remembered as long as its marker may be there.
    until: Moment,
}

#[derive(Default)]
pub(crate) struct Leases {
    slots: Mutex<HashMap<LeaseToken, Slot>>,
    /// The newest grant of each key.
    newest: Mutex<HashMap<NameHash, LeaseToken>>,
    seen: Mutex<HashMap<NameHash, Sighting>>,
    /// When the leases were granted whose fills only this pod has.
    landed: Mutex<HashMap<LeaseToken, Moment>>,
    returned: Notify,
    pub(crate) rate: Mutex<GrantRate>,
}

impl Leases {
    /// Takes a grant out: who holds it decides its fate. It goes back when the
    /// holder is dropped without a decision; others wait for that.
    pub(crate) async fn take(&self, token: LeaseToken) -> Result<Taken<'_>, Error> {
        loop {
            let returned = self.returned.notified();
            let mut returned = std::pin::pin!(returned);
            returned.as_mut().enable();
            let taken = match lock(&self.slots).get_mut(&token) {
                Some(slot) => slot.grant.take(),
                None => return Err(Error::UnknownLease),
            };
            if taken.is_some() {
                return Ok(Taken {
                    leases: self,
                    token,
                    grant: taken,
                });
            }
            returned.await;
        }
    }

    pub(crate) fn give(&self, token: LeaseToken, grant: Grant) {
        let mut newest = lock(&self.newest);
        newest.insert(grant.key.hash(), token);
        lock(&self.slots).insert(token, Slot::of(grant));
    }

    /// The same if `seen` still is the newest grant of the key. False: of those
    /// who saw it at the same time, another was faster.
    pub(crate) fn give_after(
        &self,
        seen: Option<LeaseToken>,
        token: LeaseToken,
        grant: Grant,
    ) -> bool {
        let mut newest = lock(&self.newest);
        let is_newest = newest.get(&grant.key.hash()).copied() == seen;
        if is_newest {
            newest.insert(grant.key.hash(), token);
            lock(&self.slots).insert(token, Slot::of(grant));
        }
        is_newest
    }

    /// The newest grant of a key that this pod remembers.
    pub(crate) fn newest_token(&self, key: NameHash) -> Option<LeaseToken> {
        lock(&self.newest).get(&key).copied()
    }

    /// The lease was filled, and only this pod has the value.
    pub(crate) fn land(&self, token: LeaseToken, since: Moment) {
        let mut landed = lock(&self.landed);
        if landed.len() < MOST {
            landed.insert(token, since);
        }
    }

    /// Whether the value with this lease's token was read from its source after
    /// `call`.
    pub(crate) fn landed_since(&self, token: LeaseToken, call: Moment) -> bool {
        let landed = lock(&self.landed);
        landed.get(&token).is_some_and(|since| *since > call)
    }

    /// The key of a grant.
    pub(crate) fn key(&self, token: LeaseToken) -> Option<Key> {
        lock(&self.slots).get(&token).map(|slot| slot.key.clone())
    }

    /// Room for one more grant.
    pub(crate) fn has_room(&self) -> bool {
        lock(&self.slots).len() < MOST
    }

    /// Forgets what ended long ago.
    pub(crate) fn sweep(&self, now: Moment) {
        lock(&self.slots).retain(|_, slot| slot.grant.is_none() || now < slot.until.plus(REMEMBER));
        lock(&self.seen).retain(|_, seen| now < seen.until);
        // No call that could be answered with it lasts longer.
        lock(&self.landed).retain(|_, since| now < since.plus(limits::DEADLINE_MAX));
        // In the order in which a grant locks them.
        let mut newest = lock(&self.newest);
        let slots = lock(&self.slots);
        newest.retain(|_, token| slots.contains_key(token));
    }

    /// Whether another pod's marker was seen whose term has not passed since.
    pub(crate) fn is_seen(&self, key: NameHash, now: Moment) -> bool {
        let seen = lock(&self.seen);
        seen.get(&key)
            .is_some_and(|seen| now < seen.first.plus(seen.term))
    }

    /// Time until this marker may be taken over; zero: now.
    /// `kept`: how long the tier may keep it.
    pub(crate) fn time_left(
        &self,
        key: NameHash,
        marker: &Marker,
        kept: Duration,
        now: Moment,
    ) -> Duration {
        // Granted here: the term is counted from the grant, whoever looks first.
        if let Some(own) = lock(&self.slots).get(&marker.token) {
            return own.until.since(now);
        }
        let mut seen = lock(&self.seen);
        let first = match seen.get(&key) {
            Some(s) if s.token == marker.token && s.renewal == marker.renewal => s.first,
            _ if seen.len() >= MOST => return marker.term,
            _ => {
                let sighting = Sighting {
                    token: marker.token,
                    renewal: marker.renewal,
                    first: now,
                    term: marker.term,
                    until: now.plus(kept.max(marker.term) + REMEMBER),
                };
                seen.insert(key, sighting);
                now
            }
        };
        marker.term.saturating_sub(now.since(first))
    }

    /// The same for who only looks: the marker counts as seen no more than before.
    /// Whether it was granted here comes with it.
    pub(crate) fn peek_left(
        &self,
        key: NameHash,
        marker: &Marker,
        now: Moment,
    ) -> (bool, Duration) {
        if let Some(own) = lock(&self.slots).get(&marker.token) {
            return (true, own.until.since(now));
        }
        let seen = lock(&self.seen);
        let known = seen
            .get(&key)
            .filter(|s| s.token == marker.token && s.renewal == marker.renewal);
        let passed = known.map_or(Duration::ZERO, |seen| now.since(seen.first));
        (false, marker.term.saturating_sub(passed))
    }

    /// The rest of the term of the key's lease that is exclusive in this pod
    /// only.
    pub(crate) fn local_left(&self, key: NameHash, now: Moment) -> Duration {
        let left = self.newest(key, |slot| slot.local.then(|| slot.until.since(now)));
        left.flatten().unwrap_or_default()
    }

    /// The rest of the term of a lease that this pod granted, and what had been
    /// processed before it.
    pub(crate) fn left(&self, token: LeaseToken, now: Moment) -> Option<(Duration, Position)> {
        let slots = lock(&self.slots);
        let slot = slots.get(&token)?;
        let left = slot.until.since(now);
        (!left.is_zero()).then_some((left, slot.position))
    }

    fn newest<R>(&self, key: NameHash, of: impl FnOnce(&Slot) -> R) -> Option<R> {
        let token = self.newest_token(key)?;
        lock(&self.slots).get(&token).map(of)
    }
}

/// A grant whose fate is being decided. Dropped undecided (the caller went
/// away), it is as it was: the holder can still fill or abandon.
pub(crate) struct Taken<'a> {
    leases: &'a Leases,
    token: LeaseToken,
    grant: Option<Grant>,
}

impl Taken<'_> {
    pub(crate) fn grant(&mut self) -> &mut Grant {
        self.grant.as_mut().expect("it was not decided yet")
    }

    /// The lease is over.
    pub(crate) fn end(mut self) -> Grant {
        let grant = self.grant.take().expect("it is decided once");
        lock(&self.leases.slots).remove(&self.token);
        let mut newest = lock(&self.leases.newest);
        if newest.get(&grant.key.hash()) == Some(&self.token) {
            newest.remove(&grant.key.hash());
        }
        drop(newest);
        self.leases.returned.notify_waiters();
        grant
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(grant) = self.grant.take() {
            // Not as the newest of its key: another may have been granted since.
            lock(&self.leases.slots).insert(self.token, Slot::of(grant));
            self.leases.returned.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Namespace;

    fn grant(key: &Key, until: u64) -> Grant {
        Grant {
            key: key.clone(),
            position: Position::default(),
            since: Moment::default(),
            term: Duration::from_secs(10),
            until: Moment::new(Duration::from_secs(until)),
            marker: None,
            stale: None,
            source_version: None,
        }
    }

    #[tokio::test]
    async fn a_fill_that_is_cancelled_does_not_hide_a_newer_grant() {
        let key = Key::new(Namespace::new("").unwrap(), "k").unwrap();
        let (leases, [old, new]) = (Leases::default(), [1, 2].map(LeaseToken));
        leases.give(old, grant(&key, 10));
        let Ok(fill) = leases.take(old).await else {
            panic!("it was granted")
        };
        // Its term was over: another one was granted the lease.
        leases.give(new, grant(&key, 30));
        drop(fill);
        assert_eq!(leases.newest_token(key.hash()), Some(new));
        let now = Moment::new(Duration::from_secs(20));
        assert_eq!(leases.local_left(key.hash(), now), Duration::from_secs(10));
        // Nor is it lost: its holder may still try.
        assert!(leases.take(old).await.is_ok());
    }

    #[test]
    fn a_dead_loaders_marker_can_be_taken_over_by_who_looks_rarely() {
        let key = Key::new(Namespace::new("").unwrap(), "k").unwrap();
        let marker = Marker {
            facts: crate::entry::facts(
                &key,
                &[],
                Position::default(),
                &crate::key::Delimiters::default(),
            ),
            token: LeaseToken(1),
            renewal: 0,
            term: Duration::from_secs(10),
            source_version: None,
            stale: None,
        };
        let leases = Leases::default();
        let mut now = Moment::new(Duration::from_secs(1000));
        let mut left = Duration::ZERO;
        for _ in 0..100 {
            // 100 looks, 75 s apart, over two hours
            left = leases.time_left(key.hash(), &marker, Duration::from_secs(24 * 3600), now);
            for _ in 0..75 {
                now = now.plus(Duration::from_secs(1));
                leases.sweep(now);
            }
        }
        assert_eq!(left, Duration::ZERO, "still busy after two hours");
    }
}
