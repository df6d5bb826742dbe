//! What was learned of a namespace as the remote tier keeps it, so that a pod that
//! starts need not begin anew.
//!
//! A mark with the version, a checksum, and CBOR with numbered fields. It is under
//! a name that no key has, and of a bounded size. One that fails any check is not
//! believed, and costs nothing but the learning.

use super::estimate::{BINS, Bin, Estimate};
use super::{Learned, MOST_FAMILIES, faded};
use crate::clock::LogTime;
use crate::limits;
use bytes::{BufMut, Bytes, BytesMut};
use minicbor::{Decode, Encode};
use std::sync::Arc;

/// First bytes: what it is, and its version.
const MARK: [u8; 4] = *b"UNA1";
/// Families, those that were configured once included.
const MOST: usize = MOST_FAMILIES * 2;

/// A record is not one of this version, or is damaged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

#[derive(Encode, Decode)]
struct Record<'a> {
    #[b(0)]
    namespace: &'a str,
    /// When it was made, in log time: what it holds counts less since.
    #[n(1)]
    at: u64,
    #[b(2)]
    families: Vec<Saved<'a>>,
}

#[derive(Encode, Decode)]
struct Saved<'a> {
    #[b(0)]
    template: &'a str,
    #[n(1)]
    observations: f64,
    #[n(2)]
    quiet: f64,
    #[n(3)]
    told: f64,
    #[n(4)]
    reads: f64,
    #[n(5)]
    seconds: f64,
    #[n(6)]
    changed: Vec<SavedBin>,
}

#[derive(Encode, Decode)]
struct SavedBin {
    #[n(0)]
    bin: u8,
    #[n(1)]
    count: f64,
    #[n(2)]
    seconds: f64,
}

impl Learned {
    /// What is to be kept of it.
    pub(crate) fn record(&self, namespace: &str, at: LogTime) -> Bytes {
        let seen = self
            .families
            .iter()
            .filter(|(_, m)| m.estimate.observations > 0.0);
        let families = seen.map(|(template, member)| saved(template, &member.estimate));
        let record = Record {
            namespace,
            at: at.0,
            families: families.take(MOST).collect(),
        };
        let packed = minicbor::to_vec(&record).expect("encoding into memory does not fail");
        let mut bytes = BytesMut::with_capacity(packed.len() + 12);
        bytes.put_slice(&MARK);
        bytes.put_u64(xxhash_rust::xxh3::xxh3_64(&packed));
        bytes.put_slice(&packed);
        bytes.freeze()
    }

    /// Adds what was learned before, by itself or by another pod.
    pub(crate) fn adopt(
        &mut self,
        namespace: &str,
        now: LogTime,
        bytes: &[u8],
    ) -> Result<(), Unreadable> {
        let record = read(bytes).filter(|record| record.namespace == namespace);
        let record = record.ok_or(Unreadable)?;
        let factor = faded(now.since(LogTime(record.at)), self.half_life());
        let all: Option<Vec<_>> = record.families.iter().map(estimate).collect();
        for (template, mut estimate) in all.ok_or(Unreadable)? {
            let has_room = self.families.len() < MOST_FAMILIES;
            if has_room || self.families.contains_key(&template) {
                estimate.fade(factor);
                self.families
                    .entry(template)
                    .or_default()
                    .estimate
                    .add(&estimate);
            }
        }
        self.planned = None;
        Ok(())
    }
}

fn read(bytes: &[u8]) -> Option<Record<'_>> {
    let packed = bytes.strip_prefix(&MARK)?;
    let (sum, packed) = packed.split_first_chunk()?;
    let is_whole = u64::from_be_bytes(*sum) == xxhash_rust::xxh3::xxh3_64(packed);
    let record: Record<'_> = is_whole.then(|| minicbor::decode(packed).ok())??;
    (record.families.len() <= MOST).then_some(record)
}

fn saved<'a>(template: &'a str, estimate: &Estimate) -> Saved<'a> {
    let bins = estimate
        .changed
        .iter()
        .zip(0_u8..)
        .filter(|(bin, _)| bin.count > 0.0);
    Saved {
        template,
        observations: estimate.observations,
        quiet: estimate.quiet,
        told: estimate.told,
        reads: estimate.reads,
        seconds: estimate.seconds,
        changed: bins
            .map(|(b, bin)| SavedBin {
                bin,
                count: b.count,
                seconds: b.seconds,
            })
            .collect(),
    }
}

/// None: nobody who learned wrote this.
fn estimate(saved: &Saved<'_>) -> Option<(Arc<str>, Estimate)> {
    let mut estimate = Estimate {
        observations: good(saved.observations)?,
        quiet: good(saved.quiet)?,
        told: good(saved.told)?,
        reads: good(saved.reads)?,
        seconds: good(saved.seconds)?,
        ..Estimate::default()
    };
    for SavedBin {
        bin,
        count,
        seconds,
    } in &saved.changed
    {
        let place = usize::from(*bin);
        let place = (place < BINS).then(|| &mut estimate.changed[place])?;
        *place = Bin {
            count: good(*count)?,
            seconds: good(*seconds)?,
        };
    }
    // No check but this: what is cut out of keys need not be a good template.
    let is_family = saved.template.len() <= limits::KEY_BYTES;
    is_family.then(|| (saved.template.into(), estimate))
}

fn good(number: f64) -> Option<f64> {
    (0.0..1e18).contains(&number).then_some(number)
}
