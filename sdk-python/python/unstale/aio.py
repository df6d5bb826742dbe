"""The cache for asyncio: every call is awaited; cancelling it drops it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ._native import Explanation, Invalidated, Peer, Reference, Released, Status, Watch, WatchEvent
from .base import Base, expectation
from .codecs import UNHINTED
from .decorators import Decorating
from .durations import Duration, optional_seconds, seconds
from .entries import Dependencies, Lookup, Outcome
from .leases import AsyncLease, AsyncLeases
from .loading import LoadingOperations
from .options import Ack, Level, Load, Store, names
from .retained import AsyncRetained, release, retain
from .steps import Loop, Operation

if TYPE_CHECKING:
    from .cache import Cache

T = TypeVar("T")


class AsyncCache(Decorating, Base):
    """A cache for asyncio; its loaders may be async or plain."""

    async def connect(self) -> None:
        """Connects now, or raises Unreachable or EndpointError."""
        await Loop.current().run(_connect(self._operations))

    async def status(self) -> Status:
        """What the sidecar is doing; raises when it cannot say."""
        return await Loop.current().run(_status(self._operations))

    async def peers(self) -> list[Peer]:
        """The pods of the fleet that the sidecar knows, its own included; raises
        when it cannot say."""
        return await Loop.current().run(_peers(self._operations))

    async def explain(self, key: str) -> Explanation:
        """Why the entry under a key is served, or is not: where it lives, what
        decides, how long it lasts and why, and who changed it last. For people:
        it never has the value, and changes nothing. Raises when the sidecar
        cannot say."""
        return await Loop.current().run(_explain(self._operations, key))

    @overload
    async def get(
        self,
        key: str,
        default: None = None,
        *,
        type: type[T],
        level: Level = "bounded",
        max_staleness: Duration | None = None,
        min_position: str | None = None,
    ) -> T | None: ...

    @overload
    async def get(
        self,
        key: str,
        default: Any = None,
        *,
        type: Any = UNHINTED,
        level: Level = "bounded",
        max_staleness: Duration | None = None,
        min_position: str | None = None,
    ) -> Any: ...

    async def get(
        self,
        key: str,
        default: Any = None,
        *,
        type: Any = UNHINTED,
        level: Level = "bounded",
        max_staleness: Duration | None = None,
        min_position: str | None = None,
    ) -> Any:
        """The cached value, or `default` when nothing is cached. A cached None,
        and that the origin has nothing, are None.

        type: what to make of plain data: a dataclass, a pydantic model,
            list[UUID]… What does not fit is a miss.
        level: "bounded", "strong" (as of now) or "stale_ok".
        max_staleness: the sidecar must have heard from the log this recently.
        min_position: reflect everything up to this position.
        """
        how = level.upper(), optional_seconds(max_staleness), min_position
        return await Loop.current().run(self._operations.get(key, default, type, *how))

    async def lookup(
        self,
        key: str,
        *,
        type: Any = UNHINTED,
        level: Level = "bounded",
        max_staleness: Duration | None = None,
        min_position: str | None = None,
        if_none_match: str | None = None,
    ) -> Lookup[Any]:
        """As `get`, with all that is known of the entry: version, etag, tags,
        age, freshness. if_none_match: the etag of what you hold; equal content
        is "not_modified"."""
        how = level.upper(), optional_seconds(max_staleness), min_position, if_none_match
        return await Loop.current().run(self._operations.lookup(key, type, *how))

    async def get_many(
        self,
        keys: Iterable[str],
        *,
        type: Any = UNHINTED,
        level: Level = "bounded",
        max_staleness: Duration | None = None,
        min_position: str | None = None,
    ) -> dict[str, Any]:
        """The cached values of any number of keys; keys that miss are left out."""
        how = level.upper(), optional_seconds(max_staleness), min_position
        return await Loop.current().run(self._operations.get_many(keys, type, *how))

    async def set(
        self,
        key: str,
        value: Any,
        *,
        ttl: Duration | None = None,
        tags: Iterable[str] | str = (),
        depends_on: Dependencies = (),
        stale_for: Duration | None = None,
        valid_for: Duration | None = None,
        jitter: Duration | None = None,
        source_version: int | None = None,
        position: str | None = None,
        if_absent: bool = False,
        ack: Ack = "log",
        content_type: str | None = None,
        type: Any = UNHINTED,
    ) -> Outcome:
        """Writes one key: a value, None, or NOT_FOUND. What is not given is the
        namespace's policy.

        depends_on: keys that the value was made of: it falls with them, and with
            what they depend on. A pair of a key and what was read under it
            (`lookup`'s answer, its entry, its version) is stored only if that
            is cached still, fresh.
        stale_for: how long after its ttl it may be served, flagged as stale.
        valid_for: it is gone then, whatever else holds.
        jitter: up to this much is taken off the ttl at random.
        source_version: the origin's version; an older write is refused.
        position: held before the origin was read; the write is refused if
            anything covered the key since.
        content_type: of bytes or text that you have encoded; a reader needs a
            codec for it.
        """
        store = Store.of(
            ttl, stale_for, valid_for, jitter, tags, source_version, content_type, depends_on
        )
        how = position, if_absent, ack.upper()
        return await Loop.current().run(self._operations.set(key, value, type, store, *how))

    async def set_many(
        self,
        values: Mapping[str, Any],
        *,
        ttl: Duration | None = None,
        tags: Iterable[str] | str = (),
        depends_on: Dependencies = (),
        stale_for: Duration | None = None,
        valid_for: Duration | None = None,
        jitter: Duration | None = None,
        ack: Ack = "log",
        type: Any = UNHINTED,
    ) -> dict[str, Outcome]:
        """Writes any number of keys, each decided by itself. A value may be an
        Item(value, ttl=…, if_absent=True) with options of its own. What is
        raised for some of them is a BatchError; its `results` has every outcome."""
        store = Store.of(ttl, stale_for, valid_for, jitter, tags, depends_on=depends_on)
        return await Loop.current().run(self._operations.set_many(values, type, store, ack.upper()))

    async def compare_and_set(
        self,
        key: str,
        value: Any,
        *,
        version: str | None = None,
        etag: str | None = None,
        absent: bool = False,
        ttl: Duration | None = None,
        tags: Iterable[str] | str = (),
        depends_on: Dependencies = (),
        stale_for: Duration | None = None,
        valid_for: Duration | None = None,
        jitter: Duration | None = None,
        source_version: int | None = None,
        ack: Ack = "log",
        type: Any = UNHINTED,
    ) -> Outcome:
        """Writes one key if what is cached is what is expected. A conflict is
        an outcome that holds what is cached; a failure always raises.

        Its reason says what to do. "CONFLICT" (the expectation does not hold),
        "COVERED" and "POSITION_TOO_OLD": read the key again, and decide anew.
        "DEPENDENCY_CHANGED": read again what the value was made of, and make
        it anew. "OLDER_SOURCE_VERSION" (the origin that was read lags),
        "TOO_MANY_DEPENDENCIES" and any other: do not repeat it."""
        expect = expectation(version, etag, absent)
        store = Store.of(
            ttl, stale_for, valid_for, jitter, tags, source_version, depends_on=depends_on
        )
        swap = self._operations.compare_and_set(key, expect, value, type, store, ack.upper())
        return await Loop.current().run(swap)

    async def get_or_set(
        self,
        key: str,
        loader: Callable[[], Any],
        *,
        ttl: Duration | None = None,
        tags: Iterable[str] | str = (),
        depends_on: Dependencies = (),
        stale_for: Duration | None = None,
        negative_ttl: Duration | None = None,
        valid_for: Duration | None = None,
        jitter: Duration | None = None,
        source_version: int | None = None,
        term: Duration | None = None,
        wait: Duration = 30,
        allow_stale: bool = True,
        fail_safe: Duration | None = None,
        hard_timeout: Duration | None = None,
        min_position: str | None = None,
        type: Any = UNHINTED,
    ) -> Any:
        """The cached value; when it is missing or stale, what `loader` returns,
        which runs once in the whole fleet however many ask.

        The loader may return None, NOT_FOUND (the origin has nothing), or
        Loaded(value, tags=…, depends_on=…) for what only it knows. Its exception is raised
        here, and the next caller loads.

        negative_ttl: a loader's None means NOT_FOUND, cached for this long.
        term: how long others wait for a loader that died.
        wait: how long another caller's load is waited for.
        allow_stale: take the stale entry, if there is one, in place of waiting.
        fail_safe: when the loader fails, the stale entry is given in place of
            its exception, and may be served for this long.
        hard_timeout: a loader that takes longer is given up: its lease goes back,
            and LoadTimedOut is raised. An async loader is cancelled; a plain
            one blocks the event loop and cannot be given up.
        """
        store = Store.of(
            ttl, stale_for, valid_for, jitter, tags, source_version, depends_on=depends_on
        )
        load = Load.of(
            store,
            negative_ttl,
            term,
            wait,
            allow_stale,
            fail_safe,
            min_position,
            type,
            hard_timeout,
        )
        return await Loop.current().run(self._operations.get_or_set(key, loader, load))

    async def delete(self, key: str, *, ack: Ack = "log") -> Invalidated:
        """Makes one key unreadable everywhere; raises if it did not happen."""
        return await self.invalidate(key, ack=ack)

    async def invalidate(
        self,
        *keys: str,
        tags: Iterable[str] | str = (),
        prefixes: Iterable[str] | str = (),
        all: bool = False,
        soft: bool = False,
        ack: Ack = "log",
        reason: str = "",
        id: str | None = None,
        min_source_version: int | None = None,
        traceparent: str = "",
    ) -> Invalidated:
        """Makes entries unreadable everywhere, or stale with `soft`. Always
        raises if that did not happen, or is not known to have.

        all: the whole namespace.
        ack: "local", "log" (in the ordered log) or "fleet" (every pod obeys).
        id: repeat a call whose outcome is unknown with the same.
        traceparent: the W3C traceparent of what asks, for `explain`.
        """
        what = keys, names(tags), names(prefixes), all, "SOFT" if soft else "HARD"
        rest = ack.upper(), id, reason, min_source_version, traceparent
        return await Loop.current().run(self._operations.invalidate(*what, *rest))

    def lease(
        self,
        key: str,
        *,
        type: Any = UNHINTED,
        term: Duration | None = None,
        wait: Duration = 0,
        allow_stale: bool = True,
        min_position: str | None = None,
    ) -> AsyncLease:
        """The value, or the right to load it: `async with cache.lease(key) as
        lease`. A lease that is not filled in the block goes back. Always raises
        when the sidecar cannot answer."""
        asked = key, optional_seconds(term), seconds(wait), min_position, allow_stale, False
        return AsyncLease(self._operations, asked, type)

    def lease_many(
        self,
        keys: Iterable[str],
        *,
        type: Any = UNHINTED,
        term: Duration | None = None,
        wait: Duration = 0,
        min_position: str | None = None,
    ) -> AsyncLeases:
        """The values of any number of keys, or the right to load them: `async with
        cache.lease_many(keys) as leases`, a dict of AsyncLease. Those that are not
        filled in the block go back. A key that another loads is "busy", with
        `retry_after`. Always raises when the sidecar cannot answer.

        wait: how long other loaders are waited for, at most a minute.
        """
        asked = optional_seconds(term), seconds(wait), min_position
        return AsyncLeases(self._operations, list(dict.fromkeys(keys)), asked, type)

    def retained(
        self,
        key: str,
        *,
        owner: str | None = None,
        term: Duration | None = None,
        drop_at_zero: bool = False,
    ) -> AsyncRetained:
        """Refers to a key for a block: `async with cache.retained(key)`. While anybody
        refers to it, no pod evicts its entry, within a bounded share of L1; its ttl
        and invalidations end it as ever. Without a sidecar the block runs all the
        same (`newest` is None), unless strict.

        owner: who refers to it; a name drawn at random unless given.
        term: how long the reference outlives a process that died; it is renewed.
        drop_at_zero: invalidate the entry if this is the last reference to go.
        """
        return AsyncRetained(self._operations, (key, owner, optional_seconds(term), drop_at_zero))

    async def retain(
        self, key: str, owner: str, *, term: Duration | None = None, drop_at_zero: bool = False
    ) -> Reference:
        """Refers to a key once, as this owner, or renews that; it ends with its term.
        Raises when the sidecar could not be told. `retained` keeps one up."""
        asked = key, owner, optional_seconds(term), drop_at_zero
        return await Loop.current().run(retain(self._operations, *asked))

    async def release(self, key: str, owner: str) -> Released:
        """Ends an owner's reference. That there was none is an outcome (`released` is
        False); raises when the sidecar could not be told."""
        return await Loop.current().run(release(self._operations, key, owner))

    async def watch(
        self,
        *,
        keys: Iterable[str] | str = (),
        tags: Iterable[str] | str = (),
        prefixes: Iterable[str] | str = (),
        position: str | None = None,
    ) -> AsyncIterator[WatchEvent]:
        """The fleet's invalidations as they happen, from now or from after a
        position. The filter names what you hold: what provably covers none of
        it is left out. Ends by raising when the connection does; go on from the
        last event's position."""
        what = position, list(names(keys)), list(names(prefixes)), list(names(tags))
        events: Watch = await Loop.current().run(_watch(self._operations, what))
        while True:
            event: WatchEvent | None = await Loop.current().run(_next(events))
            if event is None:
                return
            yield event

    @property
    def sync(self) -> Cache:
        """The same connection for threads."""
        from .cache import Cache

        other = Cache.__new__(Cache)
        other._made, other._operations = self._made, self._operations
        return other


def _connect(operations: LoadingOperations) -> Operation[None]:
    yield operations.client.connect()


def _status(operations: LoadingOperations) -> Operation[Status]:
    status: Status = yield operations.client.status()
    return status


def _peers(operations: LoadingOperations) -> Operation[list[Peer]]:
    peers: list[Peer] = yield operations.client.peers()
    return peers


def _explain(operations: LoadingOperations, key: str) -> Operation[Explanation]:
    told: Explanation = yield operations.client.explain(key)
    return told


def _watch(
    operations: LoadingOperations, what: tuple[str | None, list[str], list[str], list[str]]
) -> Operation[Watch]:
    events: Watch = yield operations.client.watch(*what)
    return events


def _next(events: Watch) -> Operation[WatchEvent | None]:
    event: WatchEvent | None = yield events.next()
    return event
