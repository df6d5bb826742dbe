//! Processor time, memory and written bytes of a process, as the kernel counts
//! them.

use crate::Result;
use std::fs;

/// What a process has used since it began.
#[derive(Clone, Copy)]
pub(crate) struct Used {
    /// Nanoseconds of processor time of the threads that live.
    pub(crate) nanos: f64,
    /// Bytes it gave to write calls: to files, and by NATS to its connections.
    pub(crate) written: f64,
}

impl Used {
    /// Of this process, so far.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let mut nanos = 0.0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // One that ended meanwhile has no more to say.
            let stat = fs::read_to_string(task?.path().join("schedstat"));
            let stat = stat.unwrap_or_default();
            let first = stat.split_whitespace().next();
            nanos += first.and_then(|text| text.parse().ok()).unwrap_or(0.0);
        }
        let io = fs::read_to_string(format!("/proc/{pid}/io"))?;
        let written = io.lines().find_map(|line| line.strip_prefix("wchar: "));
        let written = written.ok_or("no wchar")?.trim().parse()?;
        Ok(Self { nanos, written })
    }

    /// Since then.
    pub(crate) fn since(self, then: Self) -> Self {
        Self {
            nanos: self.nanos - then.nanos,
            written: self.written - then.written,
        }
    }
}

/// Numbers of what is counted here are far below 2^52.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn float(number: usize) -> f64 {
    number as f64
}
