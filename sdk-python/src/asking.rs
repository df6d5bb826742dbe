//! Grants are held from the moment at which they arrive.

use crate::grant::Held;
use crate::reply::Reply;
use crate::runtime::Driver;
use unstale::{Answer, Cache, Leased};

/// A grant of this key, if it is one.
pub(crate) fn held(
    driver: &'static Driver,
    cache: &Cache,
    key: &str,
    leased: Answer<Leased>,
) -> Reply {
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
