"""Options of calls, checked and turned into what the native module takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from .codecs import UNHINTED
from .durations import Duration, optional_seconds, seconds
from .entries import NOT_FOUND, Dependencies, Entry, Item, Loaded, Lookup

_N = TypeVar("_N")

Ack = Literal["local", "log", "fleet"]
Level = Literal["bounded", "strong", "stale_ok"]

#: How an entry is stored, as the native module takes it.
NativeStore = tuple[
    "float | None",
    "float | None",
    "float | None",
    "float | None",
    "list[str]",
    "int | None",
    str,
    "list[tuple[str, str | None]]",
]


@dataclass(frozen=True)
class Store:
    """How an entry is stored, in seconds. None: the namespace's policy."""

    ttl: float | None = None
    stale_for: float | None = None
    valid_for: float | None = None
    jitter: float | None = None
    tags: tuple[str, ...] = ()
    source_version: int | None = None
    #: Of bytes or text that the caller has encoded; None: the codec's.
    content_type: str | None = None
    #: Keys, each with the version that the value was made of, if it matters.
    depends_on: tuple[tuple[str, str | None], ...] = ()

    @classmethod
    def of(
        cls,
        ttl: Duration | None = None,
        stale_for: Duration | None = None,
        valid_for: Duration | None = None,
        jitter: Duration | None = None,
        tags: Iterable[str] | str = (),
        source_version: int | None = None,
        content_type: str | None = None,
        depends_on: Dependencies = (),
    ) -> Store:
        """The options as people write them."""
        return cls(
            optional_seconds(ttl),
            optional_seconds(stale_for),
            optional_seconds(valid_for),
            optional_seconds(jitter),
            names(tags),
            source_version,
            content_type,
            dependencies(depends_on),
        )

    def over(self, other: Store) -> Store:
        """These options, and of the others those that are not given here."""
        given = {name: value for name, value in vars(self).items() if value not in (None, ())}
        return replace(other, **given)

    def native(self, content_type: str) -> NativeStore:
        """As the native module takes them."""
        return (
            self.ttl,
            self.stale_for,
            self.valid_for,
            self.jitter,
            list(self.tags),
            self.source_version,
            content_type,
            list(self.depends_on),
        )


@dataclass(frozen=True)
class Load:
    """How `get_or_set` loads."""

    store: Store = Store()
    negative_ttl: float | None = None
    #: Whether a loader's None means NOT_FOUND; so with a `negative_ttl`.
    negative_none: bool = False
    #: Seconds that the lease outlives a loader that died.
    term: float | None = None
    #: Seconds that another caller's load is waited for.
    wait: float = 30.0
    allow_stale: bool = True
    #: Seconds that the stale entry may be served for when the loader fails.
    fail_safe: float | None = None
    min_position: str | None = None
    type: Any = UNHINTED
    #: Seconds after which a loader is given up.
    hard_timeout: float | None = None

    @classmethod
    def of(
        cls,
        store: Store,
        negative_ttl: Duration | None,
        term: Duration | None,
        wait: Duration,
        allow_stale: bool,
        fail_safe: Duration | None,
        min_position: str | None,
        type: Any,
        hard_timeout: Duration | None = None,
    ) -> Load:
        """The options as people write them."""
        return cls(
            store,
            optional_seconds(negative_ttl),
            negative_ttl is not None,
            optional_seconds(term),
            seconds(wait),
            allow_stale,
            optional_seconds(fail_safe),
            min_position,
            type,
            optional_seconds(hard_timeout),
        )

    def storing(self, loaded: Any) -> tuple[Any, Store]:
        """What to cache of what a loader returned, and how."""
        store = self.store
        value = loaded
        if isinstance(loaded, Loaded):
            value = loaded.value
            own = Store.of(
                loaded.ttl,
                loaded.stale_for,
                tags=loaded.tags or (),
                source_version=loaded.source_version,
                depends_on=loaded.depends_on or (),
            )
            store = replace(
                store,
                ttl=store.ttl if own.ttl is None else own.ttl,
                stale_for=store.stale_for if own.stale_for is None else own.stale_for,
                tags=store.tags if loaded.tags is None else own.tags,
                source_version=store.source_version if own.source_version is None else own.source_version,
                depends_on=store.depends_on if loaded.depends_on is None else own.depends_on,
            )
        if value is None and self.negative_none:
            value = NOT_FOUND
        if value is NOT_FOUND:
            # A negative entry has no stale_for: nothing is better than an old nothing.
            store = Store(
                self.negative_ttl,
                tags=store.tags,
                source_version=store.source_version,
                depends_on=store.depends_on,
            )
        return value, store


def separate(value: Any, shared: Store) -> tuple[Any, Store, str | None, bool]:
    """A value of `set_many`, how it is stored, its position and if_absent."""
    if not isinstance(value, Item):
        return value, shared, None, False
    own = Store.of(
        value.ttl,
        value.stale_for,
        value.valid_for,
        value.jitter,
        value.tags or (),
        value.source_version,
        value.content_type,
        value.depends_on or (),
    )
    store = own.over(shared)
    if value.tags is not None:
        store = replace(store, tags=own.tags)
    if value.depends_on is not None:
        store = replace(store, depends_on=own.depends_on)
    return value.value, store, value.position, value.if_absent


def names(given: Iterable[_N] | str) -> tuple[Any, ...]:
    """Several names; one text is one name, not its letters."""
    return (given,) if isinstance(given, str) else tuple(given)


def dependencies(given: Dependencies) -> tuple[tuple[str, str | None], ...]:
    """Keys, each with the version that the value was made of, or None."""
    return tuple([_dependency(each) for each in names(given)])


def _dependency(given: Any) -> tuple[str, str | None]:
    if isinstance(given, str):
        return given, None
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str):
        key, of = given
        of = of.entry if isinstance(of, Lookup) else of
        version = of.version if isinstance(of, Entry) else of
        if version is None or isinstance(version, str):
            return key, version
    raise TypeError(f"depends_on takes keys, and pairs of a key and what was read under it, not {given!r}")


#: Whatever gives a value: a function without arguments, perhaps async.
Loader = Callable[[], Any]

#: How a call loads, with the tags of its arguments: asked only when it does.
Tagging = Callable[[], Load]
