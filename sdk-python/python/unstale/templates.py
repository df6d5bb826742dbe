"""Key templates: "user:{user_id}" and the arguments of a call make "user:7".

A template is checked against its function when it is made. It is injective on
the texts of its values: "%" (another character where "%" stands between fields)
and the character that separates the fields are percent-encoded in them, None is
"%None". A key that is too long for the sidecar ends with a hash of all of it;
so does one that looks like such a key. Values of one text (7 and "7") are one.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import re
from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any

from .errors import TemplateError
from .functions import name_of

_KEY_BYTES = 512
_KINDS_OF_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_FORMATTER = Formatter()
#: Types whose text is that of `format`, with nothing to be asked.
_TEXTS = frozenset((str, int))
#: What begins an encoded character: the first that stands between no fields.
_ESCAPES = "%~^!=*"
_HASHED = re.compile("#[0-9a-f]{64}$")
#: What cutting a character in two can cost.
_CUT = 3


class Arguments:
    """The arguments of calls of one function, by name."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = name_of(function)
        self.signature = inspect.signature(function)
        parameters = list(self.signature.parameters.values())
        self.names = [p.name for p in parameters if p.kind not in _KINDS_OF_MANY]
        self.open = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
        plain = inspect.Parameter.POSITIONAL_OR_KEYWORD
        # Calls of such functions are bound here, not by inspect, which is slow.
        self._plain = all(p.kind in (plain, inspect.Parameter.POSITIONAL_ONLY) for p in parameters)
        self._defaults = {
            p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty
        }
        self._required = len(self.names) - len(self._defaults)

    @functools.cached_property
    def signature_bound(self) -> inspect.Signature:
        """That of a method, which has its first argument already."""
        parameters = list(self.signature.parameters.values())
        if parameters and parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
            del parameters[0]
        return self.signature.replace(parameters=parameters)

    def bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Every argument of one call; TypeError as the call itself would."""
        if self._plain and not kwargs:
            if len(args) == len(self.names):
                return dict(zip(self.names, args))
            if self._required <= len(args) < len(self.names):
                return {**self._defaults, **dict(zip(self.names, args))}
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        values = dict(bound.arguments)
        for parameter in self.signature.parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                values.update(values.pop(parameter.name))
        return values


class Template:
    """One template of a key or tag."""

    def __init__(self, text: str, arguments: Arguments, limit: int = _KEY_BYTES) -> None:
        self.text = text
        self._limit = limit
        self._parts = _parsed(text)
        fields = [field for _, field, _, _ in self._parts if field is not None]
        for field in fields:
            _known(text, field, arguments)
        self._names = frozenset(field for field in fields if field.isidentifier())
        between = [literal for literal, field, _, _ in self._parts if field is not None]
        if "" in between[1:]:
            raise TemplateError(f"{text!r} needs a character between its fields")
        self._escape = _escape(text, "".join(between[1:]))
        # One character of each text between two fields is enough to tell where
        # the value before it ends: it is in no value, and in no encoded one but
        # behind the escape, where a reader does not look for it.
        self._reserved = self._escape + "".join(map(_separator, between[1:]))

    def render(self, values: Mapping[str, Any]) -> str:
        """The key of these arguments."""
        key = "".join([self._part(part, values) for part in self._parts])
        if not key:
            raise TemplateError(f"{self.text!r} gives an empty key")
        return key if len(key) * 4 <= self._limit else _fitted(key, self._limit)

    def _part(self, part: _Part, values: Mapping[str, Any]) -> str:
        literal, field, spec, conversion = part
        if field is None:
            return literal
        try:
            # Of a plain name, and without its machinery, what the formatter gives.
            value = values[field] if field in self._names else _FORMATTER.get_field(field, (), values)[0]
        except (KeyError, AttributeError, IndexError, TypeError) as error:
            raise TemplateError(f"{self.text!r}: this call has no {field!r}") from error
        if value is None and not spec and not conversion:
            return f"{literal}{self._escape}None"
        if conversion:
            value = _FORMATTER.convert_field(value, conversion)
        if not spec and type(value) in _TEXTS:
            text = str(value)
        else:
            text = _text(self.text, field, value, spec)
        for character in self._reserved:
            if character in text:
                return literal + _encoded(text, self._reserved, self._escape)
        return literal + text


_Part = tuple[str, "str | None", str, "str | None"]


def _parsed(text: str) -> list[_Part]:
    try:
        parts = list(_FORMATTER.parse(text))
    except ValueError as error:
        raise TemplateError(f"{text!r} is no template: {error}") from error
    merged: list[_Part] = []
    before = ""
    for literal, field, spec, conversion in parts:
        # A brace that is text comes as a part of its own.
        before += literal
        if field is None:
            continue
        if "{" in (spec or ""):
            raise TemplateError(f"{text!r}: a format holds no field of its own")
        merged.append((before, field, spec or "", conversion))
        before = ""
    return [*merged, (before, None, "", None)] if before else merged


def _escape(text: str, between: str) -> str:
    for character in _ESCAPES:
        if character not in between:
            return character
    raise TemplateError(f"{text!r} has all of {_ESCAPES} between its fields")


def _known(text: str, field: str, arguments: Arguments) -> None:
    name = field.replace("[", ".").split(".")[0]
    if not name or name.isdigit():
        raise TemplateError(f"{text!r}: fields are arguments by their names, like {{user_id}}")
    if name not in arguments.names and not arguments.open:
        known = ", ".join(arguments.names) or "none"
        raise TemplateError(
            f"{text!r} names {name!r}, which {arguments.name}() does not take; it takes: {known}"
        )


def _separator(between: str) -> str:
    return next((c for c in between if not c.isalnum()), between[0])


def _text(template: str, field: str, value: Any, spec: str) -> str:
    kind: Any = type(value)
    plain = kind.__format__ is object.__format__ and kind.__str__ is object.__str__
    if plain and value is not None:
        # Its text would be that of a representation: an address, or of any length.
        raise TemplateError(
            f"{template!r}: a {kind.__name__} in {field!r} has no text of its own; name an attribute of it"
        )
    return format(value, spec)


def _encoded(text: str, reserved: str, escape: str) -> str:
    return "".join(
        "".join(f"{escape}{byte:02X}" for byte in c.encode()) if c in reserved else c for c in text
    )


def _fitted(key: str, limit: int) -> str:
    whole = key.encode()
    if len(whole) <= limit and not (len(whole) >= limit - _CUT and _HASHED.search(key)):
        return key
    digest = "#" + hashlib.sha256(whole).hexdigest()
    return whole[: limit - len(digest)].decode(errors="ignore") + digest
