//! Maps by [`NameHash`](crate::key::NameHash) do not hash it again: it is one.
//!
//! Guarantees: takes 64 of its 128 bits as they are. Not for other keys.

use std::hash::{BuildHasherDefault, Hasher};

/// For maps whose keys are name hashes.
pub(crate) type ByName = BuildHasherDefault<NameHasher>;

/// Hands out the bits of the last name hash.
#[derive(Default)]
pub(crate) struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, bits: u128) {
        self.0 = bits as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::NameHash;
    use std::hash::BuildHasher as _;

    #[test]
    fn a_name_hash_is_its_own_hash() {
        let hash = ByName::default().hash_one(NameHash(7 << 64 | 5));
        assert_eq!(hash, 5);
    }
}
