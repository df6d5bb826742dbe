//! How long a call may take: its own deadline, else the default, capped.
//!
//! The engine is given a deadline a little before the caller's, so that the
//! answer (and the reason, if it is late) arrives before the caller gives up.

use super::status;
use std::future::Future;
use std::time::Duration;
use tonic::{Request, Status};
use unstale_engine::clock::Moment;
use unstale_engine::request::Ack;
use unstale_engine::{Engine, Error, limits};

/// What a late engine gets before its call is cut off.
const GRACE: Duration = Duration::from_millis(50);
/// The most by which the engine's deadline precedes the caller's.
const AHEAD_MAX: Duration = Duration::from_millis(20);

/// A request, and how long its caller waits, however the two came.
pub(super) struct Call<T> {
    /// The message.
    pub(super) request: T,
    /// What the caller gave; none when it leaves that to the sidecar.
    pub(super) timeout: Option<Duration>,
}

impl<T> From<Request<T>> for Call<T> {
    fn from(request: Request<T>) -> Self {
        let given = request.metadata().get("grpc-timeout");
        let given = given.and_then(|text| text.to_str().ok());
        Self {
            timeout: given.and_then(parse),
            request: request.into_inner(),
        }
    }
}

/// A call's deadline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    /// When the answer is of no more use.
    pub(super) at: Moment,
    left: Duration,
}

impl Deadline {
    /// The deadline of a call that arrived now; an error when it has passed.
    pub(super) fn of(
        timeout: Option<Duration>,
        engine: &Engine,
        default: Duration,
    ) -> Result<Self, Status> {
        let left = match timeout {
            Some(Duration::ZERO) => return Err(status::too_late()),
            Some(given) => given.saturating_sub(AHEAD_MAX.min(given / 10)),
            None => default,
        };
        let left = left.min(limits::DEADLINE_MAX);
        let at = engine.now().plus(left);
        Ok(Self { at, left })
    }

    /// Runs the call, and cuts it off when the engine is late.
    pub(super) async fn bound<T>(
        self,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Status> {
        self.cut(call).await.map_err(|e| status::status(&e))
    }

    /// The same for a part of a call.
    pub(super) async fn cut<T>(
        self,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let ended = tokio::time::timeout(self.left + GRACE, call).await;
        ended.unwrap_or(Err(Error::DeadlineExceeded))
    }
}

/// The default of a call with this ack.
pub(super) fn default_of(ack: Ack, engine: &Engine) -> Duration {
    match ack {
        Ack::Local | Ack::Log => limits::DEADLINE_DEFAULT,
        Ack::Fleet => engine.staleness_bound() + Duration::from_secs(2),
    }
}

/// Reads a grpc-timeout: up to eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let good = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = good.then(|| digits.parse().ok())??;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_timeouts_are_read_in_every_unit_and_garbage_is_not() {
        assert_eq!(parse("100m"), Some(Duration::from_millis(100)));
        assert_eq!(parse("2S"), Some(Duration::from_secs(2)));
        assert_eq!(parse("0n"), Some(Duration::ZERO));
        assert_eq!(
            parse("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3600))
        );
        for text in ["", "S", "1", "1x", "-1S", "123456789S", "1é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
