//! A write without comparison as a request gives it, alone or in a batch.
//!
//! Decodes and judges; `set.rs` does the rest.

use super::depends::Dependent;
use super::storing::{Allowed, Storing};
use super::violations::Violations;
use std::collections::HashSet;
use unstale_engine::clock::Moment;
use unstale_engine::key::{Key, Namespace};
use unstale_engine::limits;
use unstale_engine::position::Position;
use unstale_engine::request::{Ack, NewEntry, Set};
use unstale_proto::v1;

/// One write, decoded.
pub(super) struct Write {
    key: Key,
    entry: NewEntry,
    position: Option<Position>,
    if_absent: bool,
}

impl Write {
    pub(super) fn set(self, ack: Ack, deadline: Moment) -> Set {
        Set {
            key: self.key,
            entry: self.entry,
            position: self.position,
            if_absent: self.if_absent,
            ack,
            deadline,
        }
    }
}

/// A Set, alone or in a batch.
pub(super) trait Setting: Storing {
    fn key(&self) -> &str;
    fn position(&self) -> &str;
    fn if_absent(&self) -> bool;
}

macro_rules! setting {
    ($($request:ident),*) => {$(
        impl Setting for v1::$request {
            fn key(&self) -> &str {
                &self.key
            }
            fn position(&self) -> &str {
                &self.position
            }
            fn if_absent(&self) -> bool {
                self.if_absent.is_some()
            }
        }
    )*};
}

setting!(SetRequest, BatchSetItem);

impl Violations {
    pub(super) fn write(
        &mut self,
        request: &mut impl Setting,
        namespace: Option<&Namespace>,
        allowed: &Allowed,
        ack: Option<Ack>,
    ) -> Option<Write> {
        let key = self.key(namespace, request.key());
        // The key is only looked at: the entry's own fields are taken.
        let name = request.key().to_owned();
        let of = Dependent {
            namespace,
            key: &name,
        };
        let entry = self.entry(request, allowed, &of);
        let position = self.position("position", request.position());
        let if_absent = request.if_absent();
        if if_absent && !request.position().is_empty() {
            self.add("if_absent", "does not go with position");
        }
        if if_absent && ack == Some(Ack::Local) {
            let what = "does not go with ack LOCAL: only the log can decide a comparison";
            self.add("if_absent", what);
        }
        Some(Write {
            key: key?,
            entry: entry?,
            position,
            if_absent,
        })
    }

    pub(super) fn writes(
        &mut self,
        items: &mut [v1::BatchSetItem],
        namespace: Option<&Namespace>,
        allowed: &Allowed,
        ack: Option<Ack>,
    ) -> Option<Vec<Write>> {
        if !self.count("items", items.len(), limits::BATCH_KEYS) {
            return None;
        }
        self.once("items", ".key", items.iter().map(|item| &item.key));
        let each = items.iter_mut().enumerate();
        let judged = each.map(|(i, item)| {
            let path = format!("items[{i}]");
            self.within(path, |wrong| wrong.write(item, namespace, allowed, ack))
        });
        let judged: Vec<_> = judged.collect();
        let writes: Vec<_> = judged.into_iter().collect::<Option<_>>()?;
        self.together(&writes);
        Some(writes)
    }

    /// Each key stands in a batch once: which of two would be the last is
    /// nobody's to say.
    pub(super) fn once<'a>(
        &mut self,
        list: &str,
        field: &str,
        keys: impl Iterator<Item = &'a String>,
    ) {
        let mut seen = HashSet::new();
        for (i, key) in keys.enumerate() {
            if !seen.insert(key) {
                let path = format_args!("{list}[{i}]{field}");
                self.add(path, "is in the batch already: give each key once");
            }
        }
    }

    fn together(&mut self, writes: &[Write]) {
        let values = writes.iter().map(|write| write.entry.payload.data().len());
        let (bytes, max) = (values.sum::<usize>(), limits::BATCH_BYTES);
        if bytes > max {
            let what = format!("hold {bytes} bytes of values; at most {max} are allowed");
            self.add("items", what);
            self.limit(Some("BATCH_TOO_LARGE"), "limit_bytes", max);
        }
    }
}
