"""Plain data (what JSON and msgpack carry) and the types that hints name.

`plain` is what encoders ask about a value that they do not know; `builder`
gives the function that makes a hinted type of plain data again, and raises
where the data is not of that type: never a guess, never a half-built object.
"""

from __future__ import annotations

import base64
import collections.abc
import dataclasses
import sys
import types
import typing
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any, Union
from uuid import UUID

from .errors import DecodeError
from .fidelity import same

Build = Callable[[Any], Any]

_SEQUENCES: dict[Any, Callable[[Any], Any]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: list,
    collections.abc.Collection: list,
    collections.abc.Iterable: list,
    collections.abc.Set: frozenset,
}
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_TEXTS: dict[Any, Build] = {
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
    UUID: UUID,
    Decimal: Decimal,
}


def plain(value: Any) -> Any:
    """The value as plain data, one level deep; TypeError when there is no such."""
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    # Subclasses, which some encoders do not take for what they are.
    bases: tuple[Build, ...] = (str, int, float, dict, list)
    for base in bases:
        if isinstance(value, base):  # type: ignore[arg-type]
            return base(value)
    raise TypeError(f"a {type(value).__name__} cannot be encoded")


def builder(hint: Any) -> Build:
    """What makes this type of plain data; TypeError when nothing can."""
    try:
        return _builder(hint)
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        return _build(hint)


@lru_cache(maxsize=512)
def _builder(hint: Any) -> Build:
    return _build(hint)


def _build(hint: Any) -> Build:
    hint = getattr(hint, "__value__", hint)  # a type alias of Python 3.12
    hint = getattr(hint, "__supertype__", hint)  # a NewType
    if hint is Any or hint is object or isinstance(hint, typing.TypeVar):
        return _same
    if hint is None or hint is type(None):
        return _none
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return builder(arguments[0])
    if origin is Union or origin is types.UnionType:
        return _union([builder(each) for each in arguments])
    if origin is typing.Literal:
        return _literal(arguments)
    return _of_class(origin or hint, arguments, hint)


def _of_class(kind: Any, arguments: tuple[Any, ...], hint: Any) -> Build:
    if kind is tuple:
        return _tuple(arguments)
    if kind in _SEQUENCES:
        each = builder(arguments[0]) if arguments else _same
        return _sequence(_SEQUENCES[kind], each)
    if kind in _MAPPINGS:
        key, value = arguments or (Any, Any)
        return _mapping(_key(key), builder(value))
    if kind in (str, int, float, bool):
        return _scalar(kind)
    if kind is bytes:
        return _bytes
    if kind is timedelta:
        return _seconds
    if kind in _TEXTS:
        return _text(_TEXTS[kind])
    if not isinstance(kind, type):
        raise TypeError(f"{hint!r} cannot be built from plain data")
    if issubclass(kind, Enum):
        return _enum(kind)
    if hasattr(kind, "model_validate"):
        return _model(kind)
    if typing.is_typeddict(kind):
        return _typed_dict(kind)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _named_tuple(kind)
    raise TypeError(
        f"{kind.__name__} cannot be built from plain data; use a dataclass or a pydantic model"
    )


def _wrong(data: Any, what: str) -> DecodeError:
    return DecodeError(f"what is cached is a {type(data).__name__}, not {what}")


def _same(data: Any) -> Any:
    return data


def _none(data: Any) -> None:
    if data is not None:
        raise _wrong(data, "None")


def _bytes(data: Any) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return base64.b64decode(data, validate=True)
    raise _wrong(data, "bytes")


def _seconds(data: Any) -> timedelta:
    if isinstance(data, (int, float)):
        return timedelta(seconds=data)
    raise _wrong(data, "a number of seconds")


def _scalar(kind: type) -> Build:
    def build(data: Any) -> Any:
        if type(data) is kind:
            return data
        if kind is float and type(data) is int:
            return float(data)
        raise _wrong(data, kind.__name__)

    return build


def _text(parse: Build) -> Build:
    def build(data: Any) -> Any:
        if isinstance(data, str):
            # Python 3.10 does not know Z.
            return parse(data[:-1] + "+00:00" if data.endswith("Z") else data)
        raise _wrong(data, "text")

    return build


def _literal(allowed: tuple[Any, ...]) -> Build:
    def build(data: Any) -> Any:
        for each in allowed:
            if each == data and type(each) is type(data):
                return each
        raise _wrong(data, f"one of {len(allowed)} literals")

    return build


