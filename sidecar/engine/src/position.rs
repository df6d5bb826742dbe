//! Positions in the log: epoch and sequence.
//!
//! Sequences of two epochs are never compared. The text form is opaque to
//! clients: sixteen hex digits of the epoch, a dash, the sequence.

use crate::text::Text;
use std::fmt;
use std::str::FromStr;

/// Names one life of the log; a random id made when the log was made or found
/// to have lost records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Epoch(pub u64);

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// The log's life.
    pub epoch: Epoch,
    /// The sequence in it; 0 is before the first record.
    pub sequence: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl Position {
    /// The text form.
    pub fn text(self) -> Text {
        self.text_after(Text::new())
    }

    /// The text form, after what there is.
    pub(crate) fn text_after(self, before: Text) -> Text {
        let epoch = before.hex(self.epoch.0.to_be_bytes());
        epoch.mark(b'-').decimal(self.sequence)
    }
}

/// The text is not a position.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position: take one from an answer of this API")]
pub struct NotAPosition;

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let (epoch, sequence) = text.split_once('-').ok_or(NotAPosition)?;
        let digits = epoch.len() == 16 && epoch.bytes().all(|b| b.is_ascii_hexdigit());
        let plain = !sequence.is_empty() && sequence.bytes().all(|b| b.is_ascii_digit());
        if !digits || !plain {
            return Err(NotAPosition);
        }
        let epoch = Epoch(u64::from_str_radix(epoch, 16).map_err(|_| NotAPosition)?);
        let sequence = sequence.parse().map_err(|_| NotAPosition)?;
        Ok(Self { epoch, sequence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_text_form() {
        let p = Position {
            epoch: Epoch(0xabc),
            sequence: 42,
        };
        assert_eq!(p.to_string().parse(), Ok(p));
    }

    #[test]
    fn what_is_not_a_position_is_refused() {
        for text in [
            "",
            "-",
            "1-2",
            "000000000000000g-1",
            "0000000000000abc-",
            "0000000000000abc-+1",
            "é",
        ] {
            assert_eq!(text.parse::<Position>(), Err(NotAPosition), "{text}");
        }
    }
}
