//! What a new entry depends on, looked up before it is stored.
//!
//! Takes in what the named keys' own entries depend on and which tags they
//! carry, as far as they are cached: so the entry falls with them, and with what
//! they fell with, and nothing has to be walked when one of them does. Where
//! the caller says which version the entry was made of, nothing else will do.
//!
//! Looks where reads look, and counts as none: no hit, no miss, no lease. What
//! it says holds at one position, above which nothing was looked at.

use crate::clock::Moment;
use crate::coherence::{Depends, Facts, Freshness, Source};
use crate::engine::Engine;
use crate::entry::{Content, Entry};
use crate::error::Error;
use crate::key::{Delimiters, Key, Tag};
use crate::position::Position;
use crate::remote::Read;
use crate::request::{Dependency, DependsOn, NewEntry, NotStored, StaleReason, Voided};
use crate::{look, read, tier};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Why the entry may not be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is another version, or none.
    Changed,
    /// It is not fresh, and will not be before somebody has loaded it.
    Stale,
    TooMany,
    /// The remote tier did not say: what it depends on is not known.
    Unknown(String),
}

impl Refused {
    /// Whether the next load would be refused as well.
    pub(crate) fn lasts(&self) -> bool {
        !matches!(self, Self::Changed)
    }

    /// For a write, which is done or is not.
    pub(crate) fn of_write(self) -> Result<NotStored, Error> {
        match self {
            Self::Changed | Self::Stale => Ok(NotStored::DependencyChanged),
            Self::TooMany => Ok(NotStored::TooManyDependencies),
            Self::Unknown(why) => Err(Error::RemoteUnavailable(why)),
        }
    }

    /// For a fill. A lease that the tier knows is kept, so that its holder may
    /// repeat the call when the tier is back.
    pub(crate) fn of_fill(self, kept: bool) -> Result<Voided, Error> {
        match self {
            Self::Unknown(why) if kept => Err(Error::RemoteUnavailable(why)),
            Self::Changed | Self::Stale | Self::Unknown(_) => Ok(Voided::DependencyChanged),
            Self::TooMany => Ok(Voided::TooManyDependencies),
        }
    }
}

/// What is cached under a key that is depended on.
enum There {
    Entry(Source, Arc<Entry>),
    /// Nothing, or somebody loads it.
    Nothing,
    /// The remote tier did not say, and why.
    Unknown(String),
}

impl There {
    fn facts(&self) -> Option<(&Facts, Source)> {
        match self {
            Self::Entry(source, entry) => Some((&entry.facts, *source)),
            Self::Nothing | Self::Unknown(_) => None,
        }
    }
}

/// Looks up what `new`, to be stored under `key`, depends on; at most once.
pub(crate) async fn look_up(
    engine: &Engine,
    key: &Key,
    new: &mut NewEntry,
    deadline: Moment,
) -> Result<(), Refused> {
    let DependsOn::Named(named) = std::mem::take(&mut new.depends_on) else {
        return Ok(());
    };
    let there = there(engine, &named, deadline).await;
    let (judged, at) = judge(engine, &there, deadline).await;
    let mut all = Closure::new(key);
    for ((dependency, there), freshness) in named.iter().zip(&there).zip(judged) {
        holds(engine, (key, dependency), there, freshness)?;
        all.add(&dependency.key, there);
    }
    let depends = all.depends(&engine.options.delimiters);
    let depends = depends.ok_or(Refused::TooMany)?;
    if depends.keys().len() > 0 {
        new.depends_on = DependsOn::Found(Arc::new(depends), at);
    }
    Ok(())
}

/// As [`look_up`], without a future of its own for what depends on nothing.
macro_rules! looked_up {
    ($engine:expr, $key:expr, $new:expr, $deadline:expr) => {
        match $new.depends_on {
            $crate::request::DependsOn::Named(_) => {
                Box::pin($crate::depends::look_up($engine, $key, $new, $deadline)).await
            }
            _ => Ok(()),
        }
    };
}
pub(crate) use looked_up;

/// What is cached under each key, fresh or not: first here, then in the remote
/// tier, in one call.
async fn there(engine: &Engine, named: &[Dependency], deadline: Moment) -> Vec<There> {
    let held: Vec<_> = named.iter().map(|on| near(engine, &on.key)).collect();
    let fresh = |held: &Option<(Arc<Entry>, Freshness)>| {
        held.as_ref().is_some_and(|(_, is)| *is == Freshness::Fresh)
    };
    let far = named.iter().zip(&held).filter(|(_, held)| !fresh(held));
    let far: Vec<_> = far.map(|(on, _)| on.key.hash()).collect();
    let mut reads = tier::read_many(engine, &far, deadline).await.into_iter();
    let each = named.iter().zip(held);
    each.map(|(on, held)| match held {
        Some((entry, Freshness::Fresh)) => There::Entry(Source::L1, entry),
        held => {
            let read = reads.next().expect("one answer per key that was asked for");
            let read = unpack(engine, &on.key, read);
            // It may be what the entry is made of: it may be served stale from here,
            // or have been covered a moment ago.
            match (read, held) {
                (There::Nothing | There::Unknown(_), Some((entry, is))) if is.was_readable() => {
                    There::Entry(Source::L1, entry)
                }
                (read, _) => read,
            }
        }
    })
    .collect()
}

