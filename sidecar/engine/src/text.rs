//! Ids as text, digit by digit: the formatter took a fifth of a BatchGet.
//!
//! Guarantees: ASCII, no allocation, never longer than [`LONGEST`]. Lowercase
//! hex digits of full width, decimal numbers without leading zeros.

/// A position: sixteen hex digits, a dash, twenty decimal digits; and a mark.
const LONGEST: usize = 38;
const DIGITS: &[u8; 16] = b"0123456789abcdef";
/// The two digits of every byte.
static PAIRS: [[u8; 2]; 256] = pairs();

const fn pairs() -> [[u8; 2]; 256] {
    let (mut pairs, mut byte) = ([[0; 2]; 256], 0);
    while byte < pairs.len() {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
}

/// A short text.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Text {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            bytes: [0; LONGEST],
            length: 0,
        }
    }

    /// One more character, of ASCII.
    pub(crate) fn mark(mut self, mark: u8) -> Self {
        self.bytes[self.length] = mark;
        self.length += 1;
        self
    }

    /// The bytes as hex digits.
    pub(crate) fn hex<const N: usize>(mut self, bytes: [u8; N]) -> Self {
        let room = &mut self.bytes[self.length..self.length + 2 * N];
        for (two, byte) in room.chunks_exact_mut(2).zip(bytes) {
            two.copy_from_slice(&PAIRS[usize::from(byte)]);
        }
        self.length += 2 * N;
        self
    }

    /// The number as decimal digits.
    pub(crate) fn decimal(mut self, number: u64) -> Self {
        let (mut digits, mut first, mut rest) = ([0; 20], 20, number);
        loop {
            first -= 1;
            digits[first] = DIGITS[(rest % 10) as usize];
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let digits = &digits[first..];
        self.bytes[self.length..self.length + digits.len()].copy_from_slice(digits);
        self.length += digits.len();
        self
    }

    /// As bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("nothing but ASCII is put in")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn digits_are_those_of_the_formatter(long: u128, short: u64, number: u64) {
            let text = Text::new().mark(b'f').hex(long.to_be_bytes());
            prop_assert_eq!(text.as_str(), format!("f{long:032x}"));
            for number in [number, 0, 7, u64::MAX] {
                let text = Text::new().mark(b'w').hex(short.to_be_bytes()).mark(b'-');
                let text = text.decimal(number);
                prop_assert_eq!(text.as_str(), format!("w{short:016x}-{number}"));
            }
        }
    }
}