def _union(builds: list[Build]) -> Build:
    def build(data: Any) -> Any:
        fitting = []
        for each in builds:
            try:
                fitting.append(each(data))
            except (DecodeError, ValueError, TypeError, ArithmeticError):
                continue
        if not fitting:
            raise _wrong(data, "of the union")
        if len(fitting) == 1:
            return fitting[0]
        # The one that says all that the data says, if there is one.
        return next((each for each in fitting if _says(each, data)), fitting[0])

    return build


def _says(value: Any, data: Any) -> bool:
    if type(value) is float and type(data) is int:
        return False
    return same(_all_plain(value), data)


def _all_plain(value: Any) -> Any:
    """The value as plain data, all levels deep."""
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if isinstance(value, dict):
        return {_all_plain(name): _all_plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_all_plain(item) for item in value]
    return _all_plain(plain(value))


def _sequence(make: Callable[[Any], Any], each: Build) -> Build:
    def build(data: Any) -> Any:
        if isinstance(data, (list, tuple)):
            return make([each(item) for item in data])
        raise _wrong(data, "a list")

    return build


def _tuple(arguments: tuple[Any, ...]) -> Build:
    if not arguments:
        return _sequence(tuple, _same)
    if arguments[-1] is Ellipsis:
        return _sequence(tuple, builder(arguments[0]))
    builds = [builder(each) for each in arguments]

    def build(data: Any) -> Any:
        if isinstance(data, (list, tuple)) and len(data) == len(builds):
            return tuple(each(item) for each, item in zip(builds, data))
        raise _wrong(data, f"a list of {len(builds)}")

    return build


def _key(hint: Any) -> Build:
    """Keys that JSON turned into text are what the hint says again."""
    build = builder(hint)
    if hint not in (int, float, bool):
        return build
    words = {"true": True, "false": False}

    def key(data: Any) -> Any:
        if isinstance(data, str):
            return words[data.lower()] if hint is bool else hint(data)
        return build(data)

    return key


def _mapping(key: Build, value: Build) -> Build:
    def build(data: Any) -> Any:
        if isinstance(data, dict):
            return {key(name): value(item) for name, item in data.items()}
        raise _wrong(data, "a mapping")

    return build


def _enum(kind: type[Enum]) -> Build:
    return kind


def _model(kind: Any) -> Build:
    def build(data: Any) -> Any:
        return kind.model_validate(data)

    return build


def hints(annotated: Any, own: dict[str, Any] | None = None) -> dict[str, Any]:
    """The annotations of a class or function, names in quotes resolved."""
    found = typing.get_type_hints(annotated, localns=own, include_extras=True)
    names = {**vars(sys.modules.get(annotated.__module__, typing)), **(own or {})}
    return {name: _resolved(hint, names) for name, hint in found.items()}


def _resolved(hint: Any, names: dict[str, Any]) -> Any:
    """Python 3.10 leaves the quotes in list["User"]."""
    if isinstance(hint, str):
        return _resolved(eval(hint, names), names)  # as typing does
    if isinstance(hint, types.GenericAlias):
        arguments = tuple(_resolved(each, names) for each in hint.__args__)
        return types.GenericAlias(typing.cast(type, hint.__origin__), arguments)
    return hint


def _typed_dict(kind: Any) -> Build:
    required = kind.__required_keys__

    def build(data: Any) -> Any:
        fields = _fields_of(kind)
        if not isinstance(data, dict) or not required <= data.keys():
            raise _wrong(data, f"a {kind.__name__}")
        return {name: fields[name](item) for name, item in data.items() if name in fields}

    return build


def _dataclass(kind: Any) -> Build:
    names = [field.name for field in dataclasses.fields(kind) if field.init]

    def build(data: Any) -> Any:
        if not isinstance(data, dict):
            raise _wrong(data, f"a {kind.__name__}")
        fields = _fields_of(kind)
        # A field that a newer writer knows is left out; one that is missing
        # and has no default is a TypeError.
        return kind(**{name: fields[name](data[name]) for name in names if name in data})

    return build


def _named_tuple(kind: Any) -> Build:
    def build(data: Any) -> Any:
        names = kind._fields
        if not isinstance(data, (list, tuple)) or len(data) != len(names):
            raise _wrong(data, f"a {kind.__name__}")
        fields = _fields_of(kind)
        return kind(*(fields.get(name, _same)(item) for name, item in zip(names, data)))

    return build


@lru_cache(maxsize=512)
def _fields_of(kind: Any) -> dict[str, Build]:
    # Late: a type may hold itself.
    return {name: builder(hint) for name, hint in hints(kind, {kind.__name__: kind}).items()}
