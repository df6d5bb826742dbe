//! Values from the command line, from stdin and from loaders.

use super::exit::Failure;
use std::io::Read;
use unstale::Value;

/// More than any sidecar stores; what follows is not read.
const STDIN_BYTES: u64 = 4 << 20;

/// The value of an argument; `-` is everything on stdin.
pub(super) fn read(argument: String) -> Result<Value, Failure> {
    match argument.as_str() {
        "-" => all_of(std::io::stdin().lock()),
        _ => Ok(Value::Text(argument)),
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
