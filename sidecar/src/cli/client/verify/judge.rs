//! What was promised so far, judged with every answer.

use super::super::exit::note;
use super::drive::Run;
use std::time::Duration;
use unstale::{Answer, Entry, Error, Freshness};
use unstale_checker::{Began, Required, Violation};
use unstale_engine::clock::Clock as _;

/// A call under way: what it began under, and what its answer must satisfy.
pub(super) struct Asked {
    pub(super) began: Began,
    pub(super) key: usize,
    pub(super) required: Required,
}

impl Run {
    /// Time since the run began, suspension included.
    pub(super) fn now(&self) -> Duration {
        self.clock.now().since(self.since)
    }

    /// A call on a sidecar begins.
    pub(super) fn begin(&self, endpoint: usize) -> Began {
        let now = self.now();
        self.rules().begin(endpoint, now)
    }

    /// A read begins.
    pub(super) fn asking(&self, endpoint: usize, key: usize) -> Asked {
        let began = self.begin(endpoint);
        let required = self.rules().required(&began, &[key])[0];
        Asked {
            began,
            key,
            required,
        }
    }

    /// A call ended: counts it, and learns from its position.
    pub(super) fn ended<T>(
        &self,
        endpoint: usize,
        result: Result<Answer<T>, Error>,
    ) -> Option<Answer<T>> {
        self.figures().ended(endpoint, &result);
        let answer = result.ok()?;
        self.reached(endpoint, &answer.position);
        Some(answer)
    }

    /// A sidecar said that it is at this position.
    pub(super) fn reached(&self, endpoint: usize, position: &str) {
        if !self.endpoints.0[endpoint].moved(position) {
            return;
        }
        let now = self.now();
        if self.rules().moved_on(position, now) {
            self.registers().forget();
            note("the log has begun a new epoch: it was made anew, or lost records");
        }
    }

    /// Judges an entry that was returned; its value.
    pub(super) async fn judge(&self, asked: &Asked, entry: &Entry) -> u64 {
        let text = String::from_utf8_lossy(entry.value.as_bytes());
        let fresh = entry.freshness == Freshness::Fresh;
        let of = (asked.key, asked.required);
        let (value, broken) = self.rules().look_at(&asked.began, of, &text, fresh);
        self.figures().endpoints[asked.began.pod].judged += 1;
        if let Some(broken) = broken {
            self.broke(&asked.began, broken).await;
        }
        value
    }

    /// What a pod promises of itself ends with its process: who cannot be asked
    /// whether it is the same one is not accused. Another read may have asked
    /// first, and heard of the new process in place of this one.
    async fn broke(&self, began: &Began, broken: Violation) {
        if broken.is_of_one_process() {
            let another = self.endpoints.0[began.pod].is_another_process().await;
            if another.unwrap_or(true) {
                self.rules().restarted(began.pod);
            }
        }
        self.rules().accuse(began, broken);
    }

    /// A register did what no register does, or returned what was not stored.
    pub(super) fn broke_register(&self, rule: &'static str, pod: Option<usize>, what: String) {
        let key = None;
        self.rules().broke(Violation {
            rule,
            key,
            pod,
            what,
        });
    }
}
