"""`@cache.cached(…)`: a function whose results are cached, one load per key in
the whole fleet.

Templates are checked when the function is decorated; so is that its return
annotation can be rebuilt from what is cached. Works for whatever is called,
plain and async; the async ones go through the event loop that calls them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar, overload

from . import functions, shapes
from .cached import CachedCoroutine, CachedFunction, ClassMethod
from .codecs import UNHINTED
from .durations import Duration
from .errors import TemplateError
from .loading import LoadingOperations
from .options import Load, Store
from .plans import Name, Names, Plan

P = ParamSpec("P")
R = TypeVar("R")

#: The sidecar's limits: what is beyond them can never be stored.
_SHORTEST, _LONGEST = 0.001, 30 * 24 * 3600.0


class Decorator:
    """What `cached` returns."""

    def __init__(self, operations: LoadingOperations, names: tuple[Name, Names, Names], load: Load) -> None:
        self._operations, self._names, self._load = operations, names, load

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[P, Awaitable[R]]
    ) -> CachedCoroutine[P, R, Callable[P, Any]]: ...

    @overload
    def __call__(self, function: Callable[P, R]) -> CachedFunction[P, R, Callable[P, Any]]: ...

    def __call__(self, function: Any) -> Any:
        if isinstance(function, classmethod):
            return ClassMethod(self._cached(function.__func__))
        if isinstance(function, staticmethod):
            return staticmethod(self._cached(function.__func__))
        return self._cached(function)

    def _cached(self, function: Callable[..., Any]) -> Any:
        functions.refuse(function)
        load = self._load
        if load.type is UNHINTED:
            load = replace(load, type=functions.returned(function))
        if load.type is not UNHINTED:
            # TypeError now, not at the first hit.
            shapes.builder(load.type)
        plan = Plan(self._operations, function, *self._names, load)
        kind = CachedCoroutine if functions.is_async(function) else CachedFunction
        return kind(function, plan, ())


class Decorating:
    """Gives a cache its `cached`."""

    _operations: LoadingOperations

    def cached(
        self,
        *,
        key: Name,
        ttl: Duration | None = None,
        tags: Names = (),
        depends_on: Names = (),
        stale_for: Duration | None = None,
        negative_ttl: Duration | None = None,
        valid_for: Duration | None = None,
        jitter: Duration | None = None,
        term: Duration | None = None,
        wait: Duration = 30,
        allow_stale: bool = True,
        fail_safe: Duration | None = None,
        hard_timeout: Duration | None = None,
        type: Any = UNHINTED,
    ) -> Decorator:
        """Caches what a function returns, as `get_or_set` does.

        key: a template of the function's arguments, "user:{user_id}", or a
            function of them.
        tags: templates likewise.
        depends_on: keys that results are made of, templates likewise: they fall
            with these, and with what these depend on.
        type: what results are; else the function's return annotation.
        The rest: see `get_or_set`.
        """
        if not key:
            raise TemplateError("cached needs a key")
        store = Store.of(ttl, stale_for, valid_for, jitter)
        load = Load.of(
            store, negative_ttl, term, wait, allow_stale, fail_safe, None, type, hard_timeout
        )
        _storable(ttl=store.ttl, negative_ttl=load.negative_ttl, valid_for=store.valid_for)
        _storable(0.0, stale_for=store.stale_for)
        return Decorator(self._operations, (key, tags, depends_on), load)


def _storable(least: float = _SHORTEST, **durations: float | None) -> None:
    for name, duration in durations.items():
        if duration is not None and not least <= duration <= _LONGEST:
            raise ValueError(f"{name} is from {'1 ms' if least else '0'} to 30 days, not {duration:g} s")
