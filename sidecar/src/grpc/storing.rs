//! The fields that every storing request has (value, ttl, tags and so on),
//! decoded once for Set, BatchSet, CompareAndSet and Fill.
//!
//! Guarantees that an entry is within the limits of the contract and of its
//! namespace's policy. Fills in no defaults: the engine does.

use super::depends::Dependent;
use super::violations::Violations;
use bytes::Bytes;
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;
use unstale_engine::key::Namespace;
use unstale_engine::policy::Policy;
use unstale_engine::request::{NewEntry, Payload, Value};
use unstale_engine::{Engine, limits};
use unstale_proto::v1;

/// What a namespace allows its writers.
pub(super) struct Allowed {
    namespace: String,
    policy: Arc<Policy>,
}

impl Allowed {
    /// By the policy of `namespace`; what is in a bad namespace is judged by
    /// the default's.
    pub(super) fn of(engine: &Engine, namespace: Option<&Namespace>) -> Self {
        let namespace = namespace.cloned().or_else(|| Namespace::new("").ok());
        let namespace = namespace.expect("the empty text means the default namespace");
        Self {
            policy: engine.policy(&namespace),
            namespace: namespace.as_str().into(),
        }
    }

    /// By this policy, as the default namespace's.
    #[cfg(test)]
    pub(super) fn by(policy: Policy) -> Self {
        Self {
            policy: Arc::new(policy),
            namespace: "default".into(),
        }
    }
}

/// The storing fields of a request.
pub(super) struct Fields {
    value: Option<Given>,
    content_type: String,
    ttl: Option<prost_types::Duration>,
    stale_for: Option<prost_types::Duration>,
    valid_for: Option<prost_types::Duration>,
    jitter: Option<prost_types::Duration>,
    tags: Vec<String>,
    source_version: Option<u64>,
    depends_on: Vec<v1::Dependency>,
}

enum Given {
    Data(Bytes),
    Text(String),
    NotFound,
}

/// A request that stores an entry.
pub(super) trait Storing {
    /// Takes the storing fields out of it.
    fn fields(&mut self) -> Fields;
}

macro_rules! storing {
    ($($request:ident, $module:ident;)*) => {$(
        impl Storing for v1::$request {
            fn fields(&mut self) -> Fields {
                Fields {
                    value: self.value.take().map(|value| match value {
                        v1::$module::Value::Data(data) => Given::Data(data),
                        v1::$module::Value::Text(text) => Given::Text(text),
                        v1::$module::Value::NotFound(v1::NotFound {}) => Given::NotFound,
                    }),
                    content_type: take(&mut self.content_type),
                    ttl: self.ttl,
                    stale_for: self.stale_for,
                    valid_for: self.valid_for,
                    jitter: self.jitter,
                    tags: take(&mut self.tags),
                    source_version: self.source_version,
                    depends_on: take(&mut self.depends_on),
                }
            }
        }
    )*};
}

storing! {
    SetRequest, set_request;
    BatchSetItem, batch_set_item;
    CompareAndSetRequest, compare_and_set_request;
    FillRequest, fill_request;
}

impl Violations {
    /// The entry that a request stores.
    pub(super) fn entry(
        &mut self,
        request: &mut impl Storing,
        allowed: &Allowed,
        of: &Dependent<'_>,
    ) -> Option<NewEntry> {
        let fields = request.fields();
        let up_to = |min| (min, limits::TTL_MAX);
        let payload = self.payload(fields.value, fields.content_type, allowed);
        let ttl = self.ttl(fields.ttl, allowed);
        let stale_for = self.duration("stale_for", fields.stale_for, up_to(Duration::ZERO));
        let valid_for = self.duration("valid_for", fields.valid_for, up_to(limits::TTL_MIN));
        let jitter = self.duration("jitter", fields.jitter, up_to(Duration::ZERO));
        let tags = self.tags(&fields.tags, limits::TAGS);
        let depends_on = self.depends_on(fields.depends_on, of);
        Some(NewEntry {
            payload: payload?,
            ttl,
            stale_for,
            valid_for,
            jitter,
            tags: tags?,
            source_version: fields.source_version,
            depends_on: depends_on?,
        })
    }

    fn payload(
        &mut self,
        value: Option<Given>,
        content_type: String,
        allowed: &Allowed,
    ) -> Option<Payload> {
        self.text("content_type", &content_type, limits::CONTENT_TYPE_BYTES);
        let (data, text) = match value {
            None => {
                let what = "is missing: give data or text (it may be empty), or not_found";
                self.add("value", what);
                return None;
            }
            Some(Given::NotFound) => {
                if !content_type.is_empty() {
                    self.add("content_type", "goes with a value, not with not_found");
                }
                return Some(Payload::NotFound);
            }
            Some(Given::Data(data)) => (data, false),
            Some(Given::Text(text)) => (Bytes::from(text), true),
        };
        self.size(data.len(), if text { "text" } else { "data" }, allowed);
        Some(Payload::Value(Value {
            data,
            text,
            content_type,
        }))
    }

    fn size(&mut self, bytes: usize, field: &str, allowed: &Allowed) {
        let max = allowed.policy.max_value_bytes.min(limits::VALUE_BYTES);
        if bytes > max {
            let namespace = &allowed.namespace;
            let what = format!(
                "is {bytes} bytes long; at most {max} are allowed in namespace {namespace}"
            );
            self.add(field, what);
            self.limit(Some("VALUE_TOO_LARGE"), "limit_bytes", max);
            self.limit(None, "namespace", namespace);
        }
    }

    fn ttl(&mut self, given: Option<prost_types::Duration>, allowed: &Allowed) -> Option<Duration> {
        let ttl = self.duration("ttl", given, (limits::TTL_MIN, limits::TTL_MAX))?;
        let max = allowed.policy.max_ttl;
        if ttl > max {
            let (namespace, max) = (&allowed.namespace, format!("{}s", max.as_secs_f64()));
            self.add(
                "ttl",
                format!("is over {max}, the max_ttl of namespace {namespace}"),
            );
            self.limit(None, "max_ttl", max);
            self.limit(None, "namespace", namespace);
        }
        Some(ttl)
    }
}
