//! Adaptive ttl: how long an entry lives whose writer gives no ttl, by what was
//! seen of the keys like it. What changes seldom lives longer, what changes often
//! shorter, and what is read often is what the budget of stale reads is spent on
//! with care (`budget.rs` has the formula and its sources).
//!
//! Guarantees: a ttl is within the namespace's bounds, whatever was seen; a family
//! of which little was seen stays near `default_ttl`; memory is bounded; no clock
//! but the pod's own is asked, which nobody can set. Decides nothing that is
//! coherent: an invalidation ends an entry whatever its ttl.

mod budget;
mod estimate;
mod families;
mod record;
mod samples;

use crate::clock::Moment;
use crate::key::Delimiters;
use budget::Known;
use estimate::Estimate;
pub use estimate::{Change, Seen};
pub use families::Template;
pub use samples::{HITS, Samples};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Most families of a namespace; the keys of more are one family together.
pub const MOST_FAMILIES: usize = 256;
/// What of `max` an observation counts half after: nothing is learned faster than
/// the longest entries are loaded again.
const HALF_LIFE: u32 = 4;
/// It counts half after this at the least.
const HALF_LIFE_LEAST: Duration = Duration::from_secs(600);
/// So many observations weigh as much as `default_ttl` does.
const FEW: f64 = 8.0;
/// A learned family of which less than this is remembered makes room for others.
const FORGOTTEN: f64 = 0.25;
/// The template of the family of the rest: no key is empty.
const REST: &str = "";

/// What a namespace says of learned ttls.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptiveTtl {
    /// Shortest ttl.
    pub min: Duration,
    /// Longest ttl.
    pub max: Duration,
    /// The share of the namespace's reads that may be stale.
    pub stale_budget: f64,
    /// Families that are known beforehand, in their order.
    pub families: Vec<Template>,
}

impl Default for AdaptiveTtl {
    fn default() -> Self {
        Self {
            min: Duration::from_secs(5),
            max: Duration::from_secs(3600),
            stale_budget: 0.01,
            families: Vec::new(),
        }
    }
}

/// What cut a learned ttl.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bound {
    /// Nothing.
    #[default]
    Nothing,
    /// The namespace's shortest ttl.
    Min,
    /// The namespace's longest ttl.
    Max,
    /// What a single family may be stale.
    FamilyShare,
}

/// What is known of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Its template; empty: the rest.
    pub template: Arc<str>,
    /// It was configured.
    pub configured: bool,
    /// The ttl of an entry that is stored now.
    pub ttl: Duration,
    /// What cut it.
    pub bound: Bound,
    /// Changes of one key per second.
    pub changes_per_second: f64,
    /// Reads of one key per second, in this pod; 0: not known.
    pub reads_per_second: f64,
    /// Intervals seen, the old counting less.
    pub observations: f64,
    /// The share of its reads that is stale with this ttl, if nothing tells of
    /// its changes.
    pub stale_share: f64,
}

/// What a namespace's policy says beside its [`AdaptiveTtl`], and its fleet.
#[derive(Clone, Copy, Debug)]
pub struct Around {
    /// The ttl of an entry of which nothing is known.
    pub default_ttl: Duration,
    /// The longest ttl that any entry may have.
    pub max_ttl: Duration,
    /// Pods that read the same keys, each about as often.
    pub pods: usize,
}

/// What was learned of one namespace.
pub struct Learned {
    config: Arc<AdaptiveTtl>,
    families: BTreeMap<Arc<str>, Member>,
    faded: Moment,
    /// Observations since it was made.
    seen: u64,
    /// Those of them that the ttls are of.
    planned: Option<u64>,
}

#[derive(Default)]
struct Member {
    estimate: Estimate,
    /// As of the last plan; none: there was none since it was met.
    told: Option<Family>,
}

impl Learned {
    /// Nothing yet.
    pub fn new(config: Arc<AdaptiveTtl>, now: Moment) -> Self {
        let mut learned = Self {
            config: Arc::default(),
            families: BTreeMap::new(),
            faded: now,
            seen: 0,
            planned: None,
        };
        learned.configure(config);
        learned
    }

    /// Other bounds and families from now on; what was learned stays.
    pub fn configure(&mut self, config: Arc<AdaptiveTtl>) {
        self.config = config;
        self.planned = None;
        for template in self
            .config
            .families
            .iter()
            .map(Template::text)
            .chain([REST.into()])
        {
            self.families.entry(template).or_default();
        }
    }

    /// The ttl of a key's entry that is stored now, and what was seen of the key.
    pub fn ttl(
        &mut self,
        name: &str,
        delimiters: &Delimiters,
        seen: Option<Seen>,
        around: &Around,
    ) -> Duration {
        let template = self.template(name, delimiters);
        let member = self.families.entry(template).or_default();
        if let Some(seen) = seen {
            member.estimate.see(seen);
            self.seen += 1;
        }
        let ttl = member.told.as_ref().map(|told| told.ttl);
        let (min, max) = bounds(&self.config, around);
        ttl.unwrap_or(around.default_ttl).clamp(min, max)
    }

    /// What is known of a key's family.
    pub fn family(&self, name: &str, delimiters: &Delimiters, around: &Around) -> Family {
        let template = self.template(name, delimiters);
        let member = self.families.get(&template);
        let told = member.and_then(|member| member.told.clone());
        told.unwrap_or_else(|| {
            let estimate = member.map(|member| member.estimate.clone());
            let mut plan = self.plan(around);
            plan.families = vec![(template, estimate.unwrap_or_default())];
            plan.made().remove(0)
        })
    }

