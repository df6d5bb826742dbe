//! Floors of prefixes that do not end at a delimiter: a small exact table.
//!
//! Looking a key up costs one probe per distinct prefix length in its
//! namespace. When the table is full, the prefix raised longest ago makes room:
//! its namespace's floor stands for it, at its old sequence.

use super::floors::Floor;
use crate::key::NameHash;
use crate::limits;
use crate::request::Mode;
use std::collections::HashMap;

#[derive(Default)]
pub(crate) struct Prefixes {
    namespaces: HashMap<NameHash, Table>,
    count: usize,
}

#[derive(Default)]
struct Table {
    floors: HashMap<Box<str>, Floor>,
    /// The lengths of the prefixes, ascending, each once.
    lengths: Vec<usize>,
}

impl Prefixes {
    /// Raises the floor of a prefix. What had to make room for it: its
    /// namespace's floor is to be raised to this.
    pub(crate) fn raise(
        &mut self,
        namespace: NameHash,
        prefix: &str,
        mode: Mode,
        sequence: u64,
    ) -> Option<(NameHash, Floor)> {
        let known = self.namespaces.get_mut(&namespace);
        if let Some(floor) = known.and_then(|table| table.floors.get_mut(prefix)) {
            floor.raise(mode, sequence);
            return None;
        }
        let folded = (self.count >= limits::EXACT_PREFIXES).then(|| self.fold_oldest());
        self.count += 1;
        let table = self.namespaces.entry(namespace).or_default();
        if let Err(at) = table.lengths.binary_search(&prefix.len()) {
            table.lengths.insert(at, prefix.len());
        }
        let floor = table.floors.entry(prefix.into()).or_default();
        floor.raise(mode, sequence);
        folded.flatten()
    }

    fn fold_oldest(&mut self) -> Option<(NameHash, Floor)> {
        let all = self.namespaces.iter().flat_map(|(namespace, table)| {
            let floors = table.floors.iter();
            floors.map(|(prefix, floor)| (floor.newest(), *namespace, prefix))
        });
        let (_, namespace, prefix) = all.min()?;
        let prefix = prefix.clone();
        let table = self.namespaces.get_mut(&namespace)?;
        let floor = table.floors.remove(&prefix)?;
        if !table.floors.keys().any(|other| other.len() == prefix.len()) {
            table.lengths.retain(|length| *length != prefix.len());
        }
        if table.floors.is_empty() {
            self.namespaces.remove(&namespace);
        }
        self.count -= 1;
        Some((namespace, floor))
    }

    /// Each prefix of `key`, and its floor.
    pub(crate) fn of_key<'a>(
        &'a self,
        namespace: NameHash,
        key: &'a str,
    ) -> impl Iterator<Item = (&'a str, Floor)> {
        let table = self.namespaces.get(&namespace).into_iter();
        let all = table.flat_map(|table| table.floors.iter());
        let begins = all.filter(|(prefix, _)| key.starts_with(prefix.as_ref()));
        begins.map(|(prefix, floor)| (prefix.as_ref(), *floor))
    }

    /// The highest floor of a prefix of `key`.
    pub(crate) fn floor(&self, namespace: NameHash, key: &str) -> Floor {
        let Some(table) = self.namespaces.get(&namespace) else {
            return Floor::default();
        };
        let starts = table.lengths.iter().map_while(|length| {
            // Where a character is cut, no prefix ends.
            (*length <= key.len()).then(|| key.get(..*length))
        });
        starts
            .flatten()
            .filter_map(|start| table.floors.get(start))
            .fold(Floor::default(), |all, floor| all.max(*floor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: NameHash = NameHash(1);

    #[test]
    fn a_prefix_covers_the_keys_that_begin_with_it_and_no_others() {
        let mut prefixes = Prefixes::default();
        assert_eq!(prefixes.raise(SHOP, "us", Mode::Hard, 5), None);
        assert_eq!(prefixes.raise(SHOP, "usé", Mode::Soft, 6), None);
        assert_eq!(prefixes.floor(SHOP, "user").hard, 5);
        assert_eq!(prefixes.floor(SHOP, "usér"), Floor { hard: 5, soft: 6 });
        // Its fourth byte is half a character.
        assert_eq!(prefixes.floor(SHOP, "usa€").soft, 0);
        assert_eq!(prefixes.floor(SHOP, "u"), Floor::default());
        assert_eq!(prefixes.floor(NameHash(2), "user"), Floor::default());
    }

    #[test]
    fn in_a_full_table_the_prefix_raised_longest_ago_makes_room() {
        let mut prefixes = Prefixes::default();
        for n in 0..limits::EXACT_PREFIXES as u64 {
            let prefix = format!("{n}-");
            assert_eq!(prefixes.raise(SHOP, &prefix, Mode::Hard, n + 1), None);
        }
        assert_eq!(prefixes.raise(SHOP, "0-", Mode::Soft, 900), None);
        let folded = prefixes.raise(SHOP, "x", Mode::Hard, 901);
        assert_eq!(folded, Some((SHOP, Floor { hard: 2, soft: 0 })));
        assert_eq!(prefixes.floor(SHOP, "1-a"), Floor::default());
        assert_eq!(prefixes.floor(SHOP, "0-a"), Floor { hard: 1, soft: 900 });
        assert_eq!(prefixes.floor(SHOP, "xa").hard, 901);
    }
}
