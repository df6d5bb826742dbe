"""What can go wrong, one class per thing that a caller would do differently.

A miss, a conflict and a voided lease are values, never exceptions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .entries import Outcome


class Error(Exception):
    """A call failed. `reason` is the sidecar's word for it, perhaps empty."""

    def __init__(
        self,
        message: str,
        reason: str = "",
        retry_after: float | None = None,
        violations: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        #: Seconds after which to try again, when the sidecar named them.
        self.retry_after = retry_after
        #: Every broken rule of the request: field and what is wrong with it.
        self.violations = tuple(violations)

    def __reduce__(self) -> tuple[type[Error], tuple[object, ...]]:
        return type(self), (self.message, self.reason, self.retry_after, self.violations)


class EndpointError(Error, ValueError):
    """The endpoint cannot be read."""


class Unreachable(Error, ConnectionError):
    """Nobody answers, or the connection broke: a write may have happened."""


class Invalid(Error, ValueError):
    """The request breaks a rule of the contract; repeating it is useless."""


class Unavailable(Error):
    """The sidecar is there, but a part that it needs is not: nothing was done."""


class Overloaded(Error):
    """The sidecar has more calls in flight than it allows."""


class DeadlineExceeded(Error, TimeoutError):
    """The deadline passed; a write may still have happened."""


class OutcomeUnknown(Error):
    """Perhaps done, perhaps not: repeat the call, an invalidation with its id."""


class UnknownLease(Error):
    """The lease was never granted by this sidecar."""


class Busy(Error):
    """Another caller was still loading the key when the wait ended."""


class Unsupported(Error):
    """The sidecar is older than this client and has no such call."""


class AnswerError(Error):
    """The answer cannot be understood: the sidecar is a newer version."""


class BatchError(Error):
    """Some writes of `set_many` failed. `results` has the outcome of each key,
    of those that succeeded too; the rest is the first failure's."""

    def __init__(self, results: Mapping[str, Outcome]) -> None:
        failures = [outcome.error for outcome in results.values() if outcome.error is not None]
        first = failures[0]
        told = f"{len(failures)} of {len(results)} writes failed, the first: {first.message}"
        super().__init__(told, first.reason, first.retry_after, first.violations)
        #: What became of each key.
        self.results = dict(results)

    def __reduce__(self) -> tuple[type[Error], tuple[object, ...]]:
        return type(self), (self.results,)


class LoadTimedOut(TimeoutError):
    """The loader took longer than its `hard_timeout`; its lease went back."""


class EncodeError(TypeError):
    """The value cannot be encoded so that it would come back as it was."""


class DecodeError(ValueError):
    """What is cached was written by another codec or as another type."""


class TemplateError(ValueError):
    """A key template does not fit the function that it is for."""


_KINDS: dict[str, type[Error]] = {
    kind.__name__: kind
    for kind in (
        Error,
        EndpointError,
        Unreachable,
        Invalid,
        Unavailable,
        Overloaded,
        DeadlineExceeded,
        OutcomeUnknown,
        UnknownLease,
        Busy,
        Unsupported,
        AnswerError,
    )
}


def from_native(
    kind: str,
    message: str,
    reason: str,
    retry_after: float | None,
    violations: Sequence[tuple[str, str]],
) -> Error:
    """The exception of what the native module tells."""
    return _KINDS[kind](message, reason, retry_after, violations)
