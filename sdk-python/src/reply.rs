//! What calls come to: kept without the GIL, given to Python with it.

use crate::entry::{Answer, RawEntry, degraded, of_entry, of_nothing, raw};
use crate::error::exception;
use crate::explain::Explanation;
use crate::grant::{Grant, Held};
use crate::pods::{Status, peers};
use crate::retained::{Held as Referring, Reference, Released, Retained};
use crate::watch::{Watch, WatchEvent};
use pyo3::prelude::*;
use pyo3::{PyClass, PyClassInitializer};
use unstale::{
    Answer as Told, CasOutcome, Filled, Invalidated as Acked, Leased, Lookup, NotStoredReason,
    Session, SetOutcome, SetResults, Voided,
};

/// What a call came to.
pub(crate) enum Reply {
    Nothing,
    /// Others load, and will have nothing to share.
    Alone,
    Lookup(Told<Lookup>),
    Lookups(Told<Vec<Lookup>>),
    Leased(Box<(Told<Leased>, Option<Held>)>),
    LeasedMany(Told<Vec<(Leased, Option<Held>)>>),
    Set(Told<SetOutcome>),
    SetMany(Told<SetResults>),
    Cas(Told<CasOutcome>),
    Filled(Told<Filled>),
    Invalidated(Acked),
    Watch(unstale::Watch),
    Event(Option<unstale::WatchEvent>),
    Status(Box<unstale::Status>),
    Peers(Vec<unstale::Peer>),
    Explanation(Box<unstale::Explanation>),
    Reference(unstale::Reference),
    Retained(Box<Referring>),
    Released(unstale::Released),
}

impl Reply {
    /// As a Python object.
    pub(crate) fn give(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(match self {
            Self::Nothing => py.None(),
            Self::Alone => object(py, Answer::alone())?,
            Self::Lookup(told) => {
                let answer = Answer::found(py, told.result, told.position, degraded(told.degraded));
                object(py, answer?)?
            }
            Self::Lookups(told) => lookups(py, told)?,
            Self::Leased(both) => {
                let (told, held) = *both;
                let degraded = degraded(told.degraded);
                object(py, leased(py, told.result, held, told.position, degraded)?)?
            }
            Self::LeasedMany(told) => leased_many(py, told)?,
            Self::Set(told) => object(py, Written::set(py, told.result, told.position)?)?,
            Self::SetMany(told) => set_many(py, told)?,
            Self::Cas(told) => object(py, Written::cas(py, told)?)?,
            Self::Filled(told) => object(py, Written::filled(told))?,
            Self::Invalidated(acked) => object(py, Invalidated::from(acked))?,
            Self::Watch(events) => object(py, Watch::new(events))?,
            Self::Event(None) => py.None(),
            Self::Event(Some(event)) => object(py, WatchEvent::from(event))?,
            Self::Status(status) => object(py, Status::from(*status))?,
            Self::Peers(known) => peers(py, known)?,
            Self::Explanation(told) => object(py, Explanation::from(*told))?,
            Self::Reference(told) => object(py, Reference::from(told))?,
            Self::Retained(held) => object(py, Retained::new(*held))?,
            Self::Released(told) => object(py, Released::from(told))?,
        })
    }
}

impl Reply {
    /// The same; of an entry, or of nothing at the origin, only what a value is
    /// made of.
    pub(crate) fn brief(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let brief = match &self {
            Self::Leased(both) => match &both.0.result {
                Leased::Hit(entry) => of_entry(py, entry),
                Leased::Negative(_) => of_nothing(py),
                Leased::Granted(_) | Leased::Busy { .. } => return self.give(py),
            },
            _ => return self.give(py),
        };
        Ok(brief.into_pyobject(py)?.into_any().unbind())
    }
}

