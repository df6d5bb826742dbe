//! A sidecar that is measured: what it takes in memory, and of the processor
//! for each key that is written to it or read from it.

use super::cpu::{Used, float};
use super::load::{self, Load};
use crate::Result;
use crate::processes::{self, Running};
use tonic::transport::Channel;
use unstale_proto::v1::InvalidateRequest;

/// Reads of a load that are counted as one.
const READS: usize = 3;

/// The sidecar, and a connection to it.
pub(crate) struct Subject {
    process: Running,
    pub(crate) channel: Channel,
}

impl Subject {
    /// One with a small memory tier, and these flags.
    pub(crate) async fn start(sidecar: &str, l1: &str) -> Result<Self> {
        let flags = ["--l1-bytes", l1, "--memory-bytes", "1MiB"];
        let process = processes::sidecar(sidecar, &flags)?;
        let channel = process.connected_uds().await?;
        Ok(Self { process, channel })
    }

    /// Where it listens on a Unix socket.
    pub(crate) fn endpoint(&self) -> String {
        self.process.uds()
    }

    /// Resident bytes.
    pub(crate) fn resident(&self) -> Result<f64> {
        Ok(float(usize::try_from(self.process.resident_kib()?)? * 1024))
    }

    /// Processor time so far.
    pub(crate) fn used(&self) -> Result<Used> {
        Used::of(self.process.pid())
    }

    /// Microseconds of processor time to write each entry of the load.
    pub(crate) async fn write(&self, load: Load) -> Result<f64> {
        let before = self.used()?;
        load::write(&self.channel, load).await?;
        Ok(self.used()?.since(before).nanos / float(load.count()) / 1e3)
    }

    /// Microseconds of processor time to read each entry in batches, nearly all
    /// from L1: a few were lost to what was written after them.
    pub(crate) async fn read(&self, load: Load) -> Result<f64> {
        let before = self.used()?;
        for _ in 0..READS {
            let found = load::read(&self.channel, load).await?;
            if found < load.count() / 10 * 9 {
                return Err(format!("{found} of {} in L1", load.count()).into());
            }
        }
        Ok(self.used()?.since(before).nanos / float(READS * load.count()) / 1e3)
    }

    /// Makes so many invalidations, several at once.
    pub(crate) async fn invalidate(
        &self,
        count: usize,
        what: impl Fn(usize) -> InvalidateRequest,
    ) -> Result<()> {
        load::invalidate(&self.channel, (0..count).map(what)).await
    }
}
