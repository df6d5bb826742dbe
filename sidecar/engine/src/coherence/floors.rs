//! Floors: for every name, the newest log sequence that covers it, hard and
//! soft.
//!
//! A table of max-registers in several hashed rows; a name's floor is the
//! minimum over the rows, so a collision of all rows costs a miss and never
//! staleness. Namespaces and prefixes that do not end at a delimiter have small
//! exact tables that fold into a wider floor when they overflow. Floors never
//! fall within an epoch.

use super::bugs::{Bug, Bugs};
use super::depends::Depends;
use super::judge::Facts;
use super::prefixes::Prefixes;
use crate::key::{NameHash, Namespace};
use crate::limits;
use crate::request::Mode;
use std::collections::HashMap;

const ROWS: usize = 4;
/// Registers of one page of memory.
const PAGE: usize = 256;
/// Of one word.
const BITS: usize = u64::BITS as usize;

/// What must not be older: below `hard` an entry is gone, below `soft` stale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) hard: u64,
    pub(crate) soft: u64,
}

impl Floor {
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            hard: self.hard.max(other.hard),
            soft: self.soft.max(other.soft),
        }
    }

    fn min(self, other: Self) -> Self {
        Self {
            hard: self.hard.min(other.hard),
            soft: self.soft.min(other.soft),
        }
    }

    /// The higher of the two.
    pub(crate) fn newest(self) -> u64 {
        self.hard.max(self.soft)
    }

    /// Raises one of the two.
    pub(crate) fn raise(&mut self, mode: Mode, sequence: u64) {
        let register = match mode {
            Mode::Hard => &mut self.hard,
            Mode::Soft => &mut self.soft,
        };
        *register = sequence.max(*register);
    }
}

/// The table. Sequences are of one epoch; [`Floors::clear`] starts another.
pub(crate) struct Floors {
    /// `ROWS` rows of `width` registers each; untouched pages cost no memory.
    /// Not [`Floor`]s, so that the allocator hands out zeroed pages.
    registers: Vec<[u64; 2]>,
    /// A bit for each page of them, set once anything in it was raised.
    written: Vec<u64>,
    width: usize,
    namespaces: HashMap<NameHash, Floor>,
    prefixes: Prefixes,
    everything: Floor,
    bugs: Bugs,
}

impl Floors {
    /// A table with `width` registers a row.
    pub(crate) fn new(width: usize, bugs: Bugs) -> Self {
        Self {
            registers: vec![[0, 0]; ROWS * width],
            written: vec![0; (ROWS * width).div_ceil(PAGE * BITS)],
            width,
            namespaces: HashMap::new(),
            prefixes: Prefixes::default(),
            everything: Floor::default(),
            bugs,
        }
    }

    /// Raises the floor of a key, a tag or a hashed prefix to `sequence`.
    pub(crate) fn raise(&mut self, name: NameHash, mode: Mode, sequence: u64) {
        for at in self.places(name) {
            let page = at / PAGE;
            self.written[page / BITS] |= 1 << (page % BITS);
            let [hard, soft] = self.registers[at];
            let mut floor = Floor { hard, soft };
            floor.raise(mode, sequence);
            self.registers[at] = [floor.hard, floor.soft];
        }
    }

    /// Raises the floor of every key that begins with `prefix`.
    pub(crate) fn raise_prefix(
        &mut self,
        namespace: &Namespace,
        prefix: &str,
        mode: Mode,
        sequence: u64,
    ) {
        let hash = NameHash::of_namespace(namespace);
        let folded = self.prefixes.raise(hash, prefix, mode, sequence);
        if let Some((namespace, floor)) = folded
            && !self.bugs.has(Bug::PrefixFloorsForgotten)
        {
            self.raise_namespace(namespace, Mode::Hard, floor.hard);
            self.raise_namespace(namespace, Mode::Soft, floor.soft);
        }
    }

    /// Raises the floor of a whole namespace.
    pub(crate) fn raise_namespace(&mut self, namespace: NameHash, mode: Mode, sequence: u64) {
        if !self.namespaces.contains_key(&namespace)
            && self.namespaces.len() >= limits::NAMESPACE_FLOORS
        {
            self.fold_oldest_namespace();
        }
        let floor = self.namespaces.entry(namespace).or_default();
        floor.raise(mode, sequence);
    }

    /// The namespace raised longest ago makes room: the floor of everything
    /// stands for it, at its old sequence.
    fn fold_oldest_namespace(&mut self) {
        let all = self.namespaces.iter();
        let oldest = all.min_by_key(|(_, floor)| floor.newest());
        let Some((namespace, floor)) = oldest.map(|(name, floor)| (*name, *floor)) else {
            return;
        };
        self.namespaces.remove(&namespace);
        if !self.bugs.has(Bug::NamespaceFloorsForgotten) {
            self.everything = self.everything.max(floor);
        }
    }

    /// Raises the floor of everything.
    pub(crate) fn raise_everything(&mut self, sequence: u64) {
        self.everything.raise(Mode::Hard, sequence);
    }

    /// The floor of a key, a tag or a hashed prefix, or one above it.
    pub(crate) fn of_name(&self, name: NameHash) -> Floor {
        let registers = self.places(name).map(|at| self.registers[at]);
        let floors = registers.map(|[hard, soft]| Floor { hard, soft });
        floors.into_iter().reduce(Floor::min).unwrap_or_default()
    }

