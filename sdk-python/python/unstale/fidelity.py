"""Whether a value that was encoded comes back as it was.

Stricter than ==: True is no 1, a subclass is not its base. What is equal in
all that this looks at is taken for the same; a time zone that became its
offset is one such.
"""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any


def same(value: Any, back: Any, loose: bool = False) -> bool:
    """Whether they are the same. Loose, as promised without a type hint: a
    tuple may be a list, NaN and infinity None, a subclass of str its text."""
    kind = type(value)
    if kind is not type(back):
        return _taken_for(value, back, loose)
    if kind is dict:
        return _pairs(value, back, loose)
    if isinstance(value, (list, tuple)):
        return len(value) == len(back) and all(same(a, b, loose) for a, b in zip(value, back))
    if isinstance(value, (set, frozenset)):
        return bool(value == back) and set(map(type, value)) == set(map(type, back))
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value) if field.compare]
        return all(same(getattr(value, n), getattr(back, n), loose) for n in names)
    return bool(value == back)


def _taken_for(value: Any, back: Any, loose: bool) -> bool:
    if {type(value), type(back)} == {int, float}:
        # Where a float is expected an int is as good, as type checkers have it.
        return bool(value == back)
    if not loose:
        return False
    if type(value) is tuple and type(back) is list:
        return same(list(value), back, loose)
    if type(value) is float and back is None:
        return bool(value - value != 0)
    if isinstance(value, (bytearray, memoryview)):
        return bool(bytes(value) == back)
    return isinstance(value, str) and not isinstance(value, Enum) and str(value) == back


def _pairs(value: dict[Any, Any], back: dict[Any, Any], loose: bool) -> bool:
    # In order: every codec keeps it.
    return len(value) == len(back) and all(
        same(a, c, loose) and same(b, d, loose)
        for (a, b), (c, d) in zip(value.items(), back.items())
    )
