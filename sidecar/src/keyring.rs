//! The keys that records in the remote tier are encrypted with, as a file says
//! them.
//!
//! One key a line, `ID KEY`: a number from 1 to 4294967295 and 32 bytes in
//! base64; `#` begins a comment. The first line's key encrypts, every line's key
//! decrypts, so a key is rotated by adding the new one below the first on every
//! pod, then moving it to the top, then removing the old one. Secrets are never
//! shown, not in errors either. Does not read the file: the settings do at the
//! start, the remote tier after that.

use aes_gcm_siv::{Aes256GcmSiv, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::fmt;

/// Names a key in the records that it encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(pub u32);

/// Keys by id, and which of them encrypts.
#[derive(Clone)]
pub struct Keyring {
    first: KeyId,
    ciphers: BTreeMap<KeyId, Aes256GcmSiv>,
}

impl Keyring {
    /// Reads the text of a key file; the error tells line and reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut first = None;
        let mut ciphers = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let said = line.split('#').next().unwrap_or_default().trim();
            if said.is_empty() {
                continue;
            }
            let (id, cipher) = key(said).map_err(|why| format!("line {}: {why}", number + 1))?;
            first.get_or_insert(id);
            if ciphers.insert(id, cipher).is_some() {
                return Err(format!("line {}: id {} is there twice", number + 1, id.0));
            }
        }
        let first =
            first.ok_or("no key in it: write a line `1 KEY`, KEY being 32 bytes in base64")?;
        Ok(Self { first, ciphers })
    }

    /// The key that encrypts.
    pub(crate) fn first(&self) -> (KeyId, &Aes256GcmSiv) {
        let cipher = self.ciphers.get(&self.first);
        (self.first, cipher.expect("it was read with the others"))
    }

    /// The key of this id, if it is known.
    pub(crate) fn of(&self, id: KeyId) -> Option<&Aes256GcmSiv> {
        self.ciphers.get(&id)
    }

    fn ids(&self) -> Vec<KeyId> {
        let others = self.ciphers.keys().filter(|id| **id != self.first);
        std::iter::once(self.first).chain(others.copied()).collect()
    }
}

fn key(line: &str) -> Result<(KeyId, Aes256GcmSiv), String> {
    let (id, key) = line
        .split_once(char::is_whitespace)
        .ok_or("must be an id and a key")?;
    let id = id.parse().ok().filter(|id| *id > 0);
    let id = id.ok_or("the id must be a number from 1 to 4294967295")?;
    let bytes = STANDARD.decode(key.trim()).unwrap_or_default();
    let cipher = Aes256GcmSiv::new_from_slice(&bytes);
    let cipher = cipher.map_err(|_| "the key must be 32 bytes in base64")?;
    Ok((KeyId(id), cipher))
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({self})")
    }
}

/// The ids, the one that encrypts first.
impl fmt::Display for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.ids().iter().map(|id| id.0.to_string()).collect();
        f.write_str(&ids.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, byte: u8) -> String {
        format!("{id} {}\n", STANDARD.encode([byte; 32]))
    }

    #[test]
    fn the_first_key_encrypts_and_all_are_known() {
        let text = format!("# ours\n\n{}{}", line("7", 1), line("3", 2));
        let keys = Keyring::parse(&text).unwrap();
        assert_eq!(keys.ids(), [KeyId(7), KeyId(3)]);
        assert_eq!(keys.first().0, KeyId(7));
        assert!(keys.of(KeyId(4)).is_none());
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_without_the_key() {
        let short = STANDARD.encode([9; 16]);
        let cases = [
            (String::new(), "no key"),
            ("1".into(), "line 1: must be an id and a key"),
            (line("0", 1), "line 1: the id"),
            (line("x", 1), "line 1: the id"),
            (format!("1 {short}"), "line 1: the key must be 32 bytes"),
            (format!("{}{}", line("1", 1), line("1", 2)), "line 2: id 1"),
        ];
        for (text, expected) in cases {
            let error = Keyring::parse(&text).expect_err(expected);
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains(&short), "{error}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        let keys = Keyring::parse(&line("1", 65)).unwrap();
        assert_eq!(format!("{keys:?}"), "Keyring(1)");
    }
}
