//! Values that are made of other keys' values, in some schedules: the stored
//! bytes say of which, "key:counter:other=counter,…", and what is demanded of
//! the others is demanded of them.
//!
//! What a value was read under is given as its version, or not: with it, it may
//! have been read anywhere and long ago; without, it was read on this pod since
//! the load began, and only what was read itself is demanded. Then the value
//! carries the other's tag, too: what is not cached when it is stored is known by
//! its name alone.
//!
//! Keys depend on each other until it is quiet, and then only on those before
//! them: what is covered softly together is loaded anew in an order, or not
//! before it is gone (decision 17).

use super::judge::Demand;
use super::{Client, entry, key, names, tag};
use crate::lives::Terms;
use crate::origin;
use crate::world::LAGGING;
use unstale_engine::request::{Dependency, DependsOn, Found, NewEntry, Payload};

/// Keys that others depend on: those before the lagging one.
const MADE_OF: usize = LAGGING;

/// A key and the origin's counter.
type Counter = (usize, u64);

/// What a value was made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    on: Vec<Dependency>,
    counters: Vec<Counter>,
}

/// What anybody has read as fresh.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    version: String,
    counters: Vec<Counter>,
}

impl Made {
    /// The entry that holds such a value.
    pub(crate) fn entry(&self, number: usize, value: u64, terms: Terms) -> NewEntry {
        let mut new = entry(number, value, terms);
        if self.on.is_empty() {
            return new;
        }
        let counters = self.counters.iter();
        let counters: Vec<_> = counters
            .map(|(of, value)| format!("{of}={value}"))
            .collect();
        if let Payload::Value(stored) = &mut new.payload {
            stored.data = format!("{number}:{value}:{}", counters.join(",")).into();
        }
        let unsure = self.on.iter().filter(|on| on.version.is_none());
        let tags = unsure.map(|on| tag(names::number_of(on.key.name())));
        new.tags.extend(tags);
        new.depends_on = DependsOn::Named(self.on.clone());
        new
    }

    /// Whether it was made of any.
    pub(crate) fn is_of_any(&self) -> bool {
        !self.on.is_empty()
    }

    fn add(&mut self, of: usize, version: Option<String>, counters: impl Iterator<Item = Counter>) {
        self.on.push(Dependency {
            key: key(of),
            version,
        });
        self.counters.extend(counters);
    }
}

/// The counters of others in stored bytes.
pub(super) fn counters(found: &Found) -> Vec<Counter> {
    let Payload::Value(value) = &found.payload else {
        return Vec::new();
    };
    let text = std::str::from_utf8(&value.data).expect("text was stored");
    let of = text.splitn(3, ':').nth(2).unwrap_or("");
    let each = of.split(',').filter_map(|word| word.split_once('='));
    let number = |text: &str| text.parse().expect("a number");
    each.map(|(of, value)| (number(of) as usize, number(value)))
        .collect()
}

impl Client {
    /// What a value of this key, to be read from the origin next, is made of.
    pub(super) async fn made_of_others(&self, number: usize) -> Made {
        let mut made = Made::default();
        if !self.shared.with(|w| w.mix.depends) || self.shared.chance(25) {
            return made;
        }
        let others = match self.shared.with(|w| w.quiet) {
            true => 0..MADE_OF.min(number),
            false => 0..MADE_OF,
        };
        for of in others.filter(|of| *of != number) {
            if self.shared.chance(80) {
                self.make_of(&mut made, number, of).await;
            }
        }
        made
    }

    async fn make_of(&self, made: &mut Made, number: usize, of: usize) {
        if self.shared.chance(30)
            && let Some(seen) = self.shared.with(|w| w.seen[of].clone())
        {
            let others = seen.counters.into_iter().filter(|(of, _)| *of != number);
            return made.add(of, Some(seen.version), others);
        }
        if self.shared.chance(70)
            && let Some(seen) = self.seen_now(of).await
        {
            if self.shared.chance(70) {
                let others = seen.counters.into_iter().filter(|(of, _)| *of != number);
                return made.add(of, Some(seen.version), others);
            }
            return made.add(of, None, seen.counters.into_iter().take(1));
        }
        let value = origin::read(&self.shared, of).await;
        made.add(of, None, std::iter::once((of, value)));
    }

    async fn seen_now(&self, of: usize) -> Option<Seen> {
        let answer = self.get(of, Demand::default()).await?;
        self.seen(of, answer.result.found()?)
    }

    /// What was read as fresh, to be made something of.
    fn seen(&self, number: usize, found: &Found) -> Option<Seen> {
        let (of, value) = self.content(found)?;
        let fresh = of == number && found.stale.is_none();
        fresh.then(|| Seen {
            version: found.version.to_string(),
            counters: [vec![(number, value)], counters(found)].concat(),
        })
    }

    /// Remembers what was read, for whoever makes something of it.
    pub(super) fn note_seen(&self, number: usize, found: &Found) {
        if self.shared.with(|w| w.mix.depends)
            && let Some(seen) = self.seen(number, found)
        {
            self.shared.with(|w| w.seen[number] = Some(seen));
        }
    }
}
