//! The policies of namespaces: `[namespace.NAME]` and `[namespace_defaults]`.
//!
//! A namespace's table says what differs from the defaults' table, and that
//! what differs from the built-in policy. A ttl that is not given but inherited
//! is cut to `max_ttl`; one that is given must not be over it.

use super::adaptive;
use super::given::{Given, Mistake};
use super::units;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use unstale_engine::key::Namespace;
use unstale_engine::limits;
use unstale_engine::policy::early::BETA_MAX;
use unstale_engine::policy::{OnSessionLoss, Policies, Policy};

/// What a table may hold.
pub(super) const FIELDS: [&str; 10] = [
    "default_ttl",
    "max_ttl",
    "negative_ttl",
    "jitter",
    "stale_for",
    "max_value_bytes",
    "on_session_loss",
    "grants_per_second",
    "early_refresh",
    adaptive::NAME,
];

const MOST_GRANTS: u32 = 1_000_000;

/// What a table holds, by field, those of a table inside by their paths.
pub(super) type Table = BTreeMap<&'static str, Given>;

/// The tables of a file, not judged yet.
#[derive(Default)]
pub(super) struct Tables {
    defaults: Table,
    namespaces: BTreeMap<Namespace, Table>,
}

impl Tables {
    /// Takes what the file holds under `key`.
    pub(super) fn take(
        &mut self,
        shown: &str,
        key: &str,
        value: toml::Value,
        mistakes: &mut Vec<Mistake>,
    ) {
        let origin = format!("{shown}: {key}");
        if key == "namespace_defaults" {
            self.defaults = table(&origin, value, mistakes);
            return;
        }
        let toml::Value::Table(namespaces) = value else {
            mistakes.push(Mistake(format!("{origin}: write it as [namespace.NAME]")));
            return;
        };
        for (name, value) in namespaces {
            let origin = format!("{origin}.{name}");
            let table = table(&origin, value, mistakes);
            match Namespace::new(&name).ok().filter(|_| !name.is_empty()) {
                Some(namespace) => drop(self.namespaces.insert(namespace, table)),
                None => {
                    let max = limits::NAMESPACE_CHARS;
                    let why = format!("{origin}: a namespace is 1 to {max} of [a-z0-9-]");
                    mistakes.push(Mistake(why));
                }
            }
        }
    }

    /// Judges every table. `default_ttl` is the setting, if it is given.
    pub(super) fn judge(
        &self,
        default_ttl: Option<Duration>,
        mistakes: &mut Vec<Mistake>,
    ) -> Policies {
        if let (Some(_), Some(twice)) = (default_ttl, self.defaults.get("default_ttl")) {
            twice.refuse("give this or the setting default_ttl, not both", mistakes);
        }
        let built_in = Policy {
            default_ttl: default_ttl.unwrap_or(limits::TTL_DEFAULT),
            ..Policy::default()
        };
        let defaults = policy(&self.defaults, &built_in, mistakes);
        if let (Some(ttl), Some(max)) = (default_ttl, self.defaults.get("max_ttl"))
            && ttl > defaults.max_ttl
        {
            let ttl = units::show_duration(ttl);
            let why = format!("is under the setting default_ttl, which is {ttl}");
            max.refuse(&why, mistakes);
        }
        let each = self.namespaces.iter().map(|(namespace, table)| {
            let own = policy(table, &defaults, mistakes);
            (namespace.clone(), Arc::new(own))
        });
        Policies {
            namespaces: each.collect(),
            default: Arc::new(defaults),
        }
    }
}

