//! Loading what is missing: under a lease, or with the position of the miss.
//! The origin is read after that, as a loader must.

use super::drive::Run;
use std::time::Duration;
use unstale::{EntryOptions, LeaseOptions, Leased, ReadOptions, SetOptions};

/// A loader that is cut off holds its key up for this long.
const TERM: Duration = Duration::from_secs(1);

impl Run {
    /// Asks for the lease of some key, whether or not it is missing.
    pub(super) async fn load_some(&self, endpoint: usize) {
        let key = self.some_key();
        self.load(endpoint, key).await;
    }

    /// Loads a key in one of the two ways.
    pub(super) async fn load(&self, endpoint: usize, key: usize) {
        match self.draw(4) {
            0 => self.set_after_a_miss(endpoint, key).await,
            _ => self.fill(endpoint, key).await,
        }
    }

    /// Under a lease.
    pub(super) async fn fill(&self, endpoint: usize, key: usize) {
        let asked = self.asking(endpoint, key);
        let cache = &self.endpoints.0[endpoint].cache;
        let options = LeaseOptions::default().term(TERM);
        let leased = cache.lease_with(self.names.key(key), options).await;
        let Some(leased) = self.ended(endpoint, leased) else {
            return;
        };
        match leased.result {
            Leased::Hit(entry) => drop(self.judge(&asked, &entry).await),
            Leased::Granted(grant) => {
                self.pace.turn().await;
                let text = self.of_the_origin(key);
                let filled = cache.fill(&grant.token, text, self.entry(key)).await;
                self.ended(endpoint, filled);
                self.figures().loads += 1;
            }
            _ => {}
        }
    }

    /// Get, and if it misses, Set with the position of that answer.
    async fn set_after_a_miss(&self, endpoint: usize, key: usize) {
        let asked = self.asking(endpoint, key);
        let cache = &self.endpoints.0[endpoint].cache;
        let options = ReadOptions::default();
        let got = cache.get_with(self.names.key(key), options).await;
        let Some(answer) = self.ended(endpoint, got) else {
            return;
        };
        if let unstale::Lookup::Hit(entry) = &answer.result {
            self.judge(&asked, entry).await;
            return;
        }
        if answer.position.is_empty() {
            return;
        }
        self.pace.turn().await;
        let text = self.of_the_origin(key);
        let options = SetOptions::from(self.entry(key)).position(answer.position);
        let set = cache.set_with(self.names.key(key), text, options).await;
        self.ended(endpoint, set);
        self.figures().loads += 1;
    }

    /// Reads the origin.
    fn of_the_origin(&self, key: usize) -> String {
        let value = self.rules().origin(key);
        self.names.text(key, value)
    }

    fn entry(&self, key: usize) -> EntryOptions {
        let tag = self.names.tag(self.names.group(key));
        EntryOptions {
            tags: vec![tag],
            ..EntryOptions::default()
        }
    }
}
