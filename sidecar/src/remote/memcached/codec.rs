//! The meta protocol's words: requests as bytes, bytes as answers.
//!
//! Every request carries an opaque number that the server repeats in what it
//! answers, except in errors. Decoding is incremental and gives the same
//! however the bytes were cut; what no memcached says is an error, and never
//! takes more memory than [`DATA_MAX`].

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The longest line.
const LINE_MAX: usize = 2048;
/// The most bytes of one value: more than a record may have.
const DATA_MAX: usize = 8 << 20;

/// What a put expects.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    Absent,
    Cas(u64),
}

/// Reads values and their cas, one request each, numbered from `opaque` on.
pub(super) fn get(keys: impl Iterator<Item = String>, opaque: u64) -> Bytes {
    let get = |(key, opaque)| format!("mg {key} v c O{opaque}\r\n");
    keys.zip(opaque..).map(get).collect::<String>().into()
}

/// Asks for nothing, and is answered.
pub(super) fn ping(opaque: u64) -> Bytes {
    format!("mg unstale:ping O{opaque}\r\n").into()
}

/// Stores a value, if what is there is as expected, and asks for its cas.
pub(super) fn put(key: &str, data: &[u8], seconds: u32, expected: Expected, opaque: u64) -> Bytes {
    let condition = match expected {
        Expected::Absent => "ME".to_owned(),
        Expected::Cas(cas) => format!("C{cas}"),
    };
    let line = format!(
        "ms {key} {} c T{seconds} {condition} O{opaque}\r\n",
        data.len()
    );
    let mut request = BytesMut::with_capacity(line.len() + data.len() + 2);
    request.put_slice(line.as_bytes());
    request.put_slice(data);
    request.put_slice(b"\r\n");
    request.freeze()
}

/// Removes exactly this state.
pub(super) fn delete(key: &str, cas: u64, opaque: u64) -> Bytes {
    format!("md {key} C{cas} O{opaque}\r\n").into()
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A value.
    Value { data: Bytes, flags: Flags },
    /// What became of the request.
    Status { code: Code, flags: Flags },
    /// `ERROR`, `CLIENT_ERROR …`, `SERVER_ERROR …`.
    Error(String),
    /// A line that answers no meta command: `VERSION 1.6`, `STAT pid 7`, `END`.
    Line(String),
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// Done.
    Done,
    /// Nothing is there to be read.
    Miss,
    /// Not stored: something is there.
    NotStored,
    /// Another state is there.
    Exists,
    /// Nothing is there to be changed.
    NotFound,
}

/// What the server adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) cas: Option<u64>,
    pub(super) opaque: Option<u64>,
}

/// Bytes that no memcached says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbage;

/// Takes one answer off the bytes that came; none: more have to come.
pub(super) fn decode(bytes: &mut BytesMut) -> Result<Option<Answer>, Garbage> {
    let looked_at = bytes.len().min(LINE_MAX);
    let end = bytes[..looked_at].windows(2).position(|two| two == b"\r\n");
    let Some(end) = end else {
        return if looked_at == LINE_MAX {
            Err(Garbage)
        } else {
            Ok(None)
        };
    };
    let line = std::str::from_utf8(&bytes[..end]).map_err(|_| Garbage)?;
    let mut words = line.split_ascii_whitespace();
    let answer = match words.next().ok_or(Garbage)? {
        "VA" => {
            let size = words.next().and_then(|word| word.parse().ok());
            let size: usize = size.filter(|size| *size <= DATA_MAX).ok_or(Garbage)?;
            let flags = flags(words)?;
            return value(bytes, end + 2, size, flags);
        }
        word => match code(word) {
            Some(code) => {
                let flags = flags(words)?;
                Answer::Status { code, flags }
            }
            None if ["ERROR", "CLIENT_ERROR", "SERVER_ERROR"].contains(&word) => {
                Answer::Error(line.to_owned())
            }
            None => Answer::Line(line.to_owned()),
        },
    };
    bytes.advance(end + 2);
    Ok(Some(answer))
}

fn value(
    bytes: &mut BytesMut,
    head: usize,
    size: usize,
    flags: Flags,
) -> Result<Option<Answer>, Garbage> {
    let whole = head + size + 2;
    if bytes.len() < whole {
        bytes.reserve(whole - bytes.len());
        return Ok(None);
    }
    if &bytes[head + size..whole] != b"\r\n" {
        return Err(Garbage);
    }
    bytes.advance(head);
    let data = bytes.split_to(size).freeze();
    bytes.advance(2);
    Ok(Some(Answer::Value { data, flags }))
}

fn code(word: &str) -> Option<Code> {
    Some(match word {
        "HD" => Code::Done,
        "EN" => Code::Miss,
        "NS" => Code::NotStored,
        "EX" => Code::Exists,
        "NF" => Code::NotFound,
        _ => return None,
    })
}