    /// The families, in no order.
    pub fn families(&self) -> impl Iterator<Item = &Family> {
        self.families
            .values()
            .filter_map(|member| member.told.as_ref())
    }

    /// Whether anything was seen since the last plan.
    pub fn is_due(&self) -> bool {
        self.planned != Some(self.seen)
    }

    /// Observations since the start.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// What the ttls are to be made of. Making them takes some milliseconds where
    /// there are many families: not while others wait.
    pub fn plan(&self, around: &Around) -> Plan {
        let all = self.families.iter();
        let all = all.map(|(template, member)| (template.clone(), member.estimate.clone()));
        Plan {
            config: self.config.clone(),
            around: *around,
            families: all.collect(),
            seen: self.seen,
        }
    }

    /// Puts other ttls in force, and forgets what is old.
    pub fn apply(&mut self, made: Vec<Family>, seen: u64, now: Moment) {
        self.planned = Some(seen);
        for family in made {
            if let Some(member) = self.families.get_mut(&family.template) {
                member.told = Some(family);
            }
        }
        self.fade(now);
    }

    fn fade(&mut self, now: Moment) {
        let half_life = self.half_life();
        let passed = now.since(self.faded);
        // Not at every turn: what is taken off must not vanish in rounding.
        if passed < half_life / 256 {
            return;
        }
        self.faded = now;
        let factor = faded(passed, half_life);
        let config = self.config.clone();
        let is_full = self.families.len() >= MOST_FAMILIES;
        self.families.retain(|template, member| {
            member.estimate.fade(factor);
            let stays = !is_full || is_configured(&config, template) || **template == *REST;
            stays || member.estimate.observations >= FORGOTTEN
        });
    }

    fn half_life(&self) -> Duration {
        (self.config.max * HALF_LIFE).max(HALF_LIFE_LEAST)
    }

    fn template(&self, name: &str, delimiters: &Delimiters) -> Arc<str> {
        let mut configured = self.config.families.iter();
        if let Some(template) = configured.find(|template| template.matches(name, delimiters)) {
            return template.text();
        }
        let learned = families::learned(name, delimiters);
        match self.families.get_key_value(learned.as_str()) {
            Some((known, _)) => known.clone(),
            None if self.families.len() >= MOST_FAMILIES => REST.into(),
            None => learned.into(),
        }
    }
}

/// What ttls are made of.
pub struct Plan {
    config: Arc<AdaptiveTtl>,
    around: Around,
    families: Vec<(Arc<str>, Estimate)>,
    seen: u64,
}

impl Plan {
    /// Observations that it is of.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// What is known of each family, its ttl included.
    pub fn made(&self) -> Vec<Family> {
        let budget = self.config.stale_budget;
        let prior = budget::rate_of(self.around.default_ttl.as_secs_f64(), budget);
        let known: Vec<_> = self
            .families
            .iter()
            .map(|(_, e)| self.known(e, prior))
            .collect();
        let (min, max) = bounds(&self.config, &self.around);
        let range = (min.as_secs_f64(), max.as_secs_f64());
        let best = budget::spend(&known, range, budget);
        let each = self.families.iter().zip(known).zip(best);
        each.map(|((family, known), best)| self.family(family, &known, best))
            .collect()
    }

    fn known(&self, estimate: &Estimate, prior: f64) -> Known {
        let reads = estimate.reads_per_second().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "pods are few")]
        let pods = self.around.pods.max(1) as f64;
        Known {
            changes: estimate.changes_per_second(prior),
            // The entry that one pod has loaded, all of them read.
            reads: (reads * pods).max(f64::MIN_POSITIVE),
            weight: estimate.reads,
        }
    }

    fn family(
        &self,
        (template, estimate): &(Arc<str>, Estimate),
        known: &Known,
        (best, is_cut): (f64, bool),
    ) -> Family {
        let trust = estimate.observations / (estimate.observations + FEW);
        let default = self.around.default_ttl.as_secs_f64();
        let ttl = default.powf(1.0 - trust) * best.powf(trust);
        let (min, max) = bounds(&self.config, &self.around);
        let ttl = Duration::try_from_secs_f64(ttl)
            .unwrap_or(max)
            .clamp(min, max);
        Family {
            template: template.clone(),
            configured: is_configured(&self.config, template),
            ttl,
            bound: match () {
                () if ttl <= min => Bound::Min,
                () if ttl >= max => Bound::Max,
                () if is_cut && trust > 0.5 => Bound::FamilyShare,
                () => Bound::Nothing,
            },
            changes_per_second: known.changes,
            reads_per_second: estimate.reads_per_second().unwrap_or_default(),
            observations: estimate.observations,
            stale_share: known.stale_share(ttl.as_secs_f64()),
        }
    }
}

fn is_configured(config: &AdaptiveTtl, template: &str) -> bool {
    config
        .families
        .iter()
        .any(|known| known.as_str() == template)
}

/// Whoever changes one of the bounds alone must not make them cross.
fn bounds(config: &AdaptiveTtl, around: &Around) -> (Duration, Duration) {
    let max = config.max.min(around.max_ttl).max(crate::limits::TTL_MIN);
    (config.min.clamp(crate::limits::TTL_MIN, max), max)
}

/// What is left of what was seen before.
fn faded(passed: Duration, half_life: Duration) -> f64 {
    (-passed.as_secs_f64() / half_life.as_secs_f64()).exp2()
}

/// Where a function that is false, then true, turns true.
fn bisect((mut low, mut high): (f64, f64), is_over: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        match is_over(middle) {
            true => high = middle,
            false => low = middle,
        }
    }
    low
}

/// Of a range of logarithms they leave less than one in ten million.
const BISECTIONS: usize = 30;

#[cfg(test)]
mod tests;
