//! What an entry is said to depend on, decoded and judged: names only. Whether
//! they are cached is the engine's to find out.

use super::violations::Violations;
use std::collections::HashSet;
use unstale_engine::key::{Key, Namespace};
use unstale_engine::limits;
use unstale_engine::request::{Dependency, DependsOn};
use unstale_proto::v1;

/// The entry that depends on others: its namespace and its key, as far as they
/// are known.
pub(super) struct Dependent<'a> {
    pub(super) namespace: Option<&'a Namespace>,
    pub(super) key: &'a str,
}

impl Violations {
    pub(super) fn depends_on(
        &mut self,
        named: Vec<v1::Dependency>,
        of: &Dependent<'_>,
    ) -> Option<DependsOn> {
        if named.is_empty() {
            return Some(DependsOn::Nothing);
        }
        if !self.count("depends_on", named.len(), limits::DEPENDENCIES) {
            return None;
        }
        let mut seen = HashSet::new();
        for (i, v1::Dependency { key, .. }) in named.iter().enumerate() {
            let path = format_args!("depends_on[{i}].key");
            if key == of.key {
                self.add(path, "is the entry's own key: it cannot depend on itself");
            } else if !seen.insert(key) {
                self.add(path, "is named already: give each key once");
            }
        }
        let judged = named.into_iter().enumerate().map(|(i, named)| {
            let path = format!("depends_on[{i}]");
            let key = self.within(path, |wrong| wrong.key(of.namespace, &named.key));
            dependency(key, named.version)
        });
        let judged: Vec<_> = judged.collect();
        let all = judged.into_iter().collect::<Option<_>>()?;
        Some(DependsOn::Named(all))
    }
}

fn dependency(key: Option<Key>, version: String) -> Option<Dependency> {
    Some(Dependency {
        key: key?,
        version: (!version.is_empty()).then_some(version),
    })
}
