//! Asking for leases. Grants are held from the moment at which they arrive.

use crate::grant::Held;
use crate::link::Link;
use crate::options::seconds;
use crate::reply::Reply;
use crate::runtime::Driver;
use pyo3::prelude::*;
use std::sync::Arc;
use unstale::{Answer, Cache, Error, LeaseOptions, Leased, Obtained};

/// How one key is asked for.
pub(crate) struct Asked {
    pub(crate) options: LeaseOptions,
    pub(crate) allow_stale: bool,
    /// Whether to say so when others will have nothing to share.
    pub(crate) apart: bool,
    /// Whether to give up at once on a sidecar that is silent.
    pub(crate) attempt: bool,
}

pub(crate) fn asking(
    term: Option<f64>,
    wait: f64,
    min_position: Option<String>,
) -> PyResult<LeaseOptions> {
    Ok(LeaseOptions {
        term: seconds(term)?,
        wait: seconds(Some(wait))?.unwrap_or_default(),
        min_position,
    })
}

/// An entry, or the right to load it.
pub(crate) async fn ask(link: Arc<Link>, key: String, asked: Asked) -> Result<Reply, Error> {
    let Asked { apart, attempt, .. } = asked;
    let cache = match attempt {
        true => link.attempt(link.cache()).await?,
        false => link.cache().await?,
    };
    let ask = |options| {
        let (link, asking) = (&link, cache.lease_with(key.as_str(), options));
        async move {
            match attempt {
                true => link.attempt(asking).await,
                false => asking.await,
            }
        }
    };
    let how = (asked.options, asked.allow_stale);
    Ok(match cache.obtain(&key, how, apart, ask).await? {
        Obtained::Leased(leased) => held(link.driver, cache, &key, leased),
        Obtained::Alone(_) => Reply::Alone,
    })
}

/// A grant of this key, if it is one.
fn held(driver: &'static Driver, cache: &Cache, key: &str, leased: Answer<Leased>) -> Reply {
    let held = grant_of(driver, cache, key, &leased.result);
    Reply::Leased(Box::new((leased, held)))
}

/// The same for a batch.
pub(crate) fn held_many(
    driver: &'static Driver,
    cache: &Cache,
    keys: &[String],
    leased: Answer<Vec<Leased>>,
) -> Reply {
    Reply::LeasedMany(leased.map(|leased| {
        let each = keys.iter().zip(leased);
        each.map(|(key, one)| {
            let held = grant_of(driver, cache, key, &one);
            (one, held)
        })
        .collect()
    }))
}

fn grant_of(driver: &'static Driver, cache: &Cache, key: &str, leased: &Leased) -> Option<Held> {
    match leased {
        Leased::Granted(grant) => Some(Held::new(driver, cache, key, grant)),
        Leased::Hit(_) | Leased::Negative(_) | Leased::Busy { .. } => None,
    }
}