    /// The floor of everything, the namespace and the exact prefixes: what
    /// holds without regard to the hashed names.
    pub(crate) fn of_wide(&self, facts: &Facts) -> Floor {
        let namespace = self.namespaces.get(&facts.namespace).copied();
        let prefixes = self.prefixes.floor(facts.namespace, facts.key.name());
        self.everything
            .max(namespace.unwrap_or_default())
            .max(prefixes)
    }

    /// The floor of the exact prefixes that a key begins with.
    pub(crate) fn of_exact(&self, namespace: NameHash, key: &str) -> Floor {
        self.prefixes.floor(namespace, key)
    }

    /// The floor of what an entry depends on, less that of the namespace, which
    /// is the entry's own.
    pub(crate) fn of_depends(&self, namespace: NameHash, depends: &Depends) -> Floor {
        let names = depends.names().iter().map(|name| self.of_name(*name));
        let keys = depends.keys().map(|(key, _)| key.name());
        let exact = keys.map(|key| self.of_exact(namespace, key));
        names.chain(exact).fold(Floor::default(), Floor::max)
    }

    /// The floor of everything, and of a namespace.
    pub(crate) fn of_namespace(&self, namespace: NameHash) -> [Floor; 2] {
        let own = self.namespaces.get(&namespace).copied();
        [self.everything, own.unwrap_or_default()]
    }

    /// The prefixes in the exact table that a key begins with.
    pub(crate) fn exact_prefixes<'a>(
        &'a self,
        namespace: NameHash,
        key: &'a str,
    ) -> impl Iterator<Item = (&'a str, Floor)> {
        self.prefixes.of_key(namespace, key)
    }

    /// Forgets everything: another epoch begins, and nothing older is believed.
    pub(crate) fn clear(&mut self) {
        // In place: an allocator that is asked for as much again may give what was
        // used before, and then zeroes all of it, which makes it resident.
        for (at, page) in self.registers.chunks_mut(PAGE).enumerate() {
            // What nobody raised stays untouched.
            if self.written[at / BITS] >> (at % BITS) & 1 == 1 {
                page.fill([0, 0]);
            }
        }
        self.written.fill(0);
        self.namespaces.clear();
        self.prefixes = Prefixes::default();
        self.everything = Floor::default();
    }

    /// One register per row, chosen by 32 bits of the hash each.
    fn places(&self, name: NameHash) -> [usize; ROWS] {
        std::array::from_fn(|row| {
            let bits = (name.0 >> (32 * row)) as u32 as usize;
            row * self.width + bits % self.width
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: u128) -> NameHash {
        NameHash(n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
    }

    fn raised(floors: &Floors, n: u128) -> Floor {
        floors.of_name(name(n)).max(floors.everything)
    }

    #[test]
    fn a_floor_is_never_below_what_was_raised() {
        let mut floors = Floors::new(8, Bugs::NONE);
        for n in 1..500 {
            floors.raise(name(u128::from(n % 50)), Mode::Hard, n);
            assert!(raised(&floors, u128::from(n % 50)).hard >= n);
        }
    }

    #[test]
    fn a_soft_invalidation_leaves_the_hard_floor_where_it_is() {
        let mut floors = Floors::new(1 << 10, Bugs::NONE);
        floors.raise(name(1), Mode::Hard, 3);
        floors.raise(name(1), Mode::Soft, 7);
        assert_eq!(raised(&floors, 1), Floor { hard: 3, soft: 7 });
    }

    #[test]
    fn names_that_were_not_raised_keep_a_low_floor_in_a_wide_table() {
        let mut floors = Floors::new(1 << 16, Bugs::NONE);
        for n in 1..=1000 {
            floors.raise(name(n), Mode::Hard, n as u64);
        }
        let false_floors = (2000..3000).filter(|n| raised(&floors, *n).hard > 0);
        let count = false_floors.count();
        assert!(count < 5, "{count} of 1000 collide in all rows");
    }

    #[test]
    fn too_many_namespaces_fold_the_oldest_into_the_floor_of_everything() {
        let mut floors = Floors::new(8, Bugs::NONE);
        for n in 0..=limits::NAMESPACE_FLOORS as u64 {
            floors.raise_namespace(name(u128::from(n)), Mode::Hard, n + 7);
        }
        assert_eq!(raised(&floors, 99_999).hard, 7);
    }

    #[test]
    fn what_one_name_raised_is_cleared_in_a_table_of_any_width() {
        for width in [1, 63, 255, 257, 4_097, 16_385, 70_001] {
            for n in 0..10 {
                let mut floors = Floors::new(width, Bugs::NONE);
                floors.raise(name(n), Mode::Hard, 7);
                floors.clear();
                assert!(floors.registers.iter().all(|register| *register == [0, 0]));
            }
        }
    }

    #[test]
    fn nothing_is_left_of_another_epoch() {
        let mut floors = Floors::new(1 << 14, Bugs::NONE);
        let namespace = Namespace::new("n").expect("a namespace");
        for n in 0..300 {
            floors.raise(name(n), Mode::Hard, 7);
            floors.raise(name(n + 300), Mode::Soft, 7);
        }
        floors.raise_prefix(&namespace, "user/4", Mode::Hard, 7);
        floors.raise_namespace(NameHash::of_namespace(&namespace), Mode::Soft, 7);
        floors.raise_everything(7);
        floors.clear();
        assert!(floors.registers.iter().all(|register| *register == [0, 0]));
        let hash = NameHash::of_namespace(&namespace);
        assert_eq!(floors.of_namespace(hash), [Floor::default(); 2]);
        assert_eq!(floors.of_exact(hash, "user/42"), Floor::default());
        floors.raise(name(1), Mode::Hard, 1);
        floors.clear();
        assert_eq!(raised(&floors, 1), Floor::default());
    }
}
