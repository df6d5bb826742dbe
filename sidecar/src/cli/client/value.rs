//! Values from the command line, from stdin and from loaders.

use super::exit::Failure;
use clap::Args;
use std::io::Read;
use unstale::{Content, Value};

/// More than any sidecar stores; what follows is not read.
const STDIN_BYTES: u64 = 4 << 20;

/// What the origin has, as it is given on the command line.
#[derive(Debug, Args)]
pub(super) struct Given {
    /// The value; "-" reads it from stdin
    #[arg(
        allow_negative_numbers = true,
        required_unless_present = "not_found",
        conflicts_with = "not_found"
    )]
    value: Option<String>,
    /// In place of a value: the origin has nothing under the key
    #[arg(long, conflicts_with = "content_type")]
    not_found: bool,
}

impl Given {
    /// The value; that of `-` is everything on stdin.
    pub(super) fn read(self) -> Result<Content, Failure> {
        Ok(match self.value.as_deref() {
            Some("-") => all_of(std::io::stdin().lock())?.into(),
            _ => self.value.into(),
        })
    }
}

fn all_of(input: impl Read) -> Result<Value, Failure> {
    let mut bytes = Vec::new();
    let mut input = input.take(STDIN_BYTES + 1);
    input.read_to_end(&mut bytes).map_err(Failure::Input)?;
    if bytes.len() as u64 > STDIN_BYTES {
        let what = format!("stdin has more than {STDIN_BYTES} bytes: too long for a value");
        return Err(Failure::Usage(what));
    }
    Ok(text_or_data(bytes))
}

/// Text stays readable for every tool; anything else is bytes.
pub(super) fn text_or_data(bytes: Vec<u8>) -> Value {
    match String::from_utf8(bytes) {
        Ok(text) => Value::Text(text),
        Err(not_text) => not_text.into_bytes().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stdin_is_text_when_it_is_text_and_bounded() {
        assert_eq!(all_of(&b"a\n"[..]).unwrap(), Value::Text("a\n".into()));
        let bytes = [0xff, 0];
        assert_eq!(all_of(&bytes[..]).unwrap(), Value::from(&bytes[..]));
        let endless = all_of(std::io::repeat(b'x'));
        assert!(matches!(endless, Err(Failure::Usage(_))));
    }
}
