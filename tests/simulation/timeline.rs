//! What happened, for people. Kept only when a schedule is run again to be
//! looked at; UNSTALE_TRACE prints all of it while it happens.

/// Whom an event concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One key (its number).
    Key(usize),
    /// Every key: faults, new epochs.
    All,
    /// Sessions and the reading of the log.
    Detail,
}

/// How many events of a key a report shows.
const SHOWN: usize = 60;

#[derive(Default)]
pub(crate) struct Timeline {
    pub(crate) printed: bool,
    events: Vec<(u64, Scope, String)>,
}

impl Timeline {
    pub(crate) fn new(kept: bool) -> Self {
        Self {
            printed: std::env::var_os("UNSTALE_TRACE").is_some() && kept,
            events: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, at: u64, scope: Scope, what: String) {
        if self.printed {
            println!("{at:>9} {what}");
        }
        self.events.push((at, scope, what));
    }

    /// The last events that concern `key`, oldest first (none: every key).
    pub(crate) fn of(&self, key: Option<usize>) -> Vec<String> {
        let concerns = |scope: &Scope| match scope {
            Scope::Key(of) => key.is_none_or(|key| key == *of),
            Scope::All => true,
            Scope::Detail => false,
        };
        let all: Vec<_> = self.events.iter().filter(|e| concerns(&e.1)).collect();
        let last = all.iter().skip(all.len().saturating_sub(SHOWN));
        last.map(|(at, _, what)| format!("{at:>9} {what}"))
            .collect()
    }
}
