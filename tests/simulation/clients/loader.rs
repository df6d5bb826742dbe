//! Loads keys under leases, two of them at once now and then: fills them,
//! renews them, gives them back.

use super::derived::Made;
use super::judge::Demand;
use super::{Client, key};
use crate::grants::Grant;
use crate::lives::Terms;
use crate::origin;
use crate::table::Operation;
use crate::timeline::Scope;
use crate::world::{KEYS, LAGGING};
use std::time::Duration;
use unstale_engine::error::Error;
use unstale_engine::request::*;

/// One granted key of a load.
struct Granted {
    number: usize,
    token: LeaseToken,
    at: u64,
}

/// What the origin gave, and on what terms it is to be kept.
#[derive(Clone)]
struct Loaded {
    value: u64,
    terms: Terms,
    made: Made,
}

/// So long one fill waits for another one of its token at most (µs), unless its
/// pod is paused meanwhile.
const TURN: u64 = 600_000;

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
        let made = self.made_of_others(number).await;
        let loaded = Loaded {
            value: origin::read(&self.shared, number).await,
            terms: self.terms_of(number),
            made,
        };
        match self.shared.chance(10) {
            true => self.fill_at_once(&granted, &loaded).await,
            false => self.fill_in_turn(&granted, &loaded).await,
        }
    }

    /// Two fills of one token at once: one at most is accepted.
    async fn fill_at_once(&self, granted: &Granted, loaded: &Loaded) {
        // The second may wait for the first before it is stamped.
        let within = TURN + self.shared.with(|w| w.mix.size.longest);
        let first = self.fill(granted, loaded, within);
        let second = self.fill(granted, loaded, within);
        let _judged = futures::future::join(first, second).await;
    }

    /// A fill, and another one of the same token if it was accepted.
    async fn fill_in_turn(&self, granted: &Granted, loaded: &Loaded) {
        let number = granted.number;
        let voided = self.shared.with(|w| {
            let now = self.shared.handle.now();
            w.judged.voided(self.pod, number, granted.at, now)
        });
        match self.fill(granted, loaded, 0).await {
            Ok(FillOutcome::Stored(_)) if voided => {
                let what = format!("pod {} filled under a voided lease", self.pod);
                self.shared.violate("I-7", Some(number), what);
            }
            Ok(FillOutcome::Stored(_)) => {
                let _judged = self.fill(granted, loaded, 0).await;
            }
            Ok(FillOutcome::Voided(_)) => {
                let version = version(granted.token);
                self.shared.with(|w| w.grants.refused(version));
            }
            Err(_) => {}
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
            may_refresh: true,
            deadline: self.deadline(500),
        };
        let answer = self.engine.lease(lease).await.ok()?;
        self.judge_position(answer.position);
        let (outcome, alone) = (answer.result, answer.degraded.remote);
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
        let grant = Grant {
            token: token.0,
            pod,
            start: self.start,
            at,
            term: term.as_micros() as u64,
            alone,
        };
        if !answer.degraded.session {
            self.judge_grant(number, grant);
        }
        Some(Granted { number, token, at })
    }

    fn judge_grant(&self, number: usize, grant: Grant) {
        let wrong = self.shared.with(|w| {
            let calm = w.calm();
            w.grants.granted(number, grant, calm)
        });
        if let Some((rule, what)) = wrong {
            self.shared.violate(rule, Some(number), what);
        }
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
        let (number, token) = (granted.number, granted.token);
        self.shared.with(|w| w.grants.ends(number, token.0));
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

    /// One fill; the engine stamps it `within` so long.
    async fn fill(
        &self,
        granted: &Granted,
        loaded: &Loaded,
        within: u64,
    ) -> Result<FillOutcome, Error> {
        let (number, token) = (granted.number, granted.token);
        let (value, terms) = (loaded.value, loaded.terms);
        self.shared.began(Operation::Fill);
        // What it depends on is looked up before it is stamped.
        let looks = if loaded.made.is_of_any() { TURN } else { 0 };
        let stamped = self.shared.handle.now() + within + looks;
        self.shared.with(|w| {
            w.grants.ends(number, token.0);
            if !w.grants.is_accepted(token.0) {
                let content = (number, value);
                w.lives.stored(version(token), content, terms, stamped);
            }
        });
        let fill = Fill {
            token,
            entry: loaded.made.entry(number, value, terms),
            deadline: self.deadline(500),
        };
        let answer = self.engine.fill(fill).await;
        self.judge_fill(granted, value, answer)
    }

    fn judge_fill(
        &self,
        granted: &Granted,
        value: u64,
        answer: Result<Answer<FillOutcome>, Error>,
    ) -> Result<FillOutcome, Error> {
        let (number, token) = (granted.number, granted.token);
        if let Ok(answer) = &answer {
            self.judge_position(answer.position);
        }
        let outcome = answer.map(|answer| answer.result);
        let pod = self.pod;
        self.shared.note(Scope::Key(number), || {
            format!(
                "pod {pod} filled {value} under {:032x}: {outcome:?}",
                token.0
            )
        });
        if let Ok(FillOutcome::Stored(_)) = &outcome
            && !self.shared.with(|w| w.grants.accepted(token.0))
        {
            let what = "a token was accepted twice".into();
            self.shared.violate("I-7", Some(number), what);
        }
        outcome
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

/// What the engine calls the value of a fill.
fn version(token: LeaseToken) -> String {
    format!("f{:032x}", token.0)
}
