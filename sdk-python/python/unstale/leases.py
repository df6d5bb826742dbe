"""Explicit leases: the value, or the right to load it, for the length of a block."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from ._native import Answer, Grant, Written
from .durations import Duration, optional_seconds
from .entries import Entry, Outcome
from .operations import Operations
from .options import Store
from .steps import Loop, Operation, run

_Asked = tuple[str, "float | None", float, "str | None", bool, bool]


class _Leased:
    """What a lease call found. In the block one of these holds: `granted`, and
    the caller loads and fills; else `entry` is what is cached."""

    def __init__(self, operations: Operations, asked: _Asked, type: Any) -> None:
        self._operations = operations
        self._asked = asked
        self._type = type
        self._grant: Grant | None = None
        #: What is cached; when granted, the stale entry, if there is one.
        self.entry: Entry[Any] | None = None
        #: "hit", "negative", "granted" or "busy" (a stale entry, another loads).
        self.kind = ""
        #: The pod's position.
        self.position = ""

    @property
    def granted(self) -> bool:
        """Whether this caller is the loader."""
        return self._grant is not None

    @property
    def value(self) -> Any:
        """The value of `entry`, or None."""
        return None if self.entry is None else self.entry.value

    def _ask(self) -> Operation[None]:
        answer: Answer = yield self._operations.client.lease(*self._asked)
        self._grant, self.kind, self.position = answer.grant, answer.kind, answer.position
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
        stale_for: Duration | None = None,
        source_version: int | None = None,
    ) -> Outcome:
        """Stores what was loaded; not stored when the lease was voided."""
        store = Store.of(ttl, stale_for, tags=tags, source_version=source_version)
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
        stale_for: Duration | None = None,
        source_version: int | None = None,
    ) -> Outcome:
        """Stores what was loaded; not stored when the lease was voided."""
        store = Store.of(ttl, stale_for, tags=tags, source_version=source_version)
        return await Loop.current().run(self._fill(value, store))

    async def abandon(
        self, *, serve_stale_for: Duration | None = None, retry_after: Duration | None = None
    ) -> None:
        """Gives the lease back: the load failed."""
        seconds = optional_seconds(serve_stale_for), optional_seconds(retry_after)
        await Loop.current().run(self._abandon(*seconds))
