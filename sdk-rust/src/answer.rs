//! What every answer says beside its result, and durations of the contract.

use std::time::Duration;
use unstale_proto::v1;

/// A result, and what every answer says beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer<T> {
    /// The result.
    pub result: T,
    /// The pod's position when it answered; opaque. Take one before reading
    /// the origin and give it to [`crate::SetOptions::position`], or hand it to
    /// another service for [`crate::ReadOptions::min_position`].
    pub position: String,
    /// What was not available; empty on a healthy sidecar.
    pub degraded: Vec<Degraded>,
}

impl<T> Answer<T> {
    pub(crate) fn new(result: T, position: String, degraded: Option<v1::Degraded>) -> Self {
        let reasons = degraded.into_iter().flat_map(|d| d.reasons);
        let degraded = reasons.map(Degraded::decode).collect();
        Self {
            result,
            position,
            degraded,
        }
    }

    /// The same answer with another result.
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            result: change(self.result),
            position: self.position,
            degraded: self.degraded,
        }
    }

    /// Whether the sidecar had no part in it: a miss or "not stored" that the
    /// client made up because the sidecar was away.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), unstale::Error> {
    /// let cache = unstale::Cache::builder().no_sidecar().connect().await?;
    /// let answer = cache.get("k").await?;
    /// assert!(answer.is_outage());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_outage(&self) -> bool {
        self.degraded.contains(&Degraded::SidecarUnavailable)
    }

    /// What it says beside its result, and the result.
    pub(crate) fn split(self) -> (Answer<()>, T) {
        let told = Answer {
            result: (),
            position: self.position,
            degraded: self.degraded,
        };
        (told, self.result)
    }
}

impl<T, E> Answer<Result<T, E>> {
    pub(crate) fn transpose(self) -> Result<Answer<T>, E> {
        let (told, result) = self.split();
        result.map(|result| told.map(|()| result))
    }
}

/// Why an answer is degraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Degraded {
    /// The remote tier did not answer.
    RemoteUnavailable,
    /// The pod may call nothing fresh at the moment.
    SessionNotFresh,
    /// The batch's values are too long together: keys without room are misses,
    /// ask for them again by themselves.
    AnswerTooLarge,
    /// The sidecar did not answer, or could not do it, and the client went on
    /// without it ([`crate::Builder::strict`]): a miss, or not stored.
    SidecarUnavailable,
    /// What is cached was written by an unknown codec, or is none of the type
    /// asked for ([`crate::Typed`]): as good as a miss.
    Undecodable,
    /// A reason this client does not know yet.
    Other,
}

impl Degraded {
    fn decode(reason: i32) -> Self {
        match v1::DegradedReason::try_from(reason) {
            Ok(v1::DegradedReason::RemoteUnavailable) => Self::RemoteUnavailable,
            Ok(v1::DegradedReason::SessionNotFresh) => Self::SessionNotFresh,
            Ok(v1::DegradedReason::AnswerTooLarge) => Self::AnswerTooLarge,
            Ok(v1::DegradedReason::Unspecified) | Err(_) => Self::Other,
        }
    }
}

/// One pod's session in the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its random id.
    pub id: String,
    /// The pod's name.
    pub pod: String,
}

impl From<v1::Session> for Session {
    fn from(session: v1::Session) -> Self {
        Self {
            id: session.id,
            pod: session.pod,
        }
    }
}

/// A duration of the contract; nothing, or a negative one, is zero.
pub(crate) fn std_duration(duration: Option<prost_types::Duration>) -> Duration {
    let duration = duration.and_then(|d| Duration::try_from(d).ok());
    duration.unwrap_or_default()
}

/// A duration for the contract; one that does not fit is sent as the longest,
/// which the sidecar refuses with its words.
pub(crate) fn proto_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration).unwrap_or(prost_types::Duration {
        seconds: i64::MAX,
        nanos: 0,
    })
}
