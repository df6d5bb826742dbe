//! Owners that refer to keys, die with their pod or forget to release.

use super::{Client, key};
use crate::fleet::Fleet;
use crate::timeline::Scope;
use crate::world::{KEYS, Shared};
use std::time::Duration;
use unstale_engine::explain::Explain;
use unstale_engine::references::Owner;
use unstale_engine::request::{Release, Retain};

/// Names that several pods use.
const SHARED_OWNERS: usize = 3;

/// A request that nobody waits for any more reaches the server within this (µs).
const LATE: u64 = 1_000_000;

impl Client {
    pub(super) async fn refer(self) {
        let mut sure_from = 0;
        loop {
            self.shared.delay(10_000, 300_000).await;
            if self.shared.with(|w| w.quiet) {
                return;
            }
            let number = self.shared.draw(KEYS);
            let owner = match self.shared.chance(50) {
                true => format!("shared {}", self.shared.draw(SHARED_OWNERS)),
                false => format!("of {} {}", self.pod, self.start),
            };
            match self.shared.chance(65) {
                true => self.retain(number, owner, sure_from).await,
                false if self.release(number, owner).await => {}
                false => sure_from = self.shared.handle.now() + LATE,
            }
            self.keeps_to_its_share();
        }
    }

    async fn retain(&self, number: usize, owner: String, sure_from: u64) {
        let retain = Retain {
            key: key(number),
            owner: Owner::new(&owner).expect("a good name"),
            term: Some(Duration::from_secs(1 + self.shared.draw(3) as u64)),
            drop_at_zero: self.shared.chance(30),
            deadline: self.deadline(600),
        };
        let is_own = owner.starts_with("of ") && self.shared.handle.now() >= sure_from;
        let began = self.engine.now();
        let told = self.engine.retain(retain).await;
        let at_once = self.engine.now().since(began) <= Duration::from_millis(600);
        let pod = self.pod;
        self.shared.note(Scope::Key(number), || {
            format!("{owner:?} retained it on pod {pod}: {told:?}")
        });
        // It was read back, its term is a second at least, nobody else has the name to
        // release it, and no release of this pod is on its way.
        if is_own && at_once && told.is_ok_and(|told| told.references == 0) {
            let what = format!("pod {pod} counts nobody right after {owner:?} came");
            self.shared.violate("references", Some(number), what);
        }
    }

    /// False: it is not known whether it was done, or will be.
    async fn release(&self, number: usize, owner: String) -> bool {
        let release = Release {
            key: key(number),
            owner: Owner::new(&owner).expect("a good name"),
            deadline: self.deadline(600),
        };
        let told = self.engine.release(release).await;
        let pod = self.pod;
        self.shared.note(Scope::Key(number), || {
            format!("{owner:?} released it on pod {pod}: {told:?}")
        });
        told.is_ok()
    }

    fn keeps_to_its_share(&self) {
        let status = self.engine.status();
        if status.pinned_bytes > status.pinned_max_bytes {
            let (kept, most) = (status.pinned_bytes, status.pinned_max_bytes);
            let what = format!("pod {} keeps {kept} bytes, of {most}", self.pod);
            self.shared.violate("references", None, what);
        }
    }
}

/// After quiet every pod counts what is present, and no more.
pub(crate) fn demand_counts(fleet: &Fleet) {
    let shared = &fleet.shared;
    if !shared.with(|w| w.mix.refers) {
        return;
    }
    for number in 0..fleet.size() {
        let Some(engine) = fleet.engine(number) else {
            continue;
        };
        let client = Client {
            shared: shared.clone(),
            pod: number,
            start: 0,
            engine,
        };
        shared.with(|w| w.not_hitting += 1);
        shared.handle.spawn(number, client.agrees());
    }
}

impl Client {
    async fn agrees(self) {
        for number in 0..KEYS {
            loop {
                let explain = Explain {
                    key: key(number),
                    deadline: self.deadline(400),
                };
                let told = self.engine.explain(explain).await;
                let told = told.ok().map(|told| told.references);
                let here = told.as_ref().map(|told| told.count);
                let in_vain = told.is_some_and(|told| told.count == 0 && told.pinned);
                let there = self.shared.with(|w| w.references.count(key(number).hash()));
                if here == Some(there) && !in_vain {
                    break;
                }
                if is_late(&self.shared) {
                    let what = format!(
                        "pod {} counts {here:?}, there are {there}; kept in vain: {in_vain}",
                        self.pod
                    );
                    return self.shared.violate("references", Some(number), what);
                }
                self.shared.delay(1_000, 50_000).await;
            }
        }
        self.shared.with(|w| {
            w.not_hitting -= 1;
            w.converged |= w.not_hitting == 0 && !w.mix.size.lingers;
        });
    }
}

fn is_late(shared: &Shared) -> bool {
    let end = shared.with(|w| w.mix.size.end());
    shared.handle.now() > end - 300_000
}
