//! The trace id of a W3C traceparent: `00-<trace id>-<parent id>-<flags>`.
//!
//! Takes what <https://www.w3.org/TR/trace-context/> demands of a reader: lower
//! case, ids that are not all zeros, and of later versions the first four fields.

use super::violations::Violations;
use tonic::metadata::MetadataMap;

/// The name of the metadata.
const NAME: &str = "traceparent";

/// The trace that a call belongs to. What cannot be read is none, as the
/// standard says: nobody's call fails for its tracing.
pub(super) fn of_call(metadata: &MetadataMap) -> Option<u128> {
    trace_id(metadata.get(NAME)?.to_str().ok()?)
}

impl Violations {
    /// The trace that a request names; empty: none. What is said in the request
    /// itself is judged like the rest of it.
    pub(super) fn traceparent(&mut self, text: &str) -> Option<u128> {
        let read = trace_id(text);
        if read.is_none() && !text.is_empty() {
            self.add(NAME, "is not a W3C traceparent");
        }
        read
    }
}

fn trace_id(text: &str) -> Option<u128> {
    let mut fields = text.split('-');
    let [version, trace, parent, flags] = [(); 4].map(|()| fields.next());
    let is_first = hex(version?, 2)? == 0;
    let known = hex(version?, 2)? != 0xff && (fields.next().is_none() || !is_first);
    let (trace, parent) = (hex(trace?, 32)?, hex(parent?, 16)?);
    hex(flags?, 2)?;
    (known && trace != 0 && parent != 0).then_some(trace)
}

/// So many lower-case hex digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let good = text.len() == digits && text.bytes().all(plain);
    good.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn the_trace_id_of_the_standards_example_is_read_and_of_a_later_version() {
        let id = u128::from_str_radix(TRACE, 16).ok();
        for text in [
            format!("00-{TRACE}-00f067aa0ba902b7-01"),
            format!("cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-will-be-like"),
        ] {
            assert_eq!(trace_id(&text), id, "{text}");
        }
    }

    #[test]
    fn what_is_no_traceparent_names_no_trace() {
        let zeros = "0".repeat(32);
        for text in [
            String::new(),
            "-".into(),
            TRACE.into(),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{zeros}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{TRACE}0-00f067aa0ba902b7-01"),
            format!("00-+{}-00f067aa0ba902b7-01", &TRACE[1..]),
        ] {
            assert_eq!(trace_id(&text), None, "{text}");
        }
    }

    #[test]
    fn a_request_that_names_no_trace_in_its_own_words_is_refused() {
        for (text, good) in [("", true), ("x", false)] {
            let mut wrong = Violations::default();
            wrong.traceparent(text);
            assert_eq!(wrong.finish(Some(())).is_ok(), good, "{text}");
        }
    }
}
