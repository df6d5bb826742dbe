//! What a call gives when the sidecar does not answer it: the policy.
//!
//! Fail-open, the default: a read is a miss and a write is not stored, both
//! flagged ([`crate::Degraded::SidecarUnavailable`]), and a loader runs. Only
//! what stays true without a sidecar: an invalidation or a compare-and-set
//! that was not done is an error under every policy.

use crate::answer::{Answer, Degraded};
use crate::flight::Flights;
use crate::health::Health;
use crate::unstorable::Unstorable;
use crate::{Cache, Error};
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use tokio::time::Instant;

/// What to do without a sidecar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Go on without it.
    #[default]
    FailOpen,
    /// Say so.
    Strict,
    /// There never was one.
    NoSidecar,
}

/// Is told each failure that was gone on without.
pub(crate) type Observer = Arc<dyn Fn(&Error) + Send + Sync>;

/// What the clones of a [`Cache`] share.
pub(crate) struct Shared {
    pub(crate) policy: Policy,
    pub(crate) observer: Option<Observer>,
    pub(crate) flights: Flights,
    pub(crate) unstorable: Unstorable,
    pub(crate) health: Health,
}

impl Shared {
    pub(crate) fn new(policy: Policy, observer: Option<Observer>) -> Self {
        Self {
            policy,
            observer,
            flights: Flights::default(),
            unstorable: Unstorable::default(),
            health: Health::default(),
        }
    }
}

impl Debug for Shared {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut shared = f.debug_struct("Shared");
        shared.field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Cache {
    /// The answer of a call; when the sidecar gives none and the policy is to
    /// go on, this in its place, flagged.
    pub(crate) async fn or_else<T>(
        &self,
        call: impl AsyncFnOnce() -> Result<Answer<T>, Error>,
        instead: impl FnOnce(&Error) -> T,
    ) -> Result<Answer<T>, Error> {
        match self.attempt(call).await {
            Err(error) if self.goes_on(&error) => Ok(Answer::away(instead(&error))),
            answer => answer,
        }
    }

    /// The answer of a call that the policy can go on without: it does not wait
    /// for a sidecar that is known to be silent. The call is made here, where it
    /// stays, and has ended when this returns.
    pub(crate) async fn attempt<T>(
        &self,
        call: impl AsyncFnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self.shared.policy {
            Policy::Strict => return call().await,
            Policy::NoSidecar => return Err(no_sidecar()),
            Policy::FailOpen => {}
        }
        let began = Instant::now();
        let answer = tokio::select! {
            biased;
            () = self.shared.health.is_silent() => return Err(silent()),
            answer = call() => answer,
        };
        if let Err(error) = &answer
            && error.is_silence()
            && began.elapsed() >= self.deadline()
        {
            self.fell_silent();
        }
        answer
    }

    /// Whether the policy is to go on without what failed like this; tells
    /// whoever wants to know.
    pub(crate) fn goes_on(&self, error: &Error) -> bool {
        match self.shared.policy {
            Policy::Strict => false,
            Policy::NoSidecar => error.is_outage(),
            Policy::FailOpen => {
                let goes_on = error.is_outage();
                if goes_on {
                    self.tell(error);
                }
                goes_on
            }
        }
    }

    /// Tells whoever wants to know.
    pub(crate) fn tell(&self, error: &Error) {
        if let Some(observer) = &self.shared.observer {
            observer(error);
        }
    }

    /// Whether failures are told, and not gone on without.
    pub(crate) fn is_strict(&self) -> bool {
        self.shared.policy == Policy::Strict
    }

    pub(crate) fn has_no_sidecar(&self) -> bool {
        self.shared.policy == Policy::NoSidecar
    }
}

impl<T> Answer<T> {
    /// What is given without a sidecar.
    pub(crate) fn away(result: T) -> Self {
        Self {
            result,
            position: String::new(),
            degraded: vec![Degraded::SidecarUnavailable],
        }
    }
}

pub(crate) fn no_sidecar() -> Error {
    Error::Unreachable("this client was built without one".to_owned())
}

fn silent() -> Error {
    Error::Unreachable("it has fallen silent; it is asked again in the background".to_owned())
}
