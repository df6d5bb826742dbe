//! What processes have used, as the kernel counts it.

use crate::Result;
use std::time::Duration;

/// Of some processes together.
#[derive(Clone, Copy, Default)]
pub(crate) struct Usage {
    /// User and system time since they began; exact to some 10 ms.
    pub(crate) cpu: Duration,
    /// Resident memory.
    pub(crate) rss_kib: u64,
}

impl Usage {
    /// Now.
    pub(crate) fn of(processes: &[u32]) -> Result<Self> {
        let mut all = Self::default();
        for process in processes {
            all.cpu += cpu(*process)?;
            all.rss_kib += rss_kib(*process)?;
        }
        Ok(all)
    }
}

/// utime and stime: the 14th and 15th field, the second of which is a name that
/// may hold anything.
fn cpu(process: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(|field| field.parse().unwrap_or(0)).sum();
    let a_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_micros(ticks * 1_000_000 / a_second))
}

fn rss_kib(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmRSS")?.parse()?)
}
