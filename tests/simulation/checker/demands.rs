//! What a read has to satisfy, by what the checker remembers: proofs, the log
//! D later, epochs, and what the pod has processed.

use super::{Bounds, By, Committed, Judged, Proof};
use crate::world::D_US;
use unstale_engine::position::Position;

impl Judged {
    /// The least value that a read of `key` beginning now on `pod` may return.
    pub(crate) fn required(
        &self,
        (pod, start): (usize, u64),
        key: usize,
        (min_position, bounds): (Option<Position>, Bounds),
        now: u64,
    ) -> (u64, &'static str) {
        let proofs = self.proofs.iter().filter_map(|p| {
            let rule = match p.by {
                By::Fleet => "I-1 FLEET had returned OK",
                By::Pod(of) if of == pod => "I-3 this pod had answered OK",
                By::Position(at) if Some(at) == min_position => "I-4 min_position was given",
                _ => return None,
            };
            (p.key == key && now >= p.from).then_some((p.value, rule))
        });
        let bound = self.committed.iter().filter_map(|c| {
            let binds = c.key == key && !c.suspect && now >= c.at + D_US;
            binds.then_some((c.value, "I-2 D had passed"))
        });
        let epochs = self.epochs.iter().filter_map(|e| {
            (now >= e.at + D_US).then_some((e.origin[key], "I-10 of another epoch"))
        });
        let logged = self.logged((pod, start), key, bounds, now);
        let logged = logged.map(|(c, rule)| (c.value, rule));
        let all = proofs.chain(bound).chain(epochs).chain(logged);
        all.max_by_key(|r| r.0).unwrap_or((0, ""))
    }

    /// The invalidations of a key that a start of a pod has processed, as far as
    /// it has said so, or has to process before it answers.
    fn logged(
        &self,
        (pod, start): (usize, u64),
        key: usize,
        bounds: Bounds,
        now: u64,
    ) -> impl Iterator<Item = (&Committed, &'static str)> {
        let epoch = bounds.epoch.filter(|_| !self.suspect(now));
        let processed = epoch.and_then(|epoch| self.progress.get(&(pod, start, epoch.0)));
        let reached = epoch.and(bounds.reached);
        let told = epoch.and(bounds.told);
        let all = self.committed.iter();
        all.filter(move |c| c.key == key && !c.suspect)
            .filter_map(move |c| {
                let until = |most: Option<u64>| most.is_some_and(|most| c.sequence <= most);
                if until(reached) {
                    Some((c, "I-4 min_position was not below it"))
                } else if until(processed.copied()) && c.sequence >= bounds.first {
                    Some((c, "I-5 this pod had processed it"))
                } else if until(told) && c.sequence >= bounds.first {
                    Some((c, "I-6 the answer's position was not below it"))
                } else {
                    None
                }
            })
    }

    /// The least value that such a read may return flagged: nothing below a
    /// hard floor that is known there is served at all.
    pub(crate) fn required_stale(
        &self,
        (pod, start): (usize, u64),
        key: usize,
        (min_position, bounds): (Option<Position>, Bounds),
        now: u64,
    ) -> (u64, &'static str) {
        let known = |p: &&Proof| match p.by {
            By::Fleet => false,
            By::Pod(of) => of == pod,
            By::Position(at) => Some(at) == min_position,
        };
        let hard = |p: &&Proof| !p.soft && p.key == key && now >= p.from;
        let all = self.proofs.iter().filter(known).filter(hard);
        let logged = self.logged((pod, start), key, bounds, now);
        let logged = logged.filter(|(c, _)| !c.soft).map(|(c, _)| c.value);
        let most = all.map(|p| p.value).chain(logged).max();
        (most.unwrap_or(0), "I-13 below a hard floor")
    }

    /// The least value that is current at `before`: what the log says until
    /// then, unless it lost records.
    pub(crate) fn current(&self, key: usize, before: u64, now: u64) -> (u64, &'static str) {
        if self.suspect(now) {
            return (0, "");
        }
        let binds = |c: &&Committed| c.key == key && !c.suspect && c.at < before;
        let most = self.committed.iter().filter(binds).map(|c| c.value).max();
        (most.unwrap_or(0), "as current as was asked for")
    }

    /// Whether a lease granted at `granted` on `pod` was covered there by an
    /// invalidation that began after it and had answered OK (I-7).
    pub(crate) fn voided(&self, pod: usize, key: usize, granted: u64, now: u64) -> bool {
        let covers = |p: &Proof| {
            let between = p.asked > granted && p.answered < now && now >= p.from;
            p.by == By::Pod(pod) && p.key == key && between
        };
        self.proofs.iter().any(covers)
    }

    /// A position a read may be bound to: one that promised something of `key`.
    pub(crate) fn positions(&self, key: usize) -> Vec<Position> {
        let of = |p: &Proof| match p.by {
            By::Position(position) if p.key == key => Some(position),
            _ => None,
        };
        self.proofs.iter().filter_map(of).collect()
    }
}
