//! A few protobuf fields whose length is wanted before they are written.
//!
//! Panics if they do not fit: who makes one knows the longest there are.

use std::time::Duration;

/// A field's kind: a number follows, or so many bytes.
const NUMBER: u8 = 0;
const BYTES: u8 = 2;
/// The longest that begins a field: its key, and the length of any message.
pub(in crate::grpc) const BEGIN: usize = 1 + 10;

/// The fields so far, of at most so many bytes.
pub(in crate::grpc) struct Short<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Short<N> {
    pub(in crate::grpc) fn new() -> Self {
        Self {
            bytes: [0; N],
            length: 0,
        }
    }

    fn byte(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    fn varint(&mut self, number: u64) {
        let (mut rest, mut at) = (number, self.length);
        while rest > 0x7f {
            self.bytes[at] = rest as u8 | 0x80;
            rest >>= 7;
            at += 1;
        }
        self.bytes[at] = rest as u8;
        self.length = at + 1;
    }

    /// A number, a zero too. No field's own number is above fifteen.
    pub(in crate::grpc) fn number(&mut self, field: u8, number: u64) {
        self.byte(field << 3 | NUMBER);
        self.varint(number);
    }

    /// The number of an enum's value; zero is not written.
    pub(super) fn choice(&mut self, field: u8, choice: i32) {
        if let Ok(number @ 1..) = u64::try_from(choice) {
            self.number(field, number);
        }
    }

    /// What begins a field of so many bytes.
    pub(in crate::grpc) fn begin(&mut self, field: u8, length: usize) {
        self.byte(field << 3 | BYTES);
        self.varint(length as u64);
    }

    pub(super) fn text(&mut self, field: u8, text: &[u8]) {
        self.begin(field, text.len());
        self.bytes[self.length..self.length + text.len()].copy_from_slice(text);
        self.length += text.len();
    }

    /// A `google.protobuf.Duration`, of no time too.
    pub(super) fn duration(&mut self, field: u8, duration: Duration) {
        self.begin(field, 0);
        let begin = self.length;
        if duration.as_secs() > 0 {
            self.number(1, duration.as_secs().min(i64::MAX.cast_unsigned()));
        }
        if duration.subsec_nanos() > 0 {
            self.number(2, duration.subsec_nanos().into());
        }
        // At most 17 bytes: the length stays one byte.
        self.bytes[begin - 1] = (self.length - begin) as u8;
    }

    pub(in crate::grpc) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Length of a field of so many bytes.
pub(in crate::grpc) fn field_length(bytes: usize) -> usize {
    let bits = usize::BITS - (bytes | 1).leading_zeros();
    1 + bits.div_ceil(7) as usize + bytes
}
