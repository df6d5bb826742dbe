//! Loads without a lease and sets with the position held before: sometimes
//! what is cached already, sometimes with a position of long ago.

use super::derived::Made;
use super::{Client, key};
use crate::lives::Terms;
use crate::origin;
use crate::table::Operation;
use crate::timeline::Scope;
use crate::world::Shared;
use unstale_engine::Engine;
use unstale_engine::position::Position;
use unstale_engine::request::{Ack, Set, SetOutcome};

impl Client {
    pub(super) async fn load_and_set(&self, number: usize, position: Position) {
        let made = self.made_of_others(number).await;
        let value = origin::read(&self.shared, number).await;
        self.set(number, value, position, made).await;
    }

    pub(super) async fn set(&self, number: usize, value: u64, position: Position, made: Made) {
        let set = Setting::new(&self.shared, self.pod, number, value, position);
        let set = Setting { made, ..set };
        set.begins(&self.shared);
        let outcome = set.clone().call(&self.engine).await;
        set.ended(&self.shared, outcome);
    }
}

/// A Set of what was loaded.
#[derive(Clone)]
pub(crate) struct Setting {
    pod: usize,
    number: usize,
    value: u64,
    position: Position,
    terms: Terms,
    made: Made,
}

impl Setting {
    pub(crate) fn new(
        shared: &Shared,
        pod: usize,
        number: usize,
        value: u64,
        position: Position,
    ) -> Self {
        let terms = Terms {
            negative: false,
            ..shared.with(|w| w.some_terms())
        };
        Self {
            pod,
            number,
            value,
            position,
            terms,
            made: Made::default(),
        }
    }

    pub(crate) fn begins(&self, shared: &Shared) {
        shared.began(Operation::Set);
        let content = (self.number, self.value);
        let now = shared.handle.now();
        shared.with(|w| {
            w.grants.raised(self.number, now);
            w.lives.set_begins(self.pod, content, self.terms);
        });
    }

    pub(crate) async fn call(self, engine: &Engine) -> Option<SetOutcome> {
        let deadline = engine.now().plus(std::time::Duration::from_millis(500));
        let set = Set {
            key: key(self.number),
            entry: self.made.entry(self.number, self.value, self.terms),
            position: Some(self.position),
            if_absent: false,
            ack: Ack::Log,
            deadline,
        };
        engine.set(set).await.ok().map(|answer| answer.result)
    }

    pub(crate) fn ended(self, shared: &Shared, outcome: Option<SetOutcome>) {
        let (now, content) = (shared.handle.now(), (self.number, self.value));
        shared.with(|w| {
            if let Some(SetOutcome::Stored(Some(version))) = &outcome
                && w.lives.content(version).is_none()
            {
                w.lives.stored(version.clone(), content, self.terms, now);
            }
            w.lives.set_ends(self.pod, content, now);
            w.grants.raised(self.number, now);
        });
        let Self {
            pod,
            value,
            position,
            ..
        } = self;
        shared.note(Scope::Key(self.number), || {
            format!("pod {pod} set {value} with {position}: {outcome:?}")
        });
    }
}
