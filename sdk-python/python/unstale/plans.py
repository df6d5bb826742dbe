"""What the calls of one decorated function are cached as: key, tags, options.

Templates are checked when the plan is made. Nothing here calls the function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Union

from .loading import LoadingOperations
from .options import Load, Tagging
from .templates import Arguments, Template

#: A template, or a function of the call's arguments that gives the name.
Name = Union[str, Callable[..., str]]
Names = Union[Sequence[Name], Callable[..., Sequence[str]], str]

_TAG_BYTES = 128
#: The sidecar's limit: what is beyond it can never be stored.
_TAGS = 16


class Plan:
    """What one decorated function's calls are cached as."""

    def __init__(
        self,
        operations: LoadingOperations,
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