fn object<T>(py: Python<'_>, value: T) -> PyResult<Py<PyAny>>
where
    T: PyClass + Into<PyClassInitializer<T>>,
{
    Ok(Py::new(py, value)?.into_any())
}

fn lookups(py: Python<'_>, told: Told<Vec<Lookup>>) -> PyResult<Py<PyAny>> {
    let degraded = degraded(told.degraded);
    let mut answers = Vec::with_capacity(told.result.len());
    for lookup in told.result {
        let answer = Answer::found(py, lookup, told.position.clone(), degraded.clone())?;
        answers.push(Py::new(py, answer)?);
    }
    Ok(answers.into_pyobject(py)?.unbind())
}

fn leased(
    py: Python<'_>,
    leased: Leased,
    held: Option<Held>,
    position: String,
    degraded: Vec<&'static str>,
) -> PyResult<Answer> {
    let retry_after = match &leased {
        Leased::Busy { retry_after, .. } => Some(retry_after.as_secs_f64()),
        Leased::Hit(_) | Leased::Negative(_) | Leased::Granted(_) => None,
    };
    let (kind, entry): (_, Option<RawEntry>) = match leased {
        Leased::Hit(entry) => ("hit", Some(entry.into())),
        Leased::Negative(negative) => ("negative", Some(negative.into())),
        Leased::Granted(grant) => ("granted", grant.stale.map(RawEntry::from)),
        Leased::Busy { stale, .. } => ("busy", stale.map(RawEntry::from)),
    };
    let grant = held.map(|held| Py::new(py, Grant::new(held)));
    Ok(Answer {
        kind,
        entry: entry.map(|entry| Py::new(py, entry)).transpose()?,
        grant: grant.transpose()?,
        retry_after,
        position,
        degraded,
    })
}

fn leased_many(py: Python<'_>, told: Told<Vec<(Leased, Option<Held>)>>) -> PyResult<Py<PyAny>> {
    let degraded = degraded(told.degraded);
    let mut answers = Vec::with_capacity(told.result.len());
    for (one, held) in told.result {
        let answer = leased(py, one, held, told.position.clone(), degraded.clone())?;
        answers.push(Py::new(py, answer)?);
    }
    Ok(answers.into_pyobject(py)?.unbind())
}

fn set_many(py: Python<'_>, told: Told<SetResults>) -> PyResult<Py<PyAny>> {
    let mut results = Vec::with_capacity(told.result.len());
    for result in told.result {
        results.push(match result {
            Ok(outcome) => object(py, Written::set(py, outcome, told.position.clone())?)?,
            Err(error) => exception(py, error)?.unbind(),
        });
    }
    Ok(results.into_pyobject(py)?.unbind())
}

/// What became of a write, a compare-and-set or a fill.
#[pyclass(frozen, get_all, module = "unstale._native")]
pub(crate) struct Written {
    /// Whether it is stored.
    stored: bool,
    /// The version; none when not stored, or not decided by the log.
    version: Option<String>,
    /// Why it is not stored.
    reason: Option<&'static str>,
    /// The least source version that is accepted.
    min_source_version: Option<u64>,
    /// "hit", "negative" or "miss": what is cached instead.
    current_kind: &'static str,
    /// The entry that is cached instead.
    current: Option<Py<RawEntry>>,
    /// The pod's position.
    position: String,
}

impl Written {
    fn stored(version: Option<String>, position: String) -> Self {
        Self {
            stored: true,
            version,
            reason: None,
            min_source_version: None,
            current_kind: "miss",
            current: None,
            position,
        }
    }

    fn refused(reason: &'static str, least: Option<u64>, position: String) -> Self {
        Self {
            stored: false,
            reason: Some(reason),
            min_source_version: least,
            ..Self::stored(None, position)
        }
    }

    fn set(py: Python<'_>, outcome: SetOutcome, position: String) -> PyResult<Self> {
        let (reason, current) = match outcome {
            SetOutcome::Stored { version } => return Ok(Self::stored(version, position)),
            SetOutcome::NotStored { reason, current } => (reason, current),
        };
        let (reason, least) = why(&reason);
        let mut written = Self::refused(reason, least, position);
        if let Some(entry) = current {
            written.current_kind = "hit";
            written.current = Some(Py::new(py, RawEntry::from(*entry))?);
        }
        Ok(written)
    }

    fn cas(py: Python<'_>, told: Told<CasOutcome>) -> PyResult<Self> {
        let (reason, current) = match told.result {
            CasOutcome::Stored { version } => {
                return Ok(Self::stored(Some(version), told.position));
            }
            CasOutcome::Conflict { reason, current } => (reason, raw(*current)),
        };
        let (reason, least) = reason.as_ref().map_or(("CONFLICT", None), why);
        let mut written = Self::refused(reason, least, told.position);
        written.current_kind = current.0;
        written.current = current.1.map(|entry| Py::new(py, entry)).transpose()?;
        Ok(written)
    }

    fn filled(told: Told<Filled>) -> Self {
        let voided = match told.result {
            Filled::Stored { version } => return Self::stored(Some(version), told.position),
            Filled::Voided(voided) => voided,
        };
        let (reason, least) = match voided {
            Voided::Invalidated => ("INVALIDATED", None),
            Voided::Expired => ("EXPIRED", None),
            Voided::DependencyChanged => ("DEPENDENCY_CHANGED", None),
            Voided::TooManyDependencies => ("TOO_MANY_DEPENDENCIES", None),
            Voided::OlderSourceVersion { min_source_version } => {
                ("OLDER_SOURCE_VERSION", Some(min_source_version))
            }
            _ => ("OTHER", None),
        };
        Self::refused(reason, least, told.position)
    }
}

/// The reason's name, and the least source version that is accepted.
fn why(reason: &NotStoredReason) -> (&'static str, Option<u64>) {
    match reason {
        NotStoredReason::Covered => ("COVERED", None),
        NotStoredReason::PositionTooOld => ("POSITION_TOO_OLD", None),
        NotStoredReason::PositionUnknown => ("POSITION_UNKNOWN", None),
        NotStoredReason::OlderSourceVersion { min_source_version } => {
            ("OLDER_SOURCE_VERSION", Some(*min_source_version))
        }
        NotStoredReason::Present => ("PRESENT", None),
        NotStoredReason::DependencyChanged => ("DEPENDENCY_CHANGED", None),
        NotStoredReason::TooManyDependencies => ("TOO_MANY_DEPENDENCIES", None),
        // Not asked: the position is that of a read without a sidecar.
        NotStoredReason::SidecarUnavailable => ("SIDECAR_UNAVAILABLE", None),
        _ => ("OTHER", None),
    }
}

/// What became of an invalidation.
#[pyclass(frozen, get_all, module = "unstale._native")]
pub(crate) struct Invalidated {
    /// Its position in the log; none after ack LOCAL.
    position: Option<String>,
    /// FLEET: the sessions that processed it, each an id and a pod's name.
    acked: Vec<(String, String)>,
    /// FLEET: the sessions that may call nothing fresh any more instead.
    lapsed: Vec<(String, String)>,
}

impl From<Acked> for Invalidated {
    fn from(acked: Acked) -> Self {
        Self {
            position: acked.position,
            acked: sessions(acked.acked),
            lapsed: sessions(acked.lapsed),
        }
    }
}

fn sessions(sessions: Vec<Session>) -> Vec<(String, String)> {
    let each = sessions
        .into_iter()
        .map(|session| (session.id, session.pod));
    each.collect()
}
