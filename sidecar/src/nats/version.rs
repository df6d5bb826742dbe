//! Server versions: which are refused, which are warned about.
//!
//! 2.11 is the first with per-message ttl; 2.14.4 is the first on which the
//! log's fault runs were clean.

use std::fmt;

/// The oldest version that works.
pub(crate) const NEEDED: Version = Version(2, 11, 0);
/// The oldest version that is not warned about.
pub(crate) const RECOMMENDED: Version = Version(2, 14, 4);

/// A server's version, without its pre-release part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32, pub(crate) u32);

impl Version {
    /// Reads "2.15.1" or "2.12.0-preview.1".
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let plain = text.trim_start_matches('v').split(['-', '+']).next()?;
        let mut numbers = plain.split('.').map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self(next()?, next()?, next().unwrap_or(0)))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Whether a server of this version can be used; `Ok` carries a warning.
pub(crate) fn check(found: &str) -> Result<Option<String>, String> {
    let Some(version) = Version::parse(found) else {
        return Err(format!(
            "the NATS server says it is version {found:?}, which cannot be read; {NEEDED} or newer is needed"
        ));
    };
    if version < NEEDED {
        return Err(format!(
            "the NATS server is version {version}; {NEEDED} or newer is needed"
        ));
    }
    Ok((version < RECOMMENDED).then(|| {
        format!("the NATS server is version {version}; {RECOMMENDED} or newer is recommended")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_refused_naming_both_versions() {
        let text = check("2.9.10").unwrap_err();
        assert!(text.contains("2.9.10") && text.contains("2.11.0"), "{text}");
        assert!(check("nightly").is_err());
        assert!(check("").is_err());
    }

    #[test]
    fn an_old_server_is_warned_about_and_a_current_one_is_not() {
        let text = check("2.11.0-preview.2").unwrap().unwrap();
        assert!(text.contains("2.11.0") && text.contains("2.14.4"), "{text}");
        assert!(check("2.14.3").unwrap().is_some());
        assert_eq!(check("2.14.4"), Ok(None));
        assert_eq!(check("v2.15.1"), Ok(None));
        assert_eq!(check("2.100.0"), Ok(None));
    }
}
