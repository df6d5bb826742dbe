//! Floors: for every name, the newest log sequence that covers it.
//!
//! A table of max-registers in several hashed rows; a name's floor is the
//! minimum over the rows, so a collision of all rows costs a miss and never
//! staleness. Namespaces have a small exact table that folds into the floor of
//! everything when it overflows. Floors never fall within an epoch.

use crate::key::NameHash;
use std::collections::HashMap;

const ROWS: usize = 4;

/// Most namespaces with a floor of their own.
const NAMESPACES: usize = 1024;

/// The table. Sequences are of one epoch; [`Floors::clear`] starts another.
pub(crate) struct Floors {
    /// `ROWS` rows of `width` registers each; untouched pages cost no memory.
    registers: Vec<u64>,
    width: usize,
    namespaces: HashMap<NameHash, u64>,
    everything: u64,
}

impl Floors {
    /// A table with `width` registers a row.
    pub(crate) fn new(width: usize) -> Self {
        let registers = vec![0; ROWS * width];
        Self {
            registers,
            width,
            namespaces: HashMap::new(),
            everything: 0,
        }
    }

    /// Raises the floor of a key or tag to `sequence`.
    pub(crate) fn raise(&mut self, name: NameHash, sequence: u64) {
        for at in self.places(name) {
            self.registers[at] = self.registers[at].max(sequence);
        }
    }

    /// Raises the floor of a whole namespace.
    pub(crate) fn raise_namespace(&mut self, namespace: NameHash, sequence: u64) {
        if self.namespaces.len() >= NAMESPACES && !self.namespaces.contains_key(&namespace) {
            self.raise_everything(sequence);
            return;
        }
        let floor = self.namespaces.entry(namespace).or_default();
        *floor = sequence.max(*floor);
    }

    /// Raises the floor of everything.
    pub(crate) fn raise_everything(&mut self, sequence: u64) {
        self.everything = self.everything.max(sequence);
    }

    /// The floor of a key or tag, or one above it.
    pub(crate) fn floor(&self, name: NameHash) -> u64 {
        let least = self
            .places(name)
            .map(|at| self.registers[at])
            .into_iter()
            .min();
        least.unwrap_or(0).max(self.everything)
    }

    /// The floor of a whole namespace.
    pub(crate) fn floor_of_namespace(&self, namespace: NameHash) -> u64 {
        self.namespaces
            .get(&namespace)
            .copied()
            .unwrap_or(0)
            .max(self.everything)
    }

    /// Forgets everything: another epoch begins, and nothing older is believed.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.width);
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

    #[test]
    fn a_floor_is_never_below_what_was_raised() {
        let mut floors = Floors::new(8);
        for n in 1..500 {
            floors.raise(name(u128::from(n % 50)), n);
            assert!(floors.floor(name(u128::from(n % 50))) >= n);
        }
    }

    #[test]
    fn names_that_were_not_raised_keep_a_low_floor_in_a_wide_table() {
        let mut floors = Floors::new(1 << 16);
        for n in 1..=1000 {
            floors.raise(name(n), n as u64);
        }
        let raised = (2000..3000).filter(|n| floors.floor(name(*n)) > 0).count();
        assert!(raised < 5, "{raised} of 1000 collide in all rows");
    }

    #[test]
    fn too_many_namespaces_fold_into_the_floor_of_everything() {
        let mut floors = Floors::new(8);
        for n in 0..=NAMESPACES as u128 {
            floors.raise_namespace(name(n), 7);
        }
        assert_eq!(floors.floor(name(99_999)), 7);
        assert_eq!(floors.floor_of_namespace(name(NAMESPACES as u128)), 7);
    }
}
