"""`@cache.cached(…)`: a function whose results are cached, one load per key in
the whole fleet.

Templates are checked when the function is decorated; so is that its return
annotation can be rebuilt from what is cached. Works for functions and methods,
plain and async; the async ones go through the event loop that calls them.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, Union, overload

from . import shapes
from ._native import Invalidated
from .codecs import UNHINTED
from .durations import Duration
from .errors import TemplateError
from .operations import Operations
from .options import Ack, Load, Store, Tagging
from .steps import Loop, run
from .templates import Arguments, Template

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")

#: A template, or a function of the call's arguments that gives the name.
Name = Union[str, Callable[..., str]]
Names = Union[Sequence[Name], Callable[..., Sequence[str]], str]

_TAG_BYTES = 128
#: The sidecar's limits: what is beyond them can never be stored.
_TAGS = 16
_SHORTEST, _LONGEST = 0.001, 30 * 24 * 3600.0


class _Plan:
    """What one decorated function's calls are cached as."""

    def __init__(
        self,
        operations: Operations,
        function: Callable[..., Any],
        key: Name,
        tags: Names,
        load: Load,
    ) -> None:
        self.operations = operations
        self.arguments = Arguments(function)
        self._key = self._namer(key, 512)
        single = [tags] if isinstance(tags, str) else tags
        if not callable(single) and len(single) > _TAGS:
            raise ValueError(f"an entry has at most {_TAGS} tags, not {len(single)}")
        self._tags = single if callable(single) else [self._namer(t, _TAG_BYTES) for t in single]
        self.load = load

    def _namer(self, name: Name, limit: int) -> Callable[[dict[str, Any]], str]:
        if isinstance(name, str):
            return Template(name, self.arguments, limit).render
        return lambda values: name(**values)

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        return self._key(self.arguments.bound(args, kwargs))

    def tags(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, ...]:
        return self._tags_of(self.arguments.bound(args, kwargs))

    def _tags_of(self, values: dict[str, Any]) -> tuple[str, ...]:
        if callable(self._tags):
            return tuple(self._tags(**values))
        return tuple([tag(values) for tag in self._tags])

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, Tagging]:
        """The key of a call, and how it loads; its tags are made when it does."""
        values = self.arguments.bound(args, kwargs)
        return self._key(values), lambda: self._loading(values)

    def _loading(self, values: dict[str, Any]) -> Load:
        load = self.load
        if not self._tags:
            return load
        return replace(load, store=replace(load.store, tags=self._tags_of(values)))


