"""How long an HTTP response may be kept, as its headers say (RFC 9111, 4.2, 5.2).

Told of a response that a shared cache must not use without asking: nothing may
be kept. It judges freshness only; what may be shared at all is the middleware's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

#: The sidecar's longest ttl.
_LONGEST = 30 * 24 * 3600.0
_NEVER = frozenset((b"no-store", b"private", b"no-cache"))
# s-maxage implies proxy-revalidate (5.2.2.10).
_NEVER_STALE = frozenset((b"must-revalidate", b"proxy-revalidate", b"s-maxage"))


@dataclass(frozen=True)
class Terms:
    """How long a response is fresh, and served stale after that, in seconds."""

    ttl: float
    stale_for: float | None


def terms(headers: Mapping[bytes, bytes], ttl: float | None, stale_for: float | None) -> Terms | None:
    """The response's terms; None when it may not be kept. `ttl` and `stale_for`
    are those of responses that do not say."""
    told = directives(headers.get(b"cache-control", b""))
    lifetime = None if _NEVER & told.keys() else _lifetime(headers, told, ttl)
    if lifetime is None or lifetime <= 0:
        return None
    return Terms(min(lifetime, _LONGEST), 0.0 if never_stale(told) else stale_for)


def never_stale(told: Mapping[bytes, bytes]) -> bool:
    """Whether these directives forbid to serve the response stale."""
    return bool(_NEVER_STALE & told.keys())


def directives(cache_control: bytes) -> dict[bytes, bytes]:
    """The directives of a Cache-Control header, in small letters."""
    parts = (part.strip().lower().partition(b"=") for part in cache_control.split(b","))
    return {name.strip(): value.strip().strip(b'"') for name, _, value in parts if name}


def _lifetime(
    headers: Mapping[bytes, bytes], told: Mapping[bytes, bytes], ttl: float | None
) -> float | None:
    for name in (b"s-maxage", b"max-age"):
        if name in told:
            # What cannot be read is stale (4.2.1).
            return float(told[name]) if told[name].isdigit() else None
    if b"expires" in headers:
        expires = _date(headers[b"expires"])
        return None if expires is None else expires - (_date(headers.get(b"date", b"")) or time.time())
    if not told and b"no-cache" in headers.get(b"pragma", b"").lower():
        return None
    return ttl


def _date(text: bytes) -> float | None:
    try:
        return parsedate_to_datetime(text.decode("latin-1")).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