fn flags<'a>(words: impl Iterator<Item = &'a str>) -> Result<Flags, Garbage> {
    let mut flags = Flags::default();
    for word in words {
        let field = match word.as_bytes()[0] {
            b'c' => &mut flags.cas,
            b'O' => &mut flags.opaque,
            _ => continue,
        };
        let number = word.get(1..).and_then(|number| number.parse().ok());
        *field = Some(number.ok_or(Garbage)?);
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const CASES: u32 = 20_000;

    /// As the server writes it.
    fn encode(answer: &Answer) -> Vec<u8> {
        let words = |flags: &Flags| {
            let cas = flags.cas.map(|cas| format!(" c{cas}"));
            let opaque = flags.opaque.map(|opaque| format!(" O{opaque}"));
            cas.unwrap_or_default() + &opaque.unwrap_or_default()
        };
        match answer {
            Answer::Value { data, flags } => {
                let line = format!("VA {}{}\r\n", data.len(), words(flags));
                [line.as_bytes(), data, b"\r\n"].concat()
            }
            Answer::Status { code, flags } => {
                let code = match code {
                    Code::Done => "HD",
                    Code::Miss => "EN",
                    Code::NotStored => "NS",
                    Code::Exists => "EX",
                    Code::NotFound => "NF",
                };
                format!("{code}{}\r\n", words(flags)).into_bytes()
            }
            Answer::Error(line) | Answer::Line(line) => format!("{line}\r\n").into_bytes(),
        }
    }

    fn answers() -> impl Strategy<Value = Answer> {
        let flags = (any::<Option<u64>>(), any::<Option<u64>>());
        let flags = flags.prop_map(|(cas, opaque)| Flags { cas, opaque });
        let code = prop_oneof![
            Just(Code::Done),
            Just(Code::Miss),
            Just(Code::NotStored),
            Just(Code::Exists),
            Just(Code::NotFound)
        ];
        prop_oneof![
            (vec(any::<u8>(), 0..300), flags.clone()).prop_map(|(data, flags)| Answer::Value {
                data: data.into(),
                flags
            }),
            (code, flags).prop_map(|(code, flags)| Answer::Status { code, flags }),
            "(CLIENT|SERVER)_ERROR [a-z ]{0,20}".prop_map(Answer::Error),
            "(VERSION|STAT) [a-z0-9. ]{0,20}".prop_map(Answer::Line),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(CASES))]

        #[test]
        fn bytes_mean_the_same_however_they_are_cut(
            said in vec(answers(), 1..8),
            cuts in vec(1usize..40, 1..20),
        ) {
            let wire = said.iter().flat_map(encode).collect::<Vec<_>>();
            let (mut heard, mut bytes, mut rest) = (Vec::new(), BytesMut::new(), &wire[..]);
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                bytes.put_slice(now);
                rest = later;
                while let Some(answer) = decode(&mut bytes).unwrap() {
                    heard.push(answer);
                }
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(heard, said);
            prop_assert!(bytes.is_empty());
        }

        #[test]
        fn garbage_ends_in_an_error_or_waits_for_more(bytes in vec(any::<u8>(), 0..400)) {
            let mut bytes = BytesMut::from(&bytes[..]);
            let mut left = bytes.len();
            while let Ok(Some(_)) = decode(&mut bytes) {
                prop_assert!(bytes.len() < left, "nothing was taken");
                left = bytes.len();
            }
        }

        #[test]
        fn an_answer_with_changed_bytes_makes_nobody_panic(
            said in vec(answers(), 1..4),
            changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut wire = said.iter().flat_map(encode).collect::<Vec<_>>();
            for (at, byte) in changes {
                let at = at.index(wire.len());
                wire[at] = byte;
            }
            let mut bytes = BytesMut::from(&wire[..]);
            while let Ok(Some(_)) = decode(&mut bytes) {}
        }
    }

    #[test]
    fn no_answer_takes_memory_without_bound() {
        let mut line = BytesMut::from(&[b'x'; LINE_MAX][..]);
        assert_eq!(decode(&mut line), Err(Garbage));
        let mut value = BytesMut::from(&b"VA 99999999999 c1\r\n"[..]);
        assert_eq!(decode(&mut value), Err(Garbage));
    }

    #[test]
    fn a_request_says_what_is_expected_of_the_server() {
        let put = put("k", b"a\r\nb", 7, Expected::Cas(5), 9);
        assert_eq!(&put[..], b"ms k 4 c T7 C5 O9\r\na\r\nb\r\n");
        let keys = ["k", "l"].map(str::to_owned).into_iter();
        let both = b"mg k v c O7\r\nmg l v c O8\r\n";
        assert_eq!(&get(keys, 7)[..], both);
        assert_eq!(&delete("k", 5, 2)[..], b"md k C5 O2\r\n");
    }
}
