//! Leases, call by call; [`Cache::get_or_load`] puts them together.

use crate::entry::{Answer, Entry, EntryOptions, Value, proto_duration, std_duration};
use crate::{Cache, Error};
use std::time::Duration;
use unstale_proto::v1;

/// A value, the right to load it, or neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leased {
    /// The entry is cached.
    Hit(Entry),
    /// The caller is the loader.
    Granted(Grant),
    /// Another caller is the loader.
    Busy {
        /// When to ask again.
        retry_after: Duration,
    },
}

/// The right to load one key: read the origin now, then fill or abandon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Names the grant; opaque.
    pub token: String,
    /// How long it lasts unless it is renewed.
    pub term: Duration,
}

/// What became of a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lease lasts for another term.
    Renewed {
        /// How long from now.
        term: Duration,
    },
    /// The lease is gone; a fill would be refused.
    Voided(Voided),
}

/// What became of a fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filled {
    /// Stored.
    Stored {
        /// The version.
        version: String,
    },
    /// The lease was gone; nothing was stored.
    Voided(Voided),
}

/// Why a lease was voided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Voided {
    /// An invalidation or write covered the key after the grant.
    Invalidated,
    /// The term passed, or the grant was used.
    Expired,
    /// A reason this client does not know yet.
    Other,
}

impl Voided {
    fn decode(voided: v1::Voided) -> Self {
        match voided.reason() {
            v1::VoidedReason::Invalidated => Self::Invalidated,
            v1::VoidedReason::Expired => Self::Expired,
            v1::VoidedReason::Unspecified => Self::Other,
        }
    }
}

impl Cache {
    /// Reads one key, or obtains the right to load it. `term` is the
    /// sidecar's default when none; `wait` is how long another caller's load
    /// may be waited for.
    ///
    /// # Errors
    /// See [`Error`]. When dropped, a grant that was on its way lapses after
    /// its term.
    pub async fn lease(
        &self,
        key: impl Into<String>,
        term: Option<Duration>,
        wait: Duration,
    ) -> Result<Answer<Leased>, Error> {
        let message = v1::LeaseRequest {
            namespace: self.namespace.clone(),
            key: key.into(),
            term: term.map(proto_duration),
            wait: (!wait.is_zero()).then(|| proto_duration(wait)),
        };
        let request = self.request_after(message, wait);
        let mut client = self.client.clone();
        let answer = self.answer_after(wait, client.lease(request)).await?;
        let result = match answer.result {
            Some(v1::lease_response::Result::Hit(entry)) => Leased::Hit(Entry::decode(entry)?),
            Some(v1::lease_response::Result::Granted(granted)) => Leased::Granted(Grant {
                token: granted.lease_token,
                term: std_duration(granted.term),
            }),
            Some(v1::lease_response::Result::Busy(busy)) => Leased::Busy {
                retry_after: std_duration(busy.retry_after),
            },
            None => return Err(Error::Answer("Lease has no result")),
        };
        Ok(Answer::new(result, answer.position, answer.degraded))
    }

    /// Prolongs a lease while its holder works.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::UnknownLease`] for a token of another sidecar.
    pub async fn renew(&self, token: &str) -> Result<Renewal, Error> {
        let request = self.request(v1::RenewRequest {
            lease_token: token.to_owned(),
        });
        let answer = self.answer(self.client.clone().renew(request)).await?;
        match answer.result {
            Some(v1::renew_response::Result::Renewed(renewed)) => Ok(Renewal::Renewed {
                term: std_duration(renewed.term),
            }),
            Some(v1::renew_response::Result::Voided(voided)) => {
                Ok(Renewal::Voided(Voided::decode(voided)))
            }
            None => Err(Error::Answer("Renew has no result")),
        }
    }

    /// Completes a lease with the loaded value.
    ///
    /// # Errors
    /// See [`Error`]. A voided lease is a value.
    pub async fn fill(
        &self,
        token: &str,
        value: impl Into<Value>,
        entry: EntryOptions,
    ) -> Result<Answer<Filled>, Error> {
        let request = self.request(v1::FillRequest {
            lease_token: token.to_owned(),
            value: Some(value.into().into()),
            content_type: entry.content_type,
            ttl: entry.ttl.map(proto_duration),
            tags: entry.tags,
        });
        let answer = self.answer(self.client.clone().fill(request)).await?;
        let result = match answer.result {
            Some(v1::fill_response::Result::Stored(v1::Stored { version })) => {
                Filled::Stored { version }
            }
            Some(v1::fill_response::Result::Voided(voided)) => {
                Filled::Voided(Voided::decode(voided))
            }
            None => return Err(Error::Answer("Fill has no result")),
        };
        Ok(Answer::new(result, answer.position, answer.degraded))
    }

    /// Gives a lease back: the load failed.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn abandon(&self, token: &str) -> Result<(), Error> {
        let request = self.request(v1::AbandonRequest {
            lease_token: token.to_owned(),
        });
        self.answer(self.client.clone().abandon(request)).await?;
        Ok(())
    }
}
