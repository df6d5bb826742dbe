//! `adaptive_ttl` in a policy's table: `off`, or a table of its own whose fields
//! inherit each for itself.

use super::given::{Given, Mistake};
use super::policies::{Reader, Table};
use super::units;
use std::sync::Arc;
use std::time::Duration;
use unstale_engine::limits;
use unstale_engine::policy::adaptive_ttl::{AdaptiveTtl, MOST_FAMILIES, Template};

/// The field, and those of its table by their paths.
pub(super) const NAME: &str = "adaptive_ttl";
const MIN: &str = "adaptive_ttl.min";
const MAX: &str = "adaptive_ttl.max";
const BUDGET: &str = "adaptive_ttl.stale_budget";
const FAMILIES: &str = "adaptive_ttl.families";
const PATHS: [&str; 4] = [MIN, MAX, BUDGET, FAMILIES];
/// Shares of reads that may be stale.
const BUDGETS: (f64, f64) = (0.0001, 0.5);
/// Between templates, none of which holds it.
const BETWEEN: &str = "\n";

/// Takes what a file holds under [`NAME`].
pub(super) fn take(
    origin: &str,
    value: toml::Value,
    table: &mut Table,
    mistakes: &mut Vec<Mistake>,
) {
    let toml::Value::Table(values) = value else {
        match Given::from_toml(value, origin.to_owned()) {
            Ok(given) if given.text() == "off" => drop(table.insert(NAME, given)),
            Ok(given) => given.refuse("must be off or a table", mistakes),
            Err(_) => mistakes.push(Mistake(format!("{origin}: must be \"off\" or a table"))),
        }
        return;
    };
    // An empty table switches it on, too.
    let (text, origin) = ("on".to_owned(), origin.to_owned());
    for (key, value) in values {
        let place = format!("{origin}.{key}");
        let Some(path) = PATHS
            .into_iter()
            .find(|path| path.ends_with(&format!(".{key}")))
        else {
            let why = "is not part of it; it has min, max, stale_budget, families";
            mistakes.push(Mistake(format!("{place} {why}")));
            continue;
        };
        let given = match (path, value) {
            (FAMILIES, toml::Value::Array(all)) => templates(place, all),
            (FAMILIES, _) => Err(Mistake(format!("{place}: write it as [\"TEMPLATE\", ...]"))),
            (_, value) => Given::from_toml(value, place),
        };
        match given {
            Ok(given) => drop(table.insert(path, given)),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    table.insert(NAME, Given { text, origin });
}

fn templates(origin: String, all: Vec<toml::Value>) -> Result<Given, Mistake> {
    let all = all.into_iter().map(|value| match value {
        toml::Value::String(text) if !text.contains(BETWEEN) => Ok(text),
        other => Err(Mistake(format!("{origin}: {other} is not a template"))),
    });
    let text = all.collect::<Result<Vec<_>, _>>()?.join(BETWEEN);
    Ok(Given { text, origin })
}

/// What is in force.
pub(super) fn judge(
    read: &mut Reader<'_>,
    max_ttl: Duration,
    inherited: Option<&Arc<AdaptiveTtl>>,
) -> Option<Arc<AdaptiveTtl>> {
    let Some(own) = read.table.get(NAME) else {
        return inherited.cloned();
    };
    if own.text() == "off" {
        return None;
    }
    let inherited = inherited
        .map(|config| (**config).clone())
        .unwrap_or_default();
    let max = read.ttl(MAX, max_ttl, inherited.max);
    let min = read.time(MIN, limits::TTL_MIN, inherited.min);
    let config = AdaptiveTtl {
        min: not_over(read, min, max),
        max,
        stale_budget: budget(read, inherited.stale_budget),
        families: families(read, inherited.families),
    };
    Some(Arc::new(config))
}

/// One that is inherited gives way.
fn not_over(read: &mut Reader<'_>, min: Duration, max: Duration) -> Duration {
    if let Some(given) = read.table.get(MIN)
        && min > max
    {
        let max = units::show_duration(max);
        given.refuse(&format!("is over its max, which is {max}"), read.mistakes);
    }
    min.min(max)
}

fn budget(read: &mut Reader<'_>, inherited: f64) -> f64 {
    let (least, most) = BUDGETS;
    let allowed = format!("a share of reads from {least} to {most}, like 0.01");
    read.read(BUDGET, inherited, &allowed, |text| {
        let budget = text.parse().ok();
        budget.filter(|budget| (least..=most).contains(budget))
    })
}

fn families(read: &mut Reader<'_>, inherited: Vec<Template>) -> Vec<Template> {
    let Some(given) = read.table.get(FAMILIES) else {
        return inherited;
    };
    let mut families: Vec<Template> = Vec::new();
    for text in given
        .text()
        .split(BETWEEN)
        .filter(|_| !given.text().is_empty())
    {
        let why = match Template::new(text) {
            Ok(template) if !families.contains(&template) => {
                families.push(template);
                continue;
            }
            Ok(_) => "is there twice".to_owned(),
            Err(bad) => bad.to_string(),
        };
        let origin = &given.origin;
        read.mistakes
            .push(Mistake(format!("{origin}: the template {text:?} {why}")));
    }
    if families.len() >= MOST_FAMILIES {
        let (origin, count, most) = (&given.origin, families.len(), MOST_FAMILIES - 1);
        let why = format!("{origin} holds {count} templates; at most {most} are allowed");
        read.mistakes.push(Mistake(why));
    }
    families
}

/// As it can be read again, in one line.
pub(super) fn shown(config: Option<&AdaptiveTtl>) -> String {
    let Some(config) = config else {
        return "off".into();
    };
    let families = config.families.iter();
    let families =
        families.map(|template| toml::Value::String(template.as_str().into()).to_string());
    format!(
        "{{ min = {:?}, max = {:?}, stale_budget = {}, families = [{}] }}",
        units::show_duration(config.min),
        units::show_duration(config.max),
        config.stale_budget,
        families.collect::<Vec<_>>().join(", "),
    )
}
