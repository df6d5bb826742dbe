"""What calls come to: entries, lookups, outcomes of writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, Union

from .durations import Duration
from .errors import Error

T = TypeVar("T")

Kind = Literal["hit", "negative", "not_modified", "miss"]


class _NotFound:
    """The origin has nothing under the key."""

    def __repr__(self) -> str:
        return "NOT_FOUND"

    def __bool__(self) -> bool:
        return False


#: What a loader returns, or `set` takes, when the origin has nothing: cached
#: as a negative entry, read as None.
NOT_FOUND: Any = _NotFound()


@dataclass(frozen=True)
class Entry(Generic[T]):
    """An entry as the cache returned it."""

    #: The decoded value; None in a negative entry and where nothing was modified.
    value: T
    content_type: str
    #: Opaque, for `compare_and_set(version=…)`.
    version: str
    #: Hash of the content; empty in a negative entry.
    etag: str
    source_version: int | None
    tags: tuple[str, ...]
    #: "L1", "REMOTE" or "OTHER" (one that this version does not know).
    tier: str
    #: Whether it may be treated as current.
    fresh: bool
    #: "EXPIRED", "SOFT_INVALIDATED", "SESSION_NOT_FRESH" or "OTHER"; None when fresh.
    stale_reason: str | None
    #: Seconds since it was stored.
    age: float
    #: Seconds until it expires.
    ttl_left: float
    #: Seconds for which it may still be served stale, `ttl_left` included.
    stale_left: float


@dataclass(frozen=True)
class Lookup(Generic[T]):
    """What a read found."""

    kind: Kind
    #: None when `kind` is "miss".
    entry: Entry[T] | None = None
    #: The pod's position, for `min_position` and `position`; empty when the
    #: sidecar did not answer.
    position: str = ""
    #: What was not available.
    degraded: tuple[str, ...] = ()
    #: What was answered with a miss.
    error: Error | None = None

    def __bool__(self) -> bool:
        return self.kind != "miss"


#: What a value was made of: keys, or pairs of a key and what was read under it
#: (its Entry, Lookup or version); with that, nothing else will do.
Dependency = Union[str, "tuple[str, Entry[Any] | Lookup[Any] | str | None]"]
Dependencies = Union[Iterable[Dependency], str]


@dataclass(frozen=True)
class Outcome:
    """What became of a write. True when it is stored."""

    stored: bool
    #: None when not stored, or not yet decided (ack "local").
    version: str | None = None
    #: Why it is not stored: "COVERED", "PRESENT", "OLDER_SOURCE_VERSION",
    #: "CONFLICT", "INVALIDATED", "EXPIRED", "DEPENDENCY_CHANGED"…; "FAILED" with `error`;
    #: "SIDECAR_UNAVAILABLE" when `position` is that of a read that failed.
    reason: str | None = None
    #: The least source version that is accepted.
    min_source_version: int | None = None
    #: What is cached instead, with "PRESENT" and of a refused compare-and-set
    #: (with a reason other than "CONFLICT" it may be what was expected).
    current: Lookup[Any] = field(default_factory=lambda: Lookup("miss"))
    position: str = ""
    #: What failed; a write that failed may still have happened.
    error: Error | None = None

    def __bool__(self) -> bool:
        return self.stored


@dataclass(frozen=True)
class Item(Generic[T]):
    """A value of `set_many` with options of its own, as of `set`; what it does
    not give is the call's."""

    value: T
    ttl: Duration | None = None
    #: In place of the call's tags.
    tags: Sequence[str] | None = None
    stale_for: Duration | None = None
    valid_for: Duration | None = None
    jitter: Duration | None = None
    source_version: int | None = None
    position: str | None = None
    if_absent: bool = False
    content_type: str | None = None
    #: In place of the call's.
    depends_on: Dependencies | None = None


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """What a loader may return for what only it knows; the rest is the call's."""

    value: T
    ttl: Duration | None = None
    stale_for: Duration | None = None
    #: In place of the call's tags.
    tags: Sequence[str] | None = None
    source_version: int | None = None
    #: In place of the call's; with what the loader read, see `depends_on` of `set`.
    depends_on: Dependencies | None = None
