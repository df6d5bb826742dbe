//! Names covered in this pod because an own write or invalidation of them is
//! under way: nothing they cover is fresh here before the log has decided.

use super::judge::Facts;
use crate::key::NameHash;
use crate::request::Mode;
use std::collections::HashMap;

#[derive(Default)]
pub(crate) struct Pending {
    names: HashMap<NameHash, Count>,
}

#[derive(Default)]
struct Count {
    hard: u32,
    soft: u32,
}

impl Count {
    fn of(&mut self, mode: Mode) -> &mut u32 {
        match mode {
            Mode::Hard => &mut self.hard,
            Mode::Soft => &mut self.soft,
        }
    }
}

impl Pending {
    pub(crate) fn begin(&mut self, names: impl Iterator<Item = NameHash>, mode: Mode) {
        for name in names {
            *self.names.entry(name).or_default().of(mode) += 1;
        }
    }

    pub(crate) fn end(&mut self, names: impl Iterator<Item = NameHash>, mode: Mode) {
        for name in names {
            let Some(count) = self.names.get_mut(&name) else {
                continue;
            };
            let of = count.of(mode);
            *of = of.saturating_sub(1);
            if count.hard == 0 && count.soft == 0 {
                self.names.remove(&name);
            }
        }
    }

    /// What is under way for an entry's names; hard before soft.
    pub(crate) fn of(&self, facts: &Facts) -> Option<Mode> {
        if self.names.is_empty() {
            return None;
        }
        let mut found = None;
        for name in facts.names() {
            match self.names.get(&name) {
                Some(count) if count.hard > 0 => return Some(Mode::Hard),
                Some(_) => found = Some(Mode::Soft),
                None => {}
            }
        }
        found
    }
}
