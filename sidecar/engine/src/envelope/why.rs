//! In an envelope's header: why the entry lives as long as it does. Older records
//! do not say.

use crate::policy::ttl::{Giver, Why};
use minicbor::{Decode, Encode};

/// Why the entry lives as long as it does: nothing is judged by it.
#[derive(Debug, PartialEq, Encode, Decode)]
pub(super) struct WhyHeader {
    #[n(0)]
    pub(super) given_us: u64,
    #[n(1)]
    pub(super) jitter_us: u64,
    #[n(2)]
    pub(super) ttl_by: u8,
    #[n(3)]
    pub(super) stale_for_by: u8,
}

impl From<Why> for WhyHeader {
    fn from(why: Why) -> Self {
        Self {
            given_us: why.given_us,
            jitter_us: why.jitter_us,
            ttl_by: number(why.ttl_by),
            stale_for_by: number(why.stale_for_by),
        }
    }
}

impl From<&WhyHeader> for Why {
    fn from(header: &WhyHeader) -> Self {
        Self {
            given_us: header.given_us,
            jitter_us: header.jitter_us,
            ttl_by: giver(header.ttl_by),
            stale_for_by: giver(header.stale_for_by),
        }
    }
}

fn number(giver: Giver) -> u8 {
    match giver {
        Giver::Unknown => 0,
        Giver::Writer => 1,
        Giver::Namespace => 2,
        Giver::NegativeTtl => 3,
        Giver::FailSafe => 4,
        Giver::Adaptive => 5,
    }
}

/// One that only later versions know is not known.
fn giver(number: u8) -> Giver {
    match number {
        1 => Giver::Writer,
        2 => Giver::Namespace,
        3 => Giver::NegativeTtl,
        4 => Giver::FailSafe,
        5 => Giver::Adaptive,
        _ => Giver::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_giver_survives_its_number_and_a_later_ones_is_not_known() {
        for n in 0..=5 {
            assert_eq!(number(giver(n)), n);
        }
        assert_eq!(giver(6), Giver::Unknown);
    }
}
