//! What a shrunk schedule leaves out of what its seed draws. Its text form goes
//! into a command line and into seeds.txt.

use crate::clients::Role;
use crate::faults::Fault;
use crate::mix::Mix;
use crate::plan::Strike;
use std::fmt;
use std::str::FromStr;

/// Nothing is left out by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Less {
    /// The numbers of the faults that stay; none: all.
    pub(crate) keep: Option<Vec<usize>>,
    pub(crate) pods: Option<usize>,
    /// Clients of these roles are not there.
    pub(crate) roles: Vec<Role>,
    /// Lasting faults that are not there.
    pub(crate) lasting: Vec<Fault>,
    /// Another order of the same.
    pub(crate) salt: u64,
}

impl Less {
    pub(crate) fn keeps(&self, strike: &Strike) -> bool {
        let kept = self.keep.as_ref();
        kept.is_none_or(|kept| kept.contains(&strike.nth))
    }

    /// Takes out of a mix what is not there.
    pub(crate) fn calm(&self, mix: &mut Mix) {
        if let Some(pods) = self.pods {
            mix.pods = pods.min(mix.pods);
            mix.writing = mix.writing.min(mix.pods);
        }
        for fault in &self.lasting {
            match fault {
                Fault::ShortRetention => mix.retention = Mix::LONG_RETENTION,
                Fault::FloorCollisions => mix.floor_width = 64,
                Fault::ClockDrift => mix.drift = 0,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Less {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        if let Some(keep) = &self.keep {
            let numbers: Vec<_> = keep.iter().map(ToString::to_string).collect();
            words.push(format!("keep={}", numbers.join(",")));
        }
        words.extend(self.pods.map(|pods| format!("pods={pods}")));
        let roles = self.roles.iter().map(|role| format!("{role:?}"));
        let lasting = self.lasting.iter().map(|fault| format!("{fault:?}"));
        let without: Vec<_> = roles.chain(lasting).collect();
        if !without.is_empty() {
            words.push(format!("without={}", without.join(",")));
        }
        if self.salt > 0 {
            words.push(format!("salt={}", self.salt));
        }
        f.write_str(&words.join(" "))
    }
}

impl FromStr for Less {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut less = Self::default();
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=').ok_or("no =")?;
            let values = value.split(',').filter(|value| !value.is_empty());
            match name {
                "keep" => less.keep = Some(values.map(number).collect::<Result<_, _>>()?),
                "pods" => less.pods = Some(number(value)?),
                "salt" => less.salt = number(value)? as u64,
                "without" => values.for_each(|name| less.leave_out(name)),
                _ => return Err(format!("{name} is not known")),
            }
        }
        Ok(less)
    }
}

impl Less {
    fn leave_out(&mut self, name: &str) {
        let roles = Role::ALL.into_iter();
        self.roles
            .extend(roles.filter(|r| format!("{r:?}") == name));
        let faults = Fault::ALL.into_iter();
        self.lasting
            .extend(faults.filter(|f| format!("{f:?}") == name));
    }
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}