class _Cached(Generic[P, R]):
    """A decorated function. Its class says whether it is async."""

    def __init__(self, function: Callable[..., Any], plan: _Plan, bound: tuple[Any, ...]) -> None:
        # For whoever looks at it: FastAPI, help(), inspect.signature.
        functools.update_wrapper(self, function)  # type: ignore[arg-type]
        self._function = function
        self._plan = plan
        self._bound = bound
        if bound:
            self.__signature__ = plan.arguments.signature_bound

    def key_for(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key of a call with these arguments."""
        return self._plan.key(self._bound + args, kwargs)

    def tags_for(self, *args: P.args, **kwargs: P.kwargs) -> tuple[str, ...]:
        """The tags of a call with these arguments."""
        return self._plan.tags(self._bound + args, kwargs)

    def _invalidation(self, key: str, ack: Ack) -> Any:
        return self._plan.operations.invalidate(
            [key], (), (), False, "HARD", ack.upper(), None, "", None
        )


class CachedFunction(_Cached[P, R]):
    """A plain function whose results are cached."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The cached result, or what the function returns."""
        plan, every = self._plan, self._bound + args
        key, tagging = plan.call(every, kwargs)
        loader = functools.partial(self._function, *every, **kwargs)
        result: R = run(plan.operations.get_or_set(key, loader, plan.load, tagging))
        return result

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls the function and caches what it returns, whatever is cached."""
        every = self._bound + args
        key, tagging = self._plan.call(every, kwargs)
        loader = functools.partial(self._function, *every, **kwargs)
        result: R = run(self._plan.operations.refresh(key, loader, tagging()))
        return result

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Invalidated:
        """Makes the result for these arguments unreadable everywhere; raises
        if that did not happen."""
        done: Invalidated = run(self._invalidation(self.key_for(*args, **kwargs), "log"))
        return done

    @overload
    def __get__(self, instance: None, owner: type) -> CachedFunction[P, R]: ...

    @overload
    def __get__(
        self: CachedFunction[Concatenate[Any, Q], R], instance: object, owner: type
    ) -> CachedFunction[Q, R]: ...

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        return CachedFunction(self._function, self._plan, (instance,))


class CachedCoroutine(_Cached[P, R]):
    """An async function whose results are cached."""

    def __init__(self, function: Callable[..., Any], plan: _Plan, bound: tuple[Any, ...]) -> None:
        super().__init__(function, plan, bound)
        if sys.version_info >= (3, 12):
            inspect.markcoroutinefunction(self)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The cached result, or what the function returns."""
        plan, every = self._plan, self._bound + args
        key, tagging = plan.call(every, kwargs)
        loader = functools.partial(self._function, *every, **kwargs)
        operation = plan.operations.get_or_set(key, loader, plan.load, tagging)
        result: R = await Loop.current().run(operation)
        return result

    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls the function and caches what it returns, whatever is cached."""
        every = self._bound + args
        key, tagging = self._plan.call(every, kwargs)
        loader = functools.partial(self._function, *every, **kwargs)
        result: R = await Loop.current().run(self._plan.operations.refresh(key, loader, tagging()))
        return result

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Invalidated:
        """Makes the result for these arguments unreadable everywhere; raises
        if that did not happen."""
        operation = self._invalidation(self.key_for(*args, **kwargs), "log")
        done: Invalidated = await Loop.current().run(operation)
        return done

    @overload
    def __get__(self, instance: None, owner: type) -> CachedCoroutine[P, R]: ...

    @overload
    def __get__(
        self: CachedCoroutine[Concatenate[Any, Q], R], instance: object, owner: type
    ) -> CachedCoroutine[Q, R]: ...

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        return CachedCoroutine(self._function, self._plan, (instance,))


class Decorator:
    """What `cached` returns."""

    def __init__(self, operations: Operations, key: Name, tags: Names, load: Load) -> None:
        self._operations, self._key, self._tags, self._load = operations, key, tags, load

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[P, Awaitable[R]]
    ) -> CachedCoroutine[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R]) -> CachedFunction[P, R]: ...

    def __call__(self, function: Callable[..., Any]) -> Any:
        if isinstance(function, (classmethod, staticmethod)):
            raise TypeError("put @cached below @classmethod or @staticmethod, next to the function")
        load = self._load
        if load.type is UNHINTED:
            load = replace(load, type=_returned(function))
        if load.type is not UNHINTED:
            # TypeError now, not at the first hit.
            shapes.builder(load.type)
        plan = _Plan(self._operations, function, self._key, self._tags, load)
        kind = CachedCoroutine if inspect.iscoroutinefunction(function) else CachedFunction
        return kind(function, plan, ())


class Decorating:
    """Gives a cache its `cached`."""

    _operations: Operations

    def cached(
        self,
        *,
        key: Name,
        ttl: Duration | None = None,
        tags: Names = (),
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
        return Decorator(self._operations, key, tags, load)


def _storable(least: float = _SHORTEST, **durations: float | None) -> None:
    for name, duration in durations.items():
        if duration is not None and not least <= duration <= _LONGEST:
            raise ValueError(f"{name} is from {'1 ms' if least else '0'} to 30 days, not {duration:g} s")


def _returned(function: Callable[..., Any]) -> Any:
    """The function's return annotation; UNHINTED when it has none."""
    try:
        hint = shapes.hints(function).get("return", UNHINTED)
    except NameError:
        # Names that exist only for type checkers: nobody can say what it is.
        return UNHINTED
    return UNHINTED if hint is Any else hint
