"""How values become bytes or text, and back. Never pickle.

The content type says how: a reader in any language goes by it, whatever the
reader's own codec is. Bytes and str are stored as they are; everything else as
the cache's codec does it, JSON unless another was chosen. Without a type hint
only what plain data carries is encoded (None, bool, numbers, str, lists and
dicts with str keys): the rest would come back as something else. So would what
is not of its hinted type; every value is decoded and compared before it is
stored, that a hit is what the first caller got.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Protocol

from . import shapes
from .fidelity import same
from .errors import DecodeError, EncodeError

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

try:
    import msgpack  # type: ignore[import-untyped]
except ImportError:
    msgpack = None

#: A type hint that was not given.
UNHINTED: Any = type("UNHINTED", (), {"__repr__": lambda self: "UNHINTED"})()


class Codec(Protocol):
    """What `Cache(codec=…)` takes. `hinted` tells that the value may be of a
    type that only a hint brings back."""

    #: Stored with the value; names the codec in every language.
    content_type: str

    def encode(self, value: Any, hinted: bool) -> bytes | str:
        """The value as bytes, or as text where people may want to read it."""

    def decode(self, data: bytes | str) -> Any:
        """The value, or plain data that a hint makes it of."""


class Bytes:
    """Bytes as they are."""

    content_type = "application/octet-stream"

    def encode(self, value: Any, hinted: bool) -> bytes | str:
        return bytes(value)

    def decode(self, data: bytes | str) -> Any:
        return data.encode() if isinstance(data, str) else data


class Text:
    """Text as it is."""

    content_type = "text/plain; charset=utf-8"

    def encode(self, value: Any, hinted: bool) -> bytes | str:
        if not value.isascii():
            value.encode()  # a lone surrogate is no text
        return str(value)

    def decode(self, data: bytes | str) -> Any:
        return data if isinstance(data, str) else data.decode()


class Json:
    """JSON, by orjson when it is installed. NaN and infinity become null."""

    content_type = "application/json"

    def encode(self, value: Any, hinted: bool) -> bytes | str:
        default = shapes.plain if hinted else _refuse
        if orjson is None:
            return json.dumps(_checked(value, default, hinted), separators=(",", ":"))
        options = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
        if hinted:
            options |= orjson.OPT_NON_STR_KEYS
        return orjson.dumps(value, default, options).decode()

    def decode(self, data: bytes | str) -> Any:
        return json.loads(data) if orjson is None else orjson.loads(data)


class Msgpack:
    """msgpack: smaller, and knows bytes."""

    content_type = "application/msgpack"

    def __init__(self) -> None:
        if msgpack is None:
            raise ImportError("the msgpack codec needs msgpack: pip install 'unstale[msgpack]'")

    def encode(self, value: Any, hinted: bool) -> bytes | str:
        packed: bytes = msgpack.packb(value, default=shapes.plain if hinted else _refuse)
        return packed

    def decode(self, data: bytes | str) -> Any:
        raw = data.encode() if isinstance(data, str) else data
        return msgpack.unpackb(raw, strict_map_key=False)


_BYTES, _TEXT = Bytes(), Text()
#: Those of plain data, where bytes are text in base64.
_PLAIN = frozenset((Json.content_type, Msgpack.content_type))
_OURS = (Bytes, Text, Json, Msgpack)


class Codecs:
    """The codec of a cache, and all that it can read."""

    def __init__(self, codec: str | Codec = "json", also: Iterable[Codec] = ()) -> None:
        self.codec = _named(codec)
        known: list[Codec] = [Json(), _BYTES, _TEXT, *also, self.codec]
        if msgpack is not None:
            known.insert(0, Msgpack())
        self._known = {_media(each.content_type): each for each in known}
        for name in ("application/x-msgpack", "application/vnd.msgpack"):
            if msgpack is not None:
                self._known.setdefault(name, self._known[Msgpack.content_type])

    def encode(self, value: Any, hint: Any) -> tuple[bytes | str, str]:
        """The data and its content type; EncodeError when there is none."""
        codec = self.codec
        if isinstance(value, (bytes, bytearray, memoryview)):
            codec = _BYTES
        elif type(value) is str:
            codec = _TEXT
        try:
            data = codec.encode(value, hint is not UNHINTED)
            self._verify(value, data, codec, hint)
            return data, codec.content_type
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            why = "" if hint is not UNHINTED else " without a type hint"
            # orjson keeps the words of what it asked in the cause.
            words = error.__cause__ or error
            if isinstance(words, UnicodeError):
                words = TypeError("a lone surrogate is no text")  # the error's words hold the value
            raise EncodeError(f"a {type(value).__name__} cannot be encoded{why}: {words}") from error

    def _verify(self, value: Any, data: bytes | str, codec: Codec, hint: Any) -> None:
        loose = hint is UNHINTED
        if loose and (type(value) in (str, bytes) or not isinstance(codec, _OURS)):
            # As it is; or what a codec of the application's makes of it.
            return
        if not same(value, self.decode(data, codec.content_type, hint), loose):
            raise TypeError("it would come back as something else")

    def decode(self, data: bytes | str, content_type: str, hint: Any) -> Any:
        """The value; DecodeError when it is of another codec or type."""
        if content_type:
            codec = self._known.get(content_type) or self._known.get(_media(content_type))
            if codec is None:
                raise DecodeError(f"no codec reads {content_type!r}")
            try:
                value = codec.decode(data)
            except Exception as error:
                raise DecodeError(f"what is cached is no {content_type}") from error
        else:
            value = data  # of a writer without codecs: text is text, bytes are bytes
        if hint is UNHINTED:
            return value
        try:
            built = shapes.builder(hint)(value)
        except DecodeError:
            raise
        except Exception as error:
            # Not the error's words: they may hold the value.
            raise DecodeError(f"what is cached does not fit the type: {type(error).__name__}") from None
        if type(built) is bytes and type(value) is str and _media(content_type) not in _PLAIN:
            raise DecodeError("what is cached is text, not bytes")
        return built


def _named(codec: str | Codec) -> Codec:
    if not isinstance(codec, str):
        return codec
    if codec == "json":
        return Json()
    if codec == "msgpack":
        return Msgpack()
    raise ValueError(f'{codec!r} is no codec; "json", "msgpack" or an object with encode and decode')


def _media(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _refuse(value: Any) -> Any:
    raise TypeError(
        f"a {type(value).__name__} would come back as something else; name the type (type=…, or the"
        " function's return annotation)"
    )


def _checked(value: Any, default: Any, hinted: bool) -> Any:
    """What orjson would do, for json: the same keys, the same refusals."""
    if value is None or type(value) in (bool, str):
        return value
    if type(value) is int:
        if not -(2**63) <= value < 2**64:
            raise OverflowError("an integer has more than 64 bits")
        return value
    if type(value) is float:
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {_name(k, hinted): _checked(v, default, hinted) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_checked(item, default, hinted) for item in value]
    return _checked(shapes.plain(value) if _native(value) else default(value), default, hinted)


def _native(value: Any) -> bool:
    """What orjson encodes without being asked."""
    from enum import Enum
    from uuid import UUID

    return isinstance(value, (Enum, UUID, str, int, float))


def _name(key: Any, hinted: bool) -> str:
    if isinstance(key, str):
        return str(key)
    if not hinted:
        raise TypeError("a dict's keys are str")
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    return str(shapes.plain(key)) if not isinstance(key, (int, float)) else str(key)
