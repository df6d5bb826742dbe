"""Pages: HTTP responses as they are cached and sent, and what of requests counts.

Nothing here asks the cache, and nothing decides what may be cached.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: The browser's conditions: a page that is made for the cache is made whole.
_CONDITIONS = frozenset((b"if-none-match", b"if-modified-since"))
#: What a tag in a header is made of; the rest is percent-encoded.
_TAG_SAFE = "!\"#$&'()*+,/:;<=>?@[\\]^`{|}"
#: What a 304 repeats (RFC 9110, 15.4.5).
_REPEATED = frozenset((b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary", b"surrogate-key"))


@dataclass(frozen=True)
class Page:
    """A whole response."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes:
        """The header's values, as one."""
        return b", ".join(value for key, value in self.headers if key == name)


class PageCodec:
    """A line of JSON (status and headers), then the body."""

    content_type = "application/x-unstale-http"

    def encode(self, value: Page, hinted: bool) -> bytes:
        headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in value.headers]
        return json.dumps([value.status, headers]).encode() + b"\n" + value.body

    def decode(self, data: bytes | str) -> Page:
        head, _, body = (data.encode() if isinstance(data, str) else data).partition(b"\n")
        status, headers = json.loads(head)
        pairs = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers]
        return Page(status, pairs, body)


def combined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Each header once: several lines are one list (RFC 9110, 5.3)."""
    whole: dict[bytes, bytes] = {}
    for name, value in headers:
        name = name.lower()
        whole[name] = whole[name] + b", " + value if name in whole else value
    return whole


def for_everybody(
    headers: Iterable[tuple[bytes, bytes]], request: dict[bytes, bytes], vary: tuple[bytes, ...]
) -> list[tuple[bytes, bytes]]:
    """The request of a page for the cache: without conditions, and what pages
    vary by in one line, as the key has it."""
    left = [(k, v) for k, v in headers if k.lower() not in _CONDITIONS and k.lower() not in vary]
    return left + [(name, request[name]) for name in vary if name in request]


def named(tag: str) -> bytes:
    """The tag as it stands in a header."""
    return quote(tag, _TAG_SAFE, errors="surrogatepass").encode()


async def give(
    scope: Scope, send: Send, request: dict[bytes, bytes], page: Page, told: list[tuple[bytes, bytes]]
) -> None:
    """Sends the page, or what the request's method and conditions make of it."""
    headers, status, body = page.headers + told, page.status, page.body
    if status == 200 and _unchanged(request, page):
        headers = [pair for pair in page.headers if pair[0] in _REPEATED] + told
        status, body = 304, b""
    elif scope["method"] == "HEAD":
        body = b""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _unchanged(request: dict[bytes, bytes], page: Page) -> bool:
    if b"if-none-match" in request:
        return _matches(request[b"if-none-match"], page.header(b"etag"))
    modified = page.header(b"last-modified")
    return bool(modified) and request.get(b"if-modified-since") == modified


def _matches(condition: bytes, etag: bytes) -> bool:
    """Weak comparison, as If-None-Match wants it (RFC 9110, 13.1.2)."""
    if condition.strip() == b"*":
        return True
    weak = etag.removeprefix(b"W/")
    return any(each.removeprefix(b"W/") == weak for each in re.findall(rb'(?:W/)?"[^"]*"', condition))
