"""What the calls of one decorated function are cached as: key, tags, options.

Templates are checked when the plan is made. Nothing here calls the function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Union

from .loading import LoadingOperations
from .options import Load, Tagging, dependencies
from .templates import Arguments, Template

#: A template, or a function of the call's arguments that gives the name.
Name = Union[str, Callable[..., str]]
Names = Union[Sequence[Name], Callable[..., Sequence[str]], str]
#: The names of a call; None: none, whatever the call.
Namers = Union[Callable[[dict[str, Any]], tuple[str, ...]], None]

#: The sidecar's limits: what is beyond them can never be stored.
_KEY_BYTES, _TAG_BYTES = 512, 128
_TAGS, _DEPENDENCIES = 16, 16


class Plan:
    """What one decorated function's calls are cached as."""

    def __init__(
        self,
        operations: LoadingOperations,
        function: Callable[..., Any],
        key: Name,
        tags: Names,
        depends_on: Names,
        load: Load,
    ) -> None:
        self.operations = operations
        self.arguments = Arguments(function)
        self._key = self._namer(key, _KEY_BYTES)
        self._tags = self._namers(tags, ("tags", _TAGS, _TAG_BYTES))
        self._depends_on = self._namers(depends_on, ("dependencies", _DEPENDENCIES, _KEY_BYTES))
        self.load = load

    def _namer(self, name: Name, limit: int) -> Callable[[dict[str, Any]], str]:
        if isinstance(name, str):
            return Template(name, self.arguments, limit).render
        return lambda values: name(**values)

    def _namers(self, names: Names, limits: tuple[str, int, int]) -> Namers:
        what, most, longest = limits
        single = [names] if isinstance(names, str) else names
        if callable(single):
            return lambda values: tuple(single(**values))
        if len(single) > most:
            raise ValueError(f"an entry has at most {most} {what}, not {len(single)}")
        each = [self._namer(name, longest) for name in single]
        return (lambda values: tuple([name(values) for name in each])) if each else None

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        return self._key(self.arguments.bound(args, kwargs))

    def tags(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, ...]:
        return self._tags_of(self.arguments.bound(args, kwargs))

    def _tags_of(self, values: dict[str, Any]) -> tuple[str, ...]:
        return self._tags(values) if self._tags else ()

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, Tagging]:
        """The key of a call, and how it loads; other names are made when it does."""
        values = self.arguments.bound(args, kwargs)
        return self._key(values), lambda: self._loading(values)

    def _loading(self, values: dict[str, Any]) -> Load:
        store = self.load.store
        if self._tags:
            store = replace(store, tags=self._tags(values))
        if self._depends_on:
            store = replace(store, depends_on=dependencies(self._depends_on(values)))
        return self.load if store is self.load.store else replace(self.load, store=store)
