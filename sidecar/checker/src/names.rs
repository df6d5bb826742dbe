//! What keys, tags and prefixes are called, and the texts that are stored.

/// The names of one run's keys: numbers in groups, where every key of a group
/// carries the same tag and begins with the same prefix.
#[derive(Clone, Debug)]
pub struct Names {
    run: String,
    keys: usize,
    groups: usize,
}

impl Names {
    /// So many keys in so many groups; every name begins with `run`, so that
    /// runs at the same time do not read each other's values.
    #[must_use]
    pub fn new(run: impl Into<String>, keys: usize, groups: usize) -> Self {
        let run = run.into();
        Self { run, keys, groups }
    }

    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys
    }

    /// How many groups there are.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// The keys of a group.
    #[must_use]
    pub fn members(&self, group: usize) -> Vec<usize> {
        (group..self.keys).step_by(self.groups).collect()
    }

    /// The group of a key.
    #[must_use]
    pub fn group(&self, key: usize) -> usize {
        key % self.groups
    }

    /// The name of a key.
    #[must_use]
    pub fn key(&self, key: usize) -> String {
        format!("{}{key}", self.prefix(self.group(key)))
    }

    /// The tag of a group.
    #[must_use]
    pub fn tag(&self, group: usize) -> String {
        format!("{}t{group}", self.run)
    }

    /// The prefix of a group.
    #[must_use]
    pub fn prefix(&self, group: usize) -> String {
        format!("{}g{group}:", self.run)
    }

    /// What is stored under a key for a value of its counter.
    #[must_use]
    pub fn text(&self, key: usize, value: u64) -> String {
        format!("{}:{value}", self.key(key))
    }

    /// The counter in a text that was returned for a key; none when it was not
    /// stored for that key.
    #[must_use]
    pub fn value(&self, key: usize, text: &str) -> Option<u64> {
        let rest = text.strip_prefix(&self.key(key))?;
        rest.strip_prefix(':')?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_its_key_and_counter_and_nothing_else_does() {
        let names = Names::new("r7", 64, 8);
        assert_eq!(names.text(9, 5), "r7g1:9:5");
        assert_eq!(names.value(9, "r7g1:9:5"), Some(5));
        for other in ["r7g1:17:5", "r8g1:9:5", "r7g1:9:", "r7g1:95", "r7g1:9:5 "] {
            assert_eq!(names.value(9, other), None, "{other}");
        }
    }

    #[test]
    fn a_group_has_the_keys_that_begin_with_its_prefix() {
        let names = Names::new("", 20, 8);
        assert_eq!(names.members(3), [3, 11, 19]);
        for key in names.members(3) {
            assert!(names.key(key).starts_with(&names.prefix(3)));
            assert_eq!(names.group(key), 3);
        }
    }
}