fn table(origin: &str, value: toml::Value, mistakes: &mut Vec<Mistake>) -> Table {
    let toml::Value::Table(values) = value else {
        mistakes.push(Mistake(format!("{origin}: write it as [TABLE]")));
        return Table::new();
    };
    let mut table = Table::new();
    for (key, value) in values {
        let Some(field) = FIELDS.into_iter().find(|field| *field == key) else {
            let known = FIELDS.join(", ");
            let why = format!("{origin}.{key} is not part of a policy; a policy has {known}");
            mistakes.push(Mistake(why));
            continue;
        };
        if field == adaptive::NAME {
            adaptive::take(&format!("{origin}.{key}"), value, &mut table, mistakes);
            continue;
        }
        match Given::from_toml(value, format!("{origin}.{key}")) {
            Ok(given) => drop(table.insert(field, given)),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    table
}

fn policy(table: &Table, inherited: &Policy, mistakes: &mut Vec<Mistake>) -> Policy {
    let mut read = Reader { table, mistakes };
    let max_ttl = read.time("max_ttl", limits::TTL_MIN, inherited.max_ttl);
    Policy {
        default_ttl: read.ttl("default_ttl", max_ttl, inherited.default_ttl),
        negative_ttl: read.ttl("negative_ttl", max_ttl, inherited.negative_ttl),
        max_ttl,
        jitter: read.time("jitter", Duration::ZERO, inherited.jitter),
        stale_for: read.time("stale_for", Duration::ZERO, inherited.stale_for),
        max_value_bytes: read.max_value_bytes(inherited.max_value_bytes),
        on_session_loss: read.on_session_loss(inherited.on_session_loss),
        grants_per_second: read.grants_per_second(inherited.grants_per_second),
        early_refresh: read.early_refresh(inherited.early_refresh),
        adaptive_ttl: adaptive::judge(&mut read, max_ttl, inherited.adaptive_ttl.as_ref()),
    }
}

pub(super) struct Reader<'a> {
    pub(super) table: &'a Table,
    pub(super) mistakes: &'a mut Vec<Mistake>,
}

impl Reader<'_> {
    pub(super) fn read<T>(
        &mut self,
        field: &str,
        inherited: T,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        let Some(given) = self.table.get(field) else {
            return inherited;
        };
        parse(given.text()).unwrap_or_else(|| {
            given.refuse(&format!("must be {allowed}"), self.mistakes);
            inherited
        })
    }

    pub(super) fn time(&mut self, field: &str, min: Duration, inherited: Duration) -> Duration {
        let (from, max) = (units::show_duration(min), limits::TTL_MAX);
        let to = units::show_duration(max);
        let allowed = format!("a duration from {from} to {to}, like 90s");
        self.read(field, inherited, &allowed, |text| {
            units::duration(text).filter(|time| (min..=max).contains(time))
        })
    }

    pub(super) fn ttl(&mut self, field: &str, max_ttl: Duration, inherited: Duration) -> Duration {
        let ttl = self.time(field, limits::TTL_MIN, inherited);
        if let Some(given) = self.table.get(field)
            && ttl > max_ttl
        {
            let max = units::show_duration(max_ttl);
            given.refuse(&format!("is over max_ttl, which is {max}"), self.mistakes);
        }
        ttl.min(max_ttl)
    }

    fn max_value_bytes(&mut self, inherited: usize) -> usize {
        let max = units::show_size(limits::VALUE_BYTES as u64);
        let allowed = format!("a size from 1B to {max}, like 64KiB");
        self.read("max_value_bytes", inherited, &allowed, |text| {
            let bytes = units::size(text).and_then(|bytes| usize::try_from(bytes).ok());
            bytes.filter(|bytes| (1..=limits::VALUE_BYTES).contains(bytes))
        })
    }

    fn on_session_loss(&mut self, inherited: OnSessionLoss) -> OnSessionLoss {
        let allowed = "bypass or serve_stale";
        self.read("on_session_loss", inherited, allowed, |text| match text {
            "bypass" => Some(OnSessionLoss::Bypass),
            "serve_stale" => Some(OnSessionLoss::ServeStale),
            _ => None,
        })
    }

    fn grants_per_second(&mut self, inherited: u32) -> u32 {
        let allowed = format!("a number from 1 to {MOST_GRANTS}");
        self.read("grants_per_second", inherited, &allowed, |text| {
            let grants = text.parse().ok();
            grants.filter(|grants| (1..=MOST_GRANTS).contains(grants))
        })
    }

    fn early_refresh(&mut self, inherited: f32) -> f32 {
        let allowed = format!("a number from 0 (none) to {BETA_MAX}, like 1.0");
        self.read("early_refresh", inherited, &allowed, |text| {
            let beta = text.parse().ok();
            beta.filter(|beta| (0.0..=BETA_MAX).contains(beta))
        })
    }
}

/// What a policy says, field by field, as texts that can be read again.
pub(super) fn shown(policy: &Policy) -> [(&'static str, String); FIELDS.len()] {
    let on_session_loss = match policy.on_session_loss {
        OnSessionLoss::Bypass => "bypass",
        OnSessionLoss::ServeStale => "serve_stale",
    };
    let values = [
        units::show_duration(policy.default_ttl),
        units::show_duration(policy.max_ttl),
        units::show_duration(policy.negative_ttl),
        units::show_duration(policy.jitter),
        units::show_duration(policy.stale_for),
        units::show_size(policy.max_value_bytes as u64),
        on_session_loss.into(),
        policy.grants_per_second.to_string(),
        policy.early_refresh.to_string(),
        adaptive::shown(policy.adaptive_ttl.as_deref()),
    ];
    let mut values = values.into_iter();
    FIELDS.map(|field| (field, values.next().unwrap_or_default()))
}

/// The policies in force as TOML. The default ttl of all is a setting.
pub(super) fn as_toml(policies: &Policies) -> String {
    let mut text = String::from("\n[namespace_defaults]\n");
    lines(&mut text, &shown(&policies.default)[1..]);
    for (namespace, policy) in &policies.namespaces {
        text += &format!("\n[namespace.{}]\n", namespace.as_str());
        lines(&mut text, &shown(policy));
    }
    text
}

fn lines(text: &mut String, fields: &[(&'static str, String)]) {
    for (field, value) in fields {
        *text += &match value.starts_with('{') {
            // A table is TOML already.
            true => format!("{field} = {value}\n"),
            false => format!("{field} = {}\n", toml::Value::String(value.clone())),
        };
    }
}