fn near(engine: &Engine, key: &Key) -> Option<(Arc<Entry>, Freshness)> {
    let held = engine.l1.peek(key.hash())?;
    let (freshness, _) = look::judge_at(engine, &held.facts, Source::L1);
    Some((held, freshness))
}

fn unpack(engine: &Engine, key: &Key, (source, read): (Source, Read)) -> There {
    let stored = match read {
        Ok(Some(stored)) => stored,
        Ok(None) => return There::Nothing,
        Err(error) => return There::Unknown(error.to_string()),
    };
    let entry = match tier::decode(engine, key, &stored) {
        Ok(Content::Entry(entry)) => Some(entry),
        Ok(Content::Marker(marker)) => marker.stale.map(|stale| *stale),
        // Nobody reads it, so nothing was made of it.
        Err(_) => None,
    };
    entry.map_or(There::Nothing, |entry| {
        There::Entry(source, Arc::new(entry))
    })
}

/// All of it judged at one position, which may be above what was processed when
/// this began; none for what is not there.
async fn judge(
    engine: &Engine,
    there: &[There],
    deadline: Moment,
) -> (Vec<Option<Freshness>>, Position) {
    let facts = || there.iter().filter_map(There::facts);
    let (mut judged, mut from) = look::judge_all(engine, facts());
    if judged.contains(&Freshness::Future) && read::barrier(engine, deadline).await {
        (judged, from) = look::judge_all(engine, facts());
    }
    let mut judged = judged.into_iter();
    let each = there.iter().map(|there| match there {
        There::Entry(..) => judged.next(),
        There::Nothing | There::Unknown(_) => None,
    });
    (each.collect(), from.position)
}

/// Whether the entry can have been made of what is there, and may be called fresh.
/// What a soft invalidation covers was read flagged, if at all: nothing tells later
/// that it was loaded anew, so what is made of it could not fall. But for a cover
/// of the entry's own key, which the new one is not older than: of keys that depend
/// on each other one has to be the first.
fn holds(
    engine: &Engine,
    (own, dependency): (&Key, &Dependency),
    there: &There,
    freshness: Option<Freshness>,
) -> Result<(), Refused> {
    if let There::Unknown(why) = there {
        return Err(Refused::Unknown(why.clone()));
    }
    if let (Some(Freshness::Stale(StaleReason::SoftInvalidated)), Some((facts, _))) =
        (freshness, there.facts())
        && engine.ask(|machine, _| machine.is_soft_but_for(facts, own.hash()))
    {
        return Err(Refused::Stale);
    }
    let holds = match (&dependency.version, there) {
        (None, _) => true,
        (Some(version), There::Entry(_, entry)) => {
            freshness == Some(Freshness::Fresh)
                && version.as_bytes() == entry.version.text().as_bytes()
        }
        (Some(_), _) => false,
    };
    match holds {
        true => Ok(()),
        false => Err(Refused::Changed),
    }
}

/// All that the entry under a key depends on, as it is gathered.
struct Closure<'a> {
    own: &'a Key,
    levels: HashMap<Key, u8>,
    tags: HashSet<Tag>,
}

impl<'a> Closure<'a> {
    fn new(own: &'a Key) -> Self {
        Self {
            own,
            levels: HashMap::new(),
            tags: HashSet::new(),
        }
    }

    /// Takes in what nobody may read any more, too: it may have been read after the
    /// entry's `as_of`, and covered since, by a name of which only it tells.
    fn add(&mut self, key: &Key, there: &There) {
        self.add_key(key, 1);
        let There::Entry(_, entry) = there else {
            return;
        };
        self.tags.extend(entry.tags.iter().cloned());
        let Some(depends) = &entry.facts.depends else {
            return;
        };
        self.tags.extend(depends.tags().iter().cloned());
        for (key, level) in depends.keys() {
            self.add_key(key, level.saturating_add(1));
        }
    }

    /// As near as the nearest way to it; the entry does not depend on itself.
    fn add_key(&mut self, key: &Key, level: u8) {
        if key == self.own {
            return;
        }
        let nearest = self.levels.entry(key.clone()).or_insert(level);
        *nearest = level.min(*nearest);
    }

    fn depends(self, delimiters: &Delimiters) -> Option<Depends> {
        let (keys, tags) = (self.levels.into_iter(), self.tags.into_iter());
        Depends::new(keys.collect(), tags.collect(), delimiters)
    }
}
