//! The configuration file: TOML, settings at the top, policies in tables.
//!
//! Splits it into texts that `settings.rs` and `policies.rs` judge. A key that
//! neither knows is a mistake.

use super::given::{Given, Mistake};
use super::policies::Tables;
use super::settings::NAMES;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A file as it was read: where, and its text or why there is none.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Where.
    pub path: PathBuf,
    /// The text.
    pub text: Result<String, String>,
}

/// It may hold a password.
impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({})", self.path.display())
    }
}

impl File {
    /// Reads it.
    pub fn read(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).map_err(|e| e.to_string());
        Self { path, text }
    }
}

/// What a file gives.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) settings: BTreeMap<&'static str, Given>,
    pub(super) policies: Tables,
    pub(super) mistakes: Vec<Mistake>,
    /// A setting could not be read: what is not given may be there.
    pub(super) partial: bool,
}

/// Takes a file apart.
pub(super) fn parts(file: &File) -> Parts {
    let mut parts = Parts::default();
    let shown = file.path.display().to_string();
    match table(file) {
        Ok(table) => {
            for (key, value) in table {
                match (key.as_str(), value) {
                    ("namespace" | "namespace_defaults", value) => {
                        parts
                            .policies
                            .take(&shown, &key, value, &mut parts.mistakes);
                    }
                    (_, value) => setting(&mut parts, &shown, &key, value),
                }
            }
        }
        Err(why) => {
            parts.mistakes.push(Mistake(format!("{shown}: {why}")));
            parts.partial = true;
        }
    }
    parts
}

fn table(file: &File) -> Result<toml::Table, String> {
    let text = file.text.as_ref().map_err(Clone::clone)?;
    text.parse().map_err(|e: toml::de::Error| {
        let before = e
            .span()
            .map_or("", |span| text.get(..span.start).unwrap_or(text));
        let line = before.matches('\n').count() + 1;
        let why = e.message().replace('\n', " ");
        format!("line {line} is not TOML: {why}")
    })
}

fn setting(parts: &mut Parts, shown: &str, key: &str, value: toml::Value) {
    let Some(name) = NAMES.into_iter().find(|name| *name == key) else {
        let known = NAMES.join(", ");
        let what = format!(
            "{shown}: {key} is not a setting; the settings are {known}, and the tables namespace.NAME and namespace_defaults"
        );
        parts.mistakes.push(Mistake(what));
        return;
    };
    let origin = format!("{shown}: {key}");
    match Given::from_toml(value, origin) {
        Ok(given) => drop(parts.settings.insert(name, given)),
        Err(mistake) => {
            parts.mistakes.push(mistake);
            parts.partial = true;
        }
    }
}
