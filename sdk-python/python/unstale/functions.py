"""What can be decorated: functions, methods, partials, objects that are called,
classes. What cannot is a TypeError that says what to do instead.

Looks at functions only; nothing here calls or wraps one.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from . import shapes
from .codecs import UNHINTED


def name_of(function: Callable[..., Any]) -> str:
    """What people call it; never the values that a partial holds."""
    if isinstance(function, functools.partial):
        return name_of(function.func)
    name: str = getattr(function, "__qualname__", type(function).__qualname__)
    return name


def refuse(function: Any) -> None:
    """Raises TypeError for what cannot be cached."""
    if isinstance(function, (property, functools.cached_property)):
        kind = type(function).__name__
        raise TypeError(f"a {kind} is not called: put @cached below @{kind}, next to the function")
    if not callable(function):
        raise TypeError(f"@cached decorates a function, not a {type(function).__name__}")
    code = _code(function)
    if inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code):
        raise TypeError(f"{name_of(function)}() yields; return a list, which can be cached")
    try:
        inspect.signature(function)
    except ValueError:
        raise TypeError(f"{name_of(function)} has no signature; wrap it in a function") from None


def is_async(function: Callable[..., Any]) -> bool:
    """Whether what it returns must be awaited."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(_code(function))


def returned(function: Callable[..., Any]) -> Any:
    """Its return annotation; UNHINTED when it has none. A class returns its own."""
    while hasattr(function, "__wrapped__") and not _has_code(function):
        function = function.__wrapped__  # an object that says whose annotations are its own
    code = _code(function)
    if inspect.isclass(code):
        return code
    try:
        hint = shapes.hints(code).get("return", UNHINTED)
    except NameError:
        # Names that exist only for type checkers: nobody can say what it is.
        return UNHINTED
    return UNHINTED if hint is Any else hint


def is_of_class(function: Callable[..., Any]) -> bool:
    """Whether it looks like a class method: in a class, of `cls`."""
    within = name_of(function).rpartition(".")[0]
    first = next(iter(inspect.signature(function).parameters), "")
    return first == "cls" and bool(within) and not within.endswith("<locals>")


def _code(function: Any) -> Any:
    """What has the annotations, and says whether it is async."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if _has_code(function) or inspect.isclass(function) else type(function).__call__


def _has_code(function: Any) -> bool:
    # Not inspect.isroutine: to it every descriptor is one.
    return inspect.isfunction(function) or inspect.ismethod(function) or inspect.isbuiltin(function)
