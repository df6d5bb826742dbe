"""A decorated function: what it is called with, and what it is bound to.

Sync and async ones; each is a descriptor, so that a method is cached by what its
key names of `self`. What is asked and stored is the plan's and the operations'.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, overload

from ._native import Invalidated
from .functions import is_of_class
from .options import Ack
from .plans import Plan
from .steps import Loop, run

P = ParamSpec("P")
Q = ParamSpec("Q")

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    R = TypeVar("R")
    T = TypeVar("T")
    #: The whole function: what P is has lost of which type the first argument
    #: is, and that tells methods, class methods and static methods apart.
    F = TypeVar("F", default=Any)

    class _Typed(Generic[P, R, F]): ...
else:

    class _Typed:
        def __class_getitem__(cls, types):
            return cls

    R = F = None

#: A classmethod gives what it wraps to the class only for calls, not for the
#: attributes of what it wraps.
_CLASSMETHOD_BINDS_CALLS_ONLY = sys.version_info >= (3, 13)


class _Cached(_Typed[P, R, F]):
    """A decorated function. Its class says whether it is async."""

    def __init__(self, function: Callable[..., Any], plan: Plan, bound: tuple[Any, ...]) -> None:
        # For whoever looks at it: FastAPI, help(), inspect.signature. Attributes
        # of the function do not hide what is called here.
        functools.update_wrapper(self, function, updated=())  # type: ignore[arg-type]
        own = {**getattr(function, "__dict__", {}), "__wrapped__": function}
        vars(self).update({name: value for name, value in own.items() if not hasattr(type(self), name)})
        self._function = function
        self._plan = plan
        self._bound = bound
        self._unbound_class = _CLASSMETHOD_BINDS_CALLS_ONLY and not bound and is_of_class(function)
        if bound:
            self.__signature__ = plan.arguments.signature_bound

    def key_for(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key of a call with these arguments."""
        return self._plan.key(self._every(args, kwargs), kwargs)

    def tags_for(self, *args: P.args, **kwargs: P.kwargs) -> tuple[str, ...]:
        """The tags of a call with these arguments."""
        return self._plan.tags(self._every(args, kwargs), kwargs)

    def _every(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments with what the function is bound to."""
        if self._unbound_class and "cls" not in kwargs and not isinstance((*args, None)[0], type):
            raise TypeError("put @cached above @classmethod, or name the class: since Python 3.13 it is not known here")
        return self._bound + args

    def _invalidation(self, key: str, ack: Ack) -> Any:
        return self._plan.operations.invalidate(
            [key], (), (), False, "HARD", ack.upper(), None, "", None
        )


class CachedFunction(_Cached[P, R, F]):
    """A plain function whose results are cached."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The cached result, or what the function returns."""
        plan, every = self._plan, self._bound + args
        key, tagging = plan.call(every, kwargs)
        loader = functools.partial(self._function, *every, **kwargs)
        result: R = plan.operations.fetch_or_set(key, loader, plan.load, tagging)
        return result

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls the function and caches what it returns, whatever is cached."""
        every = self._every(args, kwargs)
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
    def __get__(self: CachedFunction[Any, R, Callable[Concatenate[T, Q], Any]], instance: object, owner: T) -> CachedFunction[Q, R]: ...

    @overload
    def __get__(self, instance: None, owner: Any) -> CachedFunction[P, R, F]: ...

    @overload
    def __get__(self: CachedFunction[Any, R, Callable[Concatenate[T, Q], Any]], instance: T, owner: Any) -> CachedFunction[Q, R]: ...

    @overload
    def __get__(self, instance: object, owner: Any) -> CachedFunction[P, R, F]: ...

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return self
        return CachedFunction(self._function, self._plan, (instance,))


class CachedCoroutine(_Cached[P, R, F]):
    """An async function whose results are cached."""

    def __init__(self, function: Callable[..., Any], plan: Plan, bound: tuple[Any, ...]) -> None:
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
        every = self._every(args, kwargs)
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
    def __get__(self: CachedCoroutine[Any, R, Callable[Concatenate[T, Q], Any]], instance: object, owner: T) -> CachedCoroutine[Q, R]: ...

    @overload
    def __get__(self, instance: None, owner: Any) -> CachedCoroutine[P, R, F]: ...

    @overload
    def __get__(self: CachedCoroutine[Any, R, Callable[Concatenate[T, Q], Any]], instance: T, owner: Any) -> CachedCoroutine[Q, R]: ...

    @overload
    def __get__(self, instance: object, owner: Any) -> CachedCoroutine[P, R, F]: ...

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return self
        return CachedCoroutine(self._function, self._plan, (instance,))


class ClassMethod(classmethod):  # type: ignore[type-arg]
    """A classmethod of a decorated function that is bound to the class in all
    that it does."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        of = type(instance) if owner is None else owner
        return self.__func__.__get__(of, of)
