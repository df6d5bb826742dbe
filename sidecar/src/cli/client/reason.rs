//! Why a write was not stored, for `set` and `cas`: in words, and as `--json`
//! names it.

use serde_json::{Value as Json, json};
use unstale::NotStoredReason;

/// For people.
pub(super) fn words(reason: &NotStoredReason) -> String {
    match reason {
        NotStoredReason::PositionTooOld => "the position is too old".to_owned(),
        NotStoredReason::PositionUnknown => {
            "the position is beyond the end of this fleet's log".to_owned()
        }
        NotStoredReason::OlderSourceVersion { min_source_version } => {
            format!("a newer source version is known; {min_source_version} or higher is accepted")
        }
        NotStoredReason::Present => "something is cached".to_owned(),
        NotStoredReason::DependencyChanged => {
            "what it depends on changed, or cannot be looked up".to_owned()
        }
        NotStoredReason::TooManyDependencies => "it depends on more than an entry may".to_owned(),
        NotStoredReason::Covered => {
            "the key was invalidated or written after the position".to_owned()
        }
        _ => "for a reason that this version does not know".to_owned(),
    }
}

/// Adds `reason`, null when there is none, and what goes with it.
pub(super) fn added(mut object: Json, reason: Option<&NotStoredReason>) -> Json {
    object["reason"] = json!(reason.map(name));
    if let Some(NotStoredReason::OlderSourceVersion { min_source_version }) = reason {
        object["min_source_version"] = json!(min_source_version);
    }
    object
}

fn name(reason: &NotStoredReason) -> &'static str {
    match reason {
        NotStoredReason::Covered => "COVERED",
        NotStoredReason::PositionTooOld => "POSITION_TOO_OLD",
        NotStoredReason::PositionUnknown => "POSITION_UNKNOWN",
        NotStoredReason::OlderSourceVersion { .. } => "OLDER_SOURCE_VERSION",
        NotStoredReason::Present => "PRESENT",
        NotStoredReason::DependencyChanged => "DEPENDENCY_CHANGED",
        NotStoredReason::TooManyDependencies => "TOO_MANY_DEPENDENCIES",
        _ => "OTHER",
    }
}
