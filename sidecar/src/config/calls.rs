//! How the remote tier is called, and what becomes of records on their way to
//! it. The memory tier is this process: none of it means anything there.

use super::settings::Reader;
use super::{RemoteTier, units};
use crate::keyring::Keyring;
use std::path::PathBuf;
use std::time::Duration;
use unstale_engine::limits;

/// How the remote tier is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteCalls {
    /// How long one call may take.
    pub timeout: Duration,
    /// How many are under way at once.
    pub concurrency: usize,
    /// When a read is asked a second time; none: never.
    pub hedge: Option<Duration>,
}

/// What becomes of records.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// From how many bytes on they are compressed; none: they are not.
    pub compress_from: Option<usize>,
    /// The file with what they are encrypted with; read again when it changes.
    pub key_file: Option<PathBuf>,
    /// What was in it at the start; none: they are in the clear.
    pub keys: Option<Keyring>,
}

const NAMES: [&str; 5] = [
    "remote_timeout",
    "remote_concurrency",
    "remote_hedge",
    "compress_from",
    "encryption_key_file",
];
/// The shortest and the longest time of one call, in milliseconds: after 2 s
/// without an answer connections are given up.
const TIMEOUT: (u64, u64) = (10, 2_000);
const MOST_CALLS: usize = 65_536;
/// A smaller record does not get smaller.
const LEAST_COMPRESSED: u64 = 64;
const MAKE_ONE: &str = "make one with: echo \"1 $(head -c 32 /dev/urandom | base64)\" > FILE";

impl Reader {
    /// How `tier` is called, and what becomes of its records.
    pub(super) fn calls(&mut self, tier: &RemoteTier) -> (RemoteCalls, Records) {
        self.unused_calls(tier);
        let timeout = self.time("remote_timeout", 500, TIMEOUT);
        let allowed = format!("a number from 1 to {MOST_CALLS}");
        let concurrency = self.read("remote_concurrency", 1024, &allowed, |text| {
            let calls = text.parse().ok();
            calls.filter(|calls| (1..=MOST_CALLS).contains(calls))
        });
        let calls = RemoteCalls {
            timeout,
            concurrency,
            hedge: self.hedge(timeout),
        };
        let compress_from = self.compress_from();
        let (key_file, keys) = self.encryption().unzip();
        let records = Records {
            compress_from,
            key_file,
            keys,
        };
        (calls, records)
    }

    fn hedge(&mut self, timeout: Duration) -> Option<Duration> {
        let below = units::show_duration(timeout);
        let allowed = format!("off, or a duration from 1ms to below remote_timeout ({below})");
        let possible = Duration::from_millis(1)..timeout;
        self.read("remote_hedge", None, &allowed, |text| match text {
            "off" => Some(None),
            text => units::duration(text)
                .filter(|after| possible.contains(after))
                .map(Some),
        })
    }

    fn compress_from(&mut self) -> Option<usize> {
        let most = limits::RECORD_BYTES as u64;
        let bounds = (units::show_size(LEAST_COMPRESSED), units::show_size(most));
        let allowed = format!("off, or a size from {} to {}", bounds.0, bounds.1);
        self.read("compress_from", None, &allowed, |text| match text {
            "off" => Some(None),
            text => units::size(text)
                .filter(|bytes| (LEAST_COMPRESSED..=most).contains(bytes))
                .and_then(|bytes| usize::try_from(bytes).ok())
                .map(Some),
        })
    }

    fn encryption(&mut self) -> Option<(PathBuf, Keyring)> {
        let file = PathBuf::from(self.given.get("encryption_key_file")?.text());
        if let Some(known) = self.known.take_if(|(known, _)| *known == file) {
            return Some(known);
        }
        let read = std::fs::read_to_string(&file).map_err(|e| e.to_string());
        match read.and_then(|text| Keyring::parse(&text)) {
            Ok(keys) => Some((file, keys)),
            Err(why) => {
                self.mistake("encryption_key_file", &format!("{why}; {MAKE_ONE}"));
                None
            }
        }
    }

    /// Settings that mean nothing to this tier would be ignored, and nobody
    /// would know.
    fn unused_calls(&mut self, tier: &RemoteTier) {
        if *tier != RemoteTier::Memory || self.partial {
            return;
        }
        for name in NAMES {
            if self.has(name) {
                let needs = "the memory tier is this process: --nats URL, or --remote redis://… or memcached://… is required with it";
                self.mistake(name, needs);
            }
        }
    }
}

/// The settings as name and text, in the order of the manual.
pub(super) fn shown(calls: &RemoteCalls, records: &Records) -> Vec<(&'static str, String)> {
    let off = || "off".to_owned();
    let bytes = |bytes| units::show_size(bytes as u64);
    let mut shown = vec![
        ("remote_timeout", units::show_duration(calls.timeout)),
        ("remote_concurrency", calls.concurrency.to_string()),
        (
            "remote_hedge",
            calls.hedge.map_or_else(off, units::show_duration),
        ),
        (
            "compress_from",
            records.compress_from.map_or_else(off, bytes),
        ),
    ];
    let file = records.key_file.as_ref();
    shown.extend(file.map(|file| ("encryption_key_file", file.display().to_string())));
    shown
}
