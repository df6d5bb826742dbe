//! The sidecars that are driven, and what they say of themselves.

use super::super::exit::Failure;
use std::sync::Mutex;
use std::time::Duration;
use unstale::{Cache, Error, Status};

/// How long a sidecar may take to answer at all.
const ANSWER: Duration = Duration::from_secs(3);
/// A load balancer that spreads calls over pods shows within so many.
const ASKED: usize = 8;

/// A sidecar.
pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) cache: Cache,
    pub(super) bound: Duration,
    pub(super) fleet: String,
    /// Where it was when the run began.
    position: String,
    /// The process that answered last. One that the fleet expelled has another
    /// session, and is the same.
    instance: Mutex<String>,
    /// The epoch of its newest answer.
    epoch: Mutex<String>,
}

/// All of them.
pub(super) struct Endpoints(pub(super) Vec<Endpoint>);

/// Connects to every one; each must be there, and be one sidecar of one fleet.
pub(super) async fn connect(urls: &[String], namespace: &str) -> Result<Endpoints, Failure> {
    let mut endpoints = Vec::new();
    for url in urls {
        let endpoint = Endpoint::connect(url, namespace).await;
        endpoints.push(endpoint.map_err(|why| named(url, why))?);
    }
    let first: &Endpoint = &endpoints[0];
    if let Some(other) = endpoints.iter().find(|other| other.fleet != first.fleet) {
        let why = format!(
            "{} is of fleet {:?}, {} of fleet {:?}",
            first.url, first.fleet, other.url, other.fleet
        );
        return Err(Failure::Usage(why));
    }
    Ok(Endpoints(endpoints))
}

/// The failure, and of whom.
fn named(url: &str, failure: Failure) -> Failure {
    match failure {
        Failure::Cache(Error::Unreachable(why)) => {
            Failure::Cache(Error::Unreachable(format!("{url}: {why}")))
        }
        Failure::Cache(Error::Invalid { message, .. }) => {
            Failure::Usage(format!("{url} refuses the namespace: {message}"))
        }
        other => other,
    }
}

impl Endpoint {
    async fn connect(url: &str, namespace: &str) -> Result<Self, Failure> {
        let builder = Cache::builder().endpoint(url).namespace(namespace);
        let cache = builder.strict().connect().await?;
        let status = status(&cache).await?;
        // Refused, it says why.
        cache.get("verify").await?;
        let endpoint = Self {
            url: url.to_owned(),
            bound: status.staleness_bound,
            fleet: status.fleet.clone(),
            instance: Mutex::new(status.instance.clone()),
            epoch: Mutex::new(epoch(&status.position).to_owned()),
            position: status.position,
            cache,
        };
        for _ in 1..ASKED {
            if endpoint.is_another_process().await? {
                let why = format!("{url} is more than one sidecar: give an --endpoint per pod");
                return Err(Failure::Usage(why));
            }
        }
        Ok(endpoint)
    }

    /// Asks whether another process answers than the one that was asked last
    /// (by whomever: only the first to ask is told).
    pub(super) async fn is_another_process(&self) -> Result<bool, Error> {
        let now = status(&self.cache).await?.instance;
        let mut known = self.instance.lock().expect("no panic");
        let before = std::mem::replace(&mut *known, now);
        Ok(before != *known)
    }

    /// It answered at this position; whether that is of another epoch than its
    /// last answer.
    pub(super) fn moved(&self, position: &str) -> bool {
        let now = epoch(position);
        if now.bytes().all(|digit| digit == b'0') {
            return false;
        }
        let mut known = self.epoch.lock().expect("no panic");
        let met = !known.bytes().all(|digit| digit == b'0');
        let moved = met && *known != now;
        now.clone_into(&mut known);
        moved
    }
}

impl Endpoints {
    /// The longest of their bounds.
    pub(super) fn bound(&self) -> Duration {
        let bounds = self.0.iter().map(|endpoint| endpoint.bound);
        bounds.max().unwrap_or_default()
    }

    /// What makes the run less than a proof.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.0.len() == 1 {
            let only = "one --endpoint: only one pod is observed, not what the others serve";
            warnings.push(only.to_owned());
        }
        let first = &self.0[0];
        let apart = |other: &&Endpoint| epoch(&other.position) != epoch(&first.position);
        let apart = self.0.iter().filter(apart);
        warnings.extend(apart.map(|other| {
            let (one, other) = (&first.url, &other.url);
            format!("{one} and {other} do not read the same log")
        }));
        warnings
    }

    /// Where they were when the run began.
    pub(super) fn positions(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|endpoint| endpoint.position.as_str())
    }
}

async fn status(cache: &Cache) -> Result<Status, Error> {
    let answered = tokio::time::timeout(ANSWER, cache.status()).await;
    answered.unwrap_or_else(|_| Err(Error::Unreachable(format!("no answer within {ANSWER:?}"))))
}

fn epoch(position: &str) -> &str {
    position.split('-').next().unwrap_or_default()
}
