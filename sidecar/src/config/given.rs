//! What was given, as texts: where each came from, the last source winning. A
//! source that cannot be read is a mistake among others, and the rest is read
//! all the same.
//!
//! Judges nothing but what a file's keys are; `settings.rs` and `policies.rs` do.

use super::Flags;
use super::file::{self, File, Parts};
use super::policies::Tables;
use super::settings::NAMES;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// One mistake, on one line: the setting, the value, what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake(pub String);

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text and where it was given.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) origin: String,
}

/// It may be a password.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given({})", self.origin)
    }
}

impl Given {
    /// A value of the file; numbers are texts, too.
    pub(super) fn from_toml(value: toml::Value, origin: String) -> Result<Self, Mistake> {
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            other => {
                let kind = other.type_str();
                let why = format!("{origin} is a {kind}; write it as a text in quotes");
                return Err(Mistake(why));
            }
        };
        Ok(Self { text, origin })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Says what is wrong with it.
    pub(super) fn refuse(&self, why: &str, mistakes: &mut Vec<Mistake>) {
        let Self { text, origin } = self;
        mistakes.push(Mistake(format!("{origin} is {text:?}: {why}")));
    }
}

/// Everything that was given, not judged yet.
pub(super) struct Gathered {
    pub(super) settings: BTreeMap<&'static str, Given>,
    pub(super) policies: Tables,
    pub(super) mistakes: Vec<Mistake>,
    /// A source could not be read to its end: what is not given may be there.
    pub(super) partial: bool,
}

/// The file that the flags or the environment name.
pub(super) fn file_of(flags: &Flags, env: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let flag = flags.config.clone();
    flag.or_else(|| env("UNSTALE_CONFIG").map(PathBuf::from))
}

/// Collects the text of every setting, the last source winning.
pub(super) fn gather(
    flags: &Flags,
    env: &dyn Fn(&str) -> Option<OsString>,
    file: Option<&File>,
) -> Gathered {
    let Parts {
        mut settings,
        policies,
        mut mistakes,
        mut partial,
    } = file.map(file::parts).unwrap_or_default();
    for name in NAMES {
        let variable = format!("UNSTALE_{}", name.to_uppercase());
        match env(&variable).map(OsString::into_string) {
            Some(Ok(text)) => {
                let origin = variable;
                settings.insert(name, Given { text, origin });
            }
            // Dropping it would run the sidecar with a setting nobody chose.
            Some(Err(_)) => {
                mistakes.push(Mistake(format!("{variable} is not UTF-8 text")));
                partial = true;
            }
            None => {}
        }
        if let Some(text) = flags.given(name) {
            let origin = format!("--{}", name.replace('_', "-"));
            let text = text.to_owned();
            settings.insert(name, Given { text, origin });
        }
    }
    Gathered {
        settings,
        policies,
        mistakes,
        partial,
    }
}
