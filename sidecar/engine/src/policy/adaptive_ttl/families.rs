//! Families of keys: which keys are taken to change, and to be read, alike.
//!
//! A family is a template: text in which `*` stands for what is in one segment
//! of a key, and at the end for all that follows. Configured ones come in their
//! order, the first that matches wins; the keys of none are sorted by the
//! template that their own ids are cut out of. Matching takes time in proportion
//! to both lengths, whatever the template.

use crate::key::{BadName, Delimiters};
use crate::limits;
use std::sync::Arc;

/// Hexadecimal digits from which a segment is an id, and not a word.
const HEX_DIGITS: usize = 8;

/// A checked template.
#[derive(Clone, PartialEq, Eq)]
pub struct Template(Arc<str>);

impl Template {
    /// Checks a template: 1 to 512 bytes without control characters, and no two
    /// `*` side by side.
    pub fn new(text: &str) -> Result<Self, BadName> {
        let max = limits::KEY_BYTES;
        let why = match text {
            "" => format!("must not be empty (1 to {max} bytes)"),
            _ if text.len() > max => format!("is {} bytes long; at most {max} are", text.len()),
            _ if text.chars().any(char::is_control) => "holds a control character".into(),
            _ if text.contains("**") => "holds two * side by side".into(),
            _ => return Ok(Self(text.into())),
        };
        Err(BadName(why))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    pub(super) fn text(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Whether a key of this name is of the family.
    pub fn matches(&self, name: &str, delimiters: &Delimiters) -> bool {
        matches(self.0.as_bytes(), name.as_bytes(), delimiters)
    }
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Goes back to the last `*` only: what one takes ends at a delimiter, so none
/// before it could have taken anything else.
fn matches(template: &[u8], name: &[u8], delimiters: &Delimiters) -> bool {
    let (mut t, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match (template.get(t), star) {
            (Some(b'*'), _) if t + 1 == template.len() => return true,
            (Some(b'*'), _) => {
                t += 1;
                star = Some((t, n));
            }
            (Some(byte), _) if *byte == name[n] => (t, n) = (t + 1, n + 1),
            (_, Some((after, taken))) if !delimiters.has(name[taken]) => {
                star = Some((after, taken + 1));
                (t, n) = (after, taken + 1);
            }
            _ => return false,
        }
    }
    template[t..].iter().all(|byte| *byte == b'*')
}

/// The name with `*` in the place of every segment that looks like an id.
pub(super) fn learned(name: &str, delimiters: &Delimiters) -> String {
    let mut template = String::with_capacity(name.len());
    let mut from = 0;
    let ends = name.bytes().enumerate().filter(|(_, b)| delimiters.has(*b));
    for end in ends.map(|(at, _)| at).chain([name.len()]) {
        template.push_str(match &name[from..end] {
            segment if is_id(segment.as_bytes()) => "*",
            segment => segment,
        });
        // The delimiter, which is one byte.
        template.push_str(name.get(end..end + 1).unwrap_or_default());
        from = end + 1;
    }
    template
}

/// Digits, with dashes in between (a date, say), or hexadecimal digits so many
/// that they are no word (a hash, a UUID).
fn is_id(segment: &[u8]) -> bool {
    let parts = || segment.iter().filter(|byte| !matches!(byte, b'-' | b'_'));
    let count = parts().count();
    count > 0
        && (parts().all(u8::is_ascii_digit)
            || count >= HEX_DIGITS && parts().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_of(template: &str, name: &str) -> bool {
        let template = Template::new(template).expect("a good template");
        template.matches(name, &Delimiters::default())
    }

    #[test]
    fn a_star_stands_for_one_segment_and_at_the_end_for_the_rest() {
        assert!(is_of("user:*", "user:42") && is_of("user:*", "user:42:profile"));
        assert!(is_of("user:*:profile", "user:42:profile"));
        assert!(!is_of("user:*:profile", "user:42:cart"));
        assert!(!is_of("user:*:profile", "user:4:2:profile"));
        assert!(!is_of("user:*", "order:42") && !is_of("user:*", "user"));
        assert!(is_of("s-*-a:x", "s-1-b-a:x") && !is_of("s-*-a:x", "s-1:a:x"));
        assert!(is_of("user:42", "user:42") && !is_of("user:42", "user:421"));
    }

    #[test]
    fn one_that_matches_everything_is_a_template_like_others() {
        for name in ["a", "user:42:profile", "::", "*"] {
            assert!(is_of("*", name), "{name}");
        }
    }

    #[test]
    fn what_no_key_could_be_is_refused() {
        for bad in ["", "a:**", "a\n*", &"a".repeat(513)] {
            assert!(Template::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ids_are_cut_out_and_words_stay() {
        for (name, template) in [
            ("user:42:profile", "user:*:profile"),
            ("day/2024-02-29.json", "day/*.json"),
            ("s:0f8fad5b-d9cb-469f-a165-70867728950e", "s:*"),
            ("blob:DEADBEEF00", "blob:*"),
            ("face:cafe", "face:cafe"),
            ("a::-:b", "a::-:b"),
            ("naïve:7", "naïve:*"),
            ("42", "*"),
        ] {
            assert_eq!(learned(name, &Delimiters::default()), template);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn a_name_is_of_the_family_that_is_learned_from_it(name in "[a-f0-9:/.*ü-]{1,24}") {
            let template = learned(&name, &Delimiters::default());
            prop_assert!(matches(template.as_bytes(), name.as_bytes(), &Delimiters::default()));
        }

        /// The same, said slowly.
        #[test]
        fn matching_is_what_it_says(template in "[ab:*]{1,8}", name in "[ab:]{0,8}") {
            fn slow(template: &[u8], name: &[u8]) -> bool {
                match (template, name) {
                    ([b'*'], _) => true,
                    ([b'*', rest @ ..], _) if slow(rest, name) => true,
                    ([b'*', ..], [first, more @ ..]) => *first != b':' && slow(template, more),
                    ([a, rest @ ..], [b, more @ ..]) => a == b && slow(rest, more),
                    (rest, []) => rest.iter().all(|byte| *byte == b'*'),
                    ([], _) => false,
                }
            }
            let (template, name) = (template.replace("**", "*"), name.as_bytes());
            let template = template.replace("**", "*");
            let fast = matches(template.as_bytes(), name, &Delimiters::default());
            prop_assert_eq!(fast, slow(template.as_bytes(), name));
        }
    }
}
