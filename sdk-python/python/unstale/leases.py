"""Explicit leases: the value, or the right to load it, for the length of a block."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

from ._native import Answer, Grant, Written
from .durations import Duration, optional_seconds
from .entries import Dependencies, Entry, Outcome
from .operations import Operations
from .options import Store
from .steps import Loop, Operation, run

_Asked = tuple[str, "float | None", float, "str | None", bool, bool]
_AskedMany = tuple["float | None", float, "str | None"]
#: Of one call.
_BATCH_KEYS = 256


class _Leased:
    """What a lease call found. In the block one of these holds: `granted`, and
    the caller loads and fills; else `entry` is what is cached."""

    def __init__(self, operations: Operations, asked: _Asked | None, type: Any) -> None:
        self._operations = operations
        self._asked = asked
        self._type = type
        self._grant: Grant | None = None
        #: What is cached; when granted, the stale entry, if there is one.
        self.entry: Entry[Any] | None = None
        #: "hit", "negative", "granted" or "busy" (a stale entry, another loads).
        self.kind = ""
        #: Seconds that a granted lease outlives a holder that died; it is renewed
        #: while it is held.
        self.term: float | None = None
        #: Seconds after which to ask again, with "busy".
        self.retry_after: float | None = None
        #: The pod's position.
        self.position = ""
        #: What was not available: with "SESSION_NOT_FRESH" other pods may load, too.
        self.degraded: tuple[str, ...] = ()

    @property
    def granted(self) -> bool:
        """Whether this caller is the loader."""
        return self._grant is not None

    @property
    def value(self) -> Any:
        """The value of `entry`, or None."""
        return None if self.entry is None else self.entry.value

    def _ask(self) -> Operation[None]:
        if self._asked is None:
            raise RuntimeError("a lease of lease_many is asked for with the others")
        answer: Answer = yield self._operations.client.lease(*self._asked)
        self._answered(answer)

    def _answered(self, answer: Answer) -> None:
        self._grant, self.kind, self.position = answer.grant, answer.kind, answer.position
        self.term = None if answer.grant is None else answer.grant.term
        self.retry_after, self.degraded = answer.retry_after, tuple(answer.degraded)
        self.entry = self._operations.entry(answer.entry, self._type)

    def _fill(self, value: Any, store: Store) -> Operation[Outcome]:
        data, native = self._operations.encoded(value, self._type, store)
        grant = self._taken()
        written: Written = yield grant.fill(data, native)
        return self._operations.outcome(written, self._type)

    def _abandon(self, serve_stale_for: float | None, retry_after: float | None) -> Operation[None]:
        yield self._taken().abandon(serve_stale_for, retry_after)

    def _taken(self) -> Grant:
        grant, self._grant = self._grant, None
        if grant is None:
            raise RuntimeError("no lease is held: it was not granted, or is used already")
        return grant

    def _release(self) -> None:
        grant, self._grant = self._grant, None
        if grant is not None:
            grant.release()


class Lease(_Leased):
    """A lease held by a thread."""

    def __enter__(self) -> Lease:
        run(self._ask())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._release()

    def fill(
        self,
        value: Any,
        *,
        ttl: Duration | None = None,
        tags: tuple[str, ...] | list[str] | str = (),
        depends_on: Dependencies = (),
        stale_for: Duration | None = None,
        valid_for: Duration | None = None,
        jitter: Duration | None = None,
        source_version: int | None = None,
        content_type: str | None = None,
    ) -> Outcome:
        """Stores what was loaded, with the options of `set`; not stored when the
        lease was voided."""
        store = Store.of(
            ttl, stale_for, valid_for, jitter, tags, source_version, content_type, depends_on
        )
        return run(self._fill(value, store))

    def abandon(
        self, *, serve_stale_for: Duration | None = None, retry_after: Duration | None = None
    ) -> None:
        """Gives the lease back: the load failed."""
        run(self._abandon(optional_seconds(serve_stale_for), optional_seconds(retry_after)))


class AsyncLease(_Leased):
    """A lease held by a task."""

    async def __aenter__(self) -> AsyncLease:
        await Loop.current().run(self._ask())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._release()

    async def fill(
        self,
        value: Any,
        *,
        ttl: Duration | None = None,
        tags: tuple[str, ...] | list[str] | str = (),
        depends_on: Dependencies = (),
        stale_for: Duration | None = None,
        valid_for: Duration | None = None,
        jitter: Duration | None = None,
        source_version: int | None = None,
        content_type: str | None = None,
    ) -> Outcome:
        """Stores what was loaded, with the options of `set`; not stored when the
        lease was voided."""
        store = Store.of(
            ttl, stale_for, valid_for, jitter, tags, source_version, content_type, depends_on
        )
        return await Loop.current().run(self._fill(value, store))

    async def abandon(
        self, *, serve_stale_for: Duration | None = None, retry_after: Duration | None = None
    ) -> None:
        """Gives the lease back: the load failed."""
        seconds = optional_seconds(serve_stale_for), optional_seconds(retry_after)
        await Loop.current().run(self._abandon(*seconds))


_L = TypeVar("_L", bound=_Leased)


class _LeasedMany(Generic[_L]):
    """What a call for many leases found."""

    def __init__(
        self, operations: Operations, keys: list[str], asked: _AskedMany, type: Any
    ) -> None:
        self._operations, self._keys, self._asked, self._type = operations, keys, asked, type
        self._leases: dict[str, _L] = {}

    def _ask(self, kind: Callable[[Operations, None, Any], _L]) -> Operation[None]:
        try:
            for start in range(0, len(self._keys), _BATCH_KEYS):
                batch = self._keys[start : start + _BATCH_KEYS]
                answers: list[Answer] = yield self._operations.client.lease_many(batch, *self._asked)
                for key, answer in zip(batch, answers):
                    lease = self._leases[key] = kind(self._operations, None, self._type)
                    lease._answered(answer)
        except BaseException:
            self._release()
            raise

    def _release(self) -> None:
        for lease in self._leases.values():
            lease._release()


class Leases(_LeasedMany[Lease]):
    """Leases held by a thread; in the block, a dict of them."""

    def __enter__(self) -> dict[str, Lease]:
        run(self._ask(Lease))
        return self._leases

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._release()


class AsyncLeases(_LeasedMany[AsyncLease]):
    """Leases held by a task; in the block, a dict of them."""

    async def __aenter__(self) -> dict[str, AsyncLease]:
        await Loop.current().run(self._ask(AsyncLease))
        return self._leases

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._release()
