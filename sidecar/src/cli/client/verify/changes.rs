//! Changing the origin, and saying so afterwards.

use super::drive::Run;
use std::time::Duration;
use unstale::{Ack, Invalidate};
use unstale_checker::Reached;

/// By what keys are named.
#[derive(Clone, Copy)]
pub(super) enum By {
    Key(usize),
    Tag(usize),
    Prefix(usize),
}

impl Run {
    /// One key, or all of a group by its tag or prefix; and tells one sidecar.
    pub(super) async fn change(&self, endpoint: usize) {
        let key = self.some_key();
        let group = self.names.group(key);
        let by = match self.draw(4) {
            0 => By::Tag(group),
            1 => By::Prefix(group),
            _ => By::Key(key),
        };
        let ack = [Ack::Local, Ack::Log, Ack::Fleet][self.draw(3)];
        self.invalidate(endpoint, by, ack).await;
    }

    /// Changes what is named in the origin and says so; when that was answered
    /// OK, if it was.
    pub(super) async fn invalidate(&self, endpoint: usize, by: By, ack: Ack) -> Option<Duration> {
        let (keys, what) = self.named(by);
        let values: Vec<_> = {
            let mut rules = self.rules();
            let changed = keys.iter().map(|&key| (key, rules.change(key)));
            changed.collect()
        };
        let began = self.begin(endpoint);
        let what = what.ack(ack).reason("unstale verify");
        let done = self.endpoints.0[endpoint].cache.invalidate(what).await;
        let now = self.now();
        self.figures().ended(endpoint, &done);
        let position = done.ok()?.position.unwrap_or_default();
        self.reached(endpoint, &position);
        let mut rules = self.rules();
        rules.promised(&began, &values, reached(ack), &position, now);
        drop(rules);
        self.figures().invalidated(ack);
        Some(now)
    }

    fn named(&self, by: By) -> (Vec<usize>, Invalidate) {
        let (names, what) = (&self.names, Invalidate::default());
        match by {
            By::Key(key) => (vec![key], what.key(names.key(key))),
            By::Tag(group) => (names.members(group), what.tag(names.tag(group))),
            By::Prefix(group) => (names.members(group), what.prefix(names.prefix(group))),
        }
    }
}

fn reached(ack: Ack) -> Reached {
    match ack {
        Ack::Local => Reached::Local,
        Ack::Log => Reached::Log,
        Ack::Fleet => Reached::Fleet,
    }
}
