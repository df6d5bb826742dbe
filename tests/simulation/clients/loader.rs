//! Loads keys under leases, two of them at once now and then: fills them,
//! renews them, gives them back.

use super::judge::Demand;
use super::{Client, entry, key};
use crate::lives::Terms;
use crate::origin;
use crate::table::Operation;
use crate::timeline::Scope;
use crate::world::{KEYS, LAGGING};
use std::time::Duration;
use unstale_engine::request::*;

/// One granted key of a load.
struct Granted {
    number: usize,
    token: LeaseToken,
    at: u64,
}

impl Client {
    /// Loads a key, sometimes with another one in a batch.
    pub(super) async fn load_some(&self, number: usize) {
        if !self.shared.chance(20) {
            return self.load(number).await;
        }
        self.shared.began(Operation::BatchLease);
        // A term of its own: only a batch has tokens in common.
        let term =
            Duration::from_millis(900) + Duration::from_nanos(self.shared.draw(1 << 30) as u64);
        let mut granted = Vec::new();
        for number in [number, (number + 1) % KEYS] {
            granted.extend(self.lease(number, term).await);
        }
        for granted in granted {
            self.complete(granted).await;
        }
    }

    pub(crate) async fn load(&self, number: usize) {
        if let Some(granted) = self.lease(number, Duration::from_secs(1)).await {
            self.complete(granted).await;
        }
    }

    async fn complete(&self, granted: Granted) {
        if !self.shared.with(|w| w.quiet) {
            if self.shared.chance(8) {
                self.renew(&granted).await;
            }
            if self.shared.chance(8) {
                return self.abandon(&granted).await;
            }
        }
        let number = granted.number;
        let value = origin::read(&self.shared, number).await;
        let voided = self.shared.with(|w| {
            let now = self.shared.handle.now();
            w.judged.voided(self.pod, number, granted.at, now)
        });
        if !self.fill(&granted, value).await {
            return;
        }
        if voided {
            let what = format!("pod {} filled {value} under a voided lease", self.pod);
            self.shared.violate("I-7", Some(number), what);
        }
        if self.fill(&granted, value).await {
            let what = "a token was accepted twice".into();
            self.shared.violate("I-7", Some(number), what);
        }
    }

    /// The right to load; whatever comes with the answer is judged.
    async fn lease(&self, number: usize, term: Duration) -> Option<Granted> {
        self.shared.began(Operation::Lease);
        let asked = self.asking(number, Demand::default());
        let lease = Lease {
            key: key(number),
            term,
            wait: Duration::from_millis(50 * self.shared.draw(3) as u64),
            min_position: None,
            deadline: self.deadline(500),
        };
        let outcome = self.engine.lease(lease).await.ok()?.result;
        match &outcome {
            LeaseOutcome::Hit(found)
            | LeaseOutcome::Granted(_, _, Some(found))
            | LeaseOutcome::Busy(_, Some(found)) => self.judge(number, found, &asked),
            LeaseOutcome::Granted(..) | LeaseOutcome::Busy(..) => {}
        }
        let LeaseOutcome::Granted(token, ..) = outcome else {
            return None;
        };
        let pod = self.pod;
        let note = || format!("pod {pod} was granted {:032x}", token.0);
        self.shared.note(Scope::Key(number), note);
        let at = self.shared.handle.now();
        Some(Granted { number, token, at })
    }

    async fn renew(&self, granted: &Granted) {
        self.shared.began(Operation::Renew);
        // Whatever the answer, the fill tells.
        let renewed = self.engine.renew(granted.token, self.deadline(300)).await;
        let pod = self.pod;
        self.shared.note(Scope::Key(granted.number), || {
            format!("pod {pod} renewed {:032x}: {renewed:?}", granted.token.0)
        });
    }

    async fn abandon(&self, granted: &Granted) {
        self.shared.began(Operation::Abandon);
        let some = |most: usize| {
            let millis = self.shared.draw(most) as u64;
            self.shared
                .chance(60)
                .then(|| Duration::from_millis(millis))
        };
        let abandon = Abandon {
            token: granted.token,
            serve_stale_for: some(3_000),
            retry_after: some(400),
            deadline: self.deadline(300),
        };
        let abandoned = self.engine.abandon(abandon).await;
        let pod = self.pod;
        self.shared.note(Scope::Key(granted.number), || {
            format!(
                "pod {pod} abandoned {:032x}: {abandoned:?}",
                granted.token.0
            )
        });
    }

    /// True: the value was stored.
    async fn fill(&self, granted: &Granted, value: u64) -> bool {
        let (number, token) = (granted.number, granted.token);
        self.shared.began(Operation::Fill);
        let terms = self.terms_of(number);
        let now = self.shared.handle.now();
        // The engine stamps it when it is called.
        let version = format!("f{:032x}", token.0);
        self.shared.with(|w| {
            if w.lives.content(&version).is_none() {
                w.lives.stored(version, (number, value), terms, now);
            }
        });
        let fill = Fill {
            token,
            entry: entry(number, value, terms),
            deadline: self.deadline(500),
        };
        let outcome = self.engine.fill(fill).await.map(|answer| answer.result);
        let pod = self.pod;
        self.shared.note(Scope::Key(number), || {
            format!(
                "pod {pod} filled {value} under {:032x}: {outcome:?}",
                token.0
            )
        });
        matches!(outcome, Ok(FillOutcome::Stored(_)))
    }

    fn terms_of(&self, number: usize) -> Terms {
        self.shared.with(|w| match w.quiet {
            true => Terms::LONG,
            false => Terms {
                negative: number != LAGGING && w.rng.chance(15),
                ..w.some_terms()
            },
        })
    }
}
