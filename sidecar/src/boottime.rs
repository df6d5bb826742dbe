//! The clock port on CLOCK_BOOTTIME, which counts suspension: a pod that slept
//! knows that its right to call anything fresh has passed.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use unstale_engine::clock::{Clock, Moment};

/// This machine's CLOCK_BOOTTIME.
#[derive(Clone, Copy, Debug, Default)]
pub struct BootTime;

#[async_trait::async_trait]
impl Clock for BootTime {
    fn now(&self) -> Moment {
        let now = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(now.tv_nsec).unwrap_or(0);
        Moment::new(Duration::new(seconds, nanos))
    }

    async fn sleep_until(&self, at: Moment) {
        // Tokio's timers stand still while the machine is suspended: look again.
        loop {
            let left = at.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(Duration::from_secs(1))).await;
        }
    }
}
