//! A rate limit of lease grants per key and pod: a key that is invalidated all
//! the time would else cost the origin a load per invalidation (Nishtala et
//! al., Scaling Memcache at Facebook, NSDI 2013, 3.2.1).
//!
//! A window of one second per key. What is not remembered is allowed.

use crate::clock::Moment;
use crate::key::NameHash;
use std::collections::HashMap;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(1);
/// Keys with a window; beyond, the old ones are forgotten, and when none is
/// old, further keys are not limited.
const MOST: usize = 16_384;

#[derive(Default)]
pub(crate) struct GrantRate {
    windows: HashMap<NameHash, (Moment, u32)>,
    swept: Moment,
}

impl GrantRate {
    /// The time to wait when `most` leases of `key` were granted already.
    pub(crate) fn allows(&self, key: NameHash, most: u32, now: Moment) -> Result<(), Duration> {
        let window = self.windows.get(&key);
        let full = window.filter(|(began, count)| now < began.plus(WINDOW) && *count >= most);
        match full {
            Some((began, _)) => Err(began.plus(WINDOW).since(now)),
            None => Ok(()),
        }
    }

    /// Counts a grant of `key`. Who only tried, and lost, does not count.
    pub(crate) fn count(&mut self, key: NameHash, now: Moment) {
        if self.windows.len() >= MOST && now >= self.swept.plus(WINDOW) {
            self.swept = now;
            self.windows
                .retain(|_, (began, _)| now < began.plus(WINDOW));
        }
        let full = self.windows.len() >= MOST;
        match self.windows.get_mut(&key) {
            Some(window) if now < window.0.plus(WINDOW) => window.1 += 1,
            Some(window) => *window = (now, 1),
            None if full => {}
            None => drop(self.windows.insert(key, (now, 1))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_of_one_key_are_limited_per_second_and_others_are_not() {
        let mut rate = GrantRate::default();
        let now = Moment::new(Duration::from_secs(5));
        let half = now.plus(Duration::from_millis(500));
        for _ in 0..2 {
            assert_eq!(rate.allows(NameHash(1), 2, now), Ok(()));
            rate.count(NameHash(1), now);
        }
        let wait = Err(Duration::from_millis(500));
        assert_eq!(rate.allows(NameHash(1), 2, half), wait);
        assert_eq!(rate.allows(NameHash(2), 2, half), Ok(()));
        assert_eq!(rate.allows(NameHash(1), 2, now.plus(WINDOW)), Ok(()));
    }
}
