//! Reading loaded keys in every way that promises something.

use super::drive::{PROBED, Run};
use super::judge::Asked;
use std::time::Duration;
use unstale::{Entry, Freshness, Lookup, ReadLevel, ReadOptions};

impl Run {
    /// One read of one key; what is missing is loaded.
    pub(super) async fn read(&self, endpoint: usize) {
        let key = self.some_key();
        let mut asked = self.asking(endpoint, key);
        let options = self.some_options(&mut asked);
        let found = self.look(&asked, options).await;
        if found.is_some_and(|found| found.is_none()) {
            self.pace.turn().await;
            self.load(endpoint, key).await;
        }
    }

    /// A key that clients share: none of the probe's.
    pub(super) fn some_key(&self) -> usize {
        loop {
            let key = self.draw(self.names.keys());
            if self.names.group(key) != PROBED {
                return key;
            }
        }
    }

    fn some_options(&self, asked: &mut Asked) -> ReadOptions {
        let options = ReadOptions::default();
        match self.draw(10) {
            0 => options.level(ReadLevel::Strong),
            1 => options.level(ReadLevel::StaleOk),
            2 => options.max_staleness(Duration::from_millis(500)),
            3 | 4 => self.after_some(asked, options),
            _ => options,
        }
    }

    /// After the newest position that promised something of the key.
    fn after_some(&self, asked: &mut Asked, options: ReadOptions) -> ReadOptions {
        let after = self.rules().position(asked.key);
        let Some((position, more)) = after else {
            return options;
        };
        asked.required = asked.required.and(more);
        options.min_position(position)
    }

    /// Reads and judges: nothing for an error, else the value if it is called
    /// fresh.
    pub(super) async fn look(&self, asked: &Asked, options: ReadOptions) -> Option<Option<u64>> {
        let endpoint = asked.began.pod;
        let cache = &self.endpoints.0[endpoint].cache;
        let got = cache.get_with(self.names.key(asked.key), options).await;
        match self.ended(endpoint, got)?.result {
            Lookup::Hit(entry) => Some(self.fresh(asked, &entry).await),
            _ => Some(None),
        }
    }

    /// Judges an entry; its value if it is called fresh.
    pub(super) async fn fresh(&self, asked: &Asked, entry: &Entry) -> Option<u64> {
        let value = self.judge(asked, entry).await;
        (entry.freshness == Freshness::Fresh).then_some(value)
    }
}
