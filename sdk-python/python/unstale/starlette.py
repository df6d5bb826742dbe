"""HTTP responses from the cache, for Starlette, FastAPI and any ASGI application.

    app.add_middleware(CacheMiddleware, cache=AsyncCache(), ttl="1m", stale_for="10m")

    @app.get("/users/{user_id}")
    async def user(user_id: int, request: Request):
        tag(request, "users", f"user:{user_id}")
        ...

Then `cache.invalidate(tags=[f"user:7"])` removes the page from every pod. One
request in the fleet makes a page, the others wait or get the stale one.
Browsers ask again each time and get 304 unless the page has changed; they and
CDNs see ETag, Cache-Control, Age, Cache-Status (RFC 9211) and Surrogate-Key.

Cached is what is safe to give to everybody: GET with 200, 203, 301, 308, 404
or 410 and a known length, without Set-Cookie, `private`, `no-store`, `no-cache`
or an `Expires` in the past, with no `Vary` but by the headers that the
middleware was told of; for requests without Authorization and Cookie.
Everything else passes through as if nothing were there, and so does everything
while the sidecar is away. `max-age` and `s-maxage` are how long a page is kept;
`must-revalidate`, `proxy-revalidate` and `s-maxage` keep it from being stale.

The application makes a page for everybody: it does not see If-None-Match and
If-Modified-Since, and sees a header that pages vary by as one line.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from typing import Any

from .aio import AsyncCache
from .codecs import UNHINTED, Codecs
from .durations import Duration, optional_seconds, seconds
from .entries import Entry
from .errors import Busy, Error, Invalid
from .freshness import Terms, directives, never_stale, terms
from .leases import AsyncLease
from .pages import App, Message, Page, PageCodec, Receive, Scope, Send, combined, for_everybody, give, named

_TAGS = "unstale.tags"
_STATUSES = frozenset((200, 203, 301, 308, 404, 410))
#: The largest page; the sidecar's limit, headers included.
_PAGE_BYTES = 1_000_000
#: Seconds for which a page that could not be cached is not tried again.
_PASS = 30.0
#: The same where the application failed twice in a row.
_PASS_FAILED = 1.0
_PASSES = 4096


def tag(request: Any, *tags: str) -> None:
    """Tags the page that this request makes. Takes a request or a scope. In
    Surrogate-Key spaces, `%` and what is not printable ASCII are percent-encoded."""
    scope = getattr(request, "scope", request)
    scope.setdefault(_TAGS, []).extend(tags)


class CacheMiddleware:
    """The middleware.

    ttl: how long pages without a max-age of their own are cached; not at all
        when None.
    stale_for: how long after that a page may be served while one request
        makes it anew.
    browser: the Cache-Control of pages that have none.
    vary: request headers of which pages depend.
    wait: how long a request waits for another that makes the same page.
    ignore_cookies: cached pages do not depend on cookies.
    prefix: what keys start with.
    """

    def __init__(
        self,
        app: App,
        *,
        cache: AsyncCache,
        ttl: Duration | None = None,
        stale_for: Duration | None = None,
        browser: str = "no-cache",
        vary: Iterable[str] = ("accept", "accept-encoding"),
        wait: Duration = 5,
        ignore_cookies: bool = False,
        prefix: str = "http:",
    ) -> None:
        self._app = app
        own = cache._operations
        self._operations = own.with_codecs(Codecs(PageCodec()))
        self._ttl = optional_seconds(ttl)
        self._stale_for = optional_seconds(stale_for)
        self._browser = browser.encode()
        self._vary = tuple(sorted({name.lower().encode() for name in vary}))
        self._wait = seconds(wait)
        self._ignore_cookies = ignore_cookies
        self._prefix = prefix
        self._passes: dict[str, float] = {}
        self._failing: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = combined(scope["headers"])
        key = self._key(scope, request)
        if not self._asks(scope, request) or self._passed(key):
            return await self._app(scope, receive, _marking(send, b"unstale; fwd=bypass"))
        try:
            lease = await self._leased(key)
        except Busy:
            return await self._app(scope, receive, _marking(send, b"unstale; fwd=miss; detail=busy"))
        except Error as error:
            self._operations.failed(error, lenient=True)
            return await self._app(scope, receive, _marking(send, b"unstale; fwd=bypass; detail=outage"))
        try:
            if lease.granted:
                await self._make(scope, receive, send, request, lease, key)
            elif lease.entry is not None and isinstance(lease.entry.value, Page):
                await self._give(scope, send, request, lease.entry)
            else:
                await self._app(scope, receive, _marking(send, b"unstale; fwd=miss"))
        finally:
            await lease.__aexit__(None, None, None)

    async def _leased(self, key: str) -> AsyncLease:
        lease = self._lease(key, True)
        await lease.__aenter__()
        entry = lease.entry
        if lease.granted or entry is None or entry.fresh or not isinstance(entry.value, Page):
            return lease
        control = entry.value.header(b"cache-control")
        # The middleware's own words are to browsers.
        if control == self._browser or not never_stale(directives(control)):
            return lease
        # Invalidated softly, and not to be given: wait for who makes it.
        lease = self._lease(key, False)
        await lease.__aenter__()
        return lease

    def _lease(self, key: str, allow_stale: bool) -> AsyncLease:
        return AsyncLease(self._operations, (key, None, self._wait, None, allow_stale, True), UNHINTED)

    def _asks(self, scope: Scope, request: dict[bytes, bytes]) -> bool:
        if scope["method"] not in ("GET", "HEAD") or b"authorization" in request or b"range" in request:
            return False
        if b"no-store" in directives(request.get(b"cache-control", b"")):
            return False
        return self._ignore_cookies or b"cookie" not in request

    def _key(self, scope: Scope, request: dict[bytes, bytes]) -> str:
        # HEAD is made from GET, and is made by itself where there is none.
        whole = [
            scope.get("scheme", "http").encode(),
            request.get(b"host", b""),
            scope.get("raw_path") or scope["path"].encode(errors="surrogatepass"),
            scope.get("query_string", b""),
            *(name + b":" + request.get(name, b"") for name in self._vary),
        ]
        readable = scope["path"][:80].encode(errors="replace").decode()
        digest = hashlib.sha256(b"\0".join(whole)).hexdigest()
        return f"{self._prefix}{readable}#{digest}"

    def _passed(self, key: str) -> bool:
        return self._passes.get(key, 0.0) > time.monotonic()

    def _pass(self, key: str, status: int) -> None:
        """Not cacheable: nobody shall wait for it for a while. One failure is
        no reason, it may be over."""
        pause = _PASS
        if status >= 400:
            if key not in self._failing:
                self._fails(key)
                return
            pause = _PASS_FAILED
        if len(self._passes) >= _PASSES:
            self._passes.clear()
        self._passes[key] = time.monotonic() + pause

    def _fails(self, key: str) -> None:
        if len(self._failing) >= _PASSES:
            self._failing.clear()
        self._failing.add(key)

    async def _give(
        self, scope: Scope, send: Send, request: dict[bytes, bytes], entry: Entry[Page]
    ) -> None:
        page = entry.value
        ttl = entry.ttl_left if entry.fresh else -1.0
        told = [(b"age", b"%d" % entry.age), (b"cache-status", b"unstale; hit; ttl=%d" % ttl)]
        await give(scope, send, request, page, told)

    async def _make(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        request: dict[bytes, bytes],
        lease: AsyncLease,
        key: str,
    ) -> None:
        making = _Making(self, scope, send, request, lease, key)
        headers = scope["headers"]
        if scope["method"] == "GET":
            scope["headers"] = for_everybody(headers, request, self._vary)
        try:
            # In place: what is around the middleware reads what the application
            # leaves in the scope.
            await self._app(scope, receive, making.collect)
        except Exception:
            making.failed()
            raise
        finally:
            scope["headers"] = headers

    def _terms(self, start: Message) -> Terms | None:
        """How long the page may be kept; None when it is not for everybody."""
        headers = combined(start["headers"])
        if start["status"] not in _STATUSES or b"set-cookie" in headers:
            return None
        length = headers.get(b"content-length", b"")
        if not length.isdigit() or int(length) > _PAGE_BYTES:
            return None
        vary = {name.strip().lower() for name in headers.get(b"vary", b"").split(b",") if name.strip()}
        # Cookies are not part of the key, but no request with one comes here.
        allowed = {*self._vary, b"cookie"} if not self._ignore_cookies else {*self._vary}
        return terms(headers, self._ttl, self._stale_for) if vary <= allowed else None

    def _page(self, start: Message, body: bytes, tags: list[str]) -> Page:
        headers = [(name.lower(), value) for name, value in start["headers"]]
        names = {name for name, _ in headers}
        if b"etag" not in names:
            digest = hashlib.blake2b(body, digest_size=16).hexdigest()
            headers.append((b"etag", b'"%s"' % digest.encode()))
        if b"cache-control" not in names:
            headers.append((b"cache-control", self._browser))
        if self._vary and b"vary" not in names:
            headers.append((b"vary", b", ".join(self._vary)))
        if tags and b"surrogate-key" not in names:
            headers.append((b"surrogate-key", b" ".join(map(named, tags))))
        return Page(start["status"], headers, body)

    async def _store(self, page: Page, terms: Terms, tags: list[str], lease: AsyncLease) -> bool:
        try:
            outcome = await lease.fill(page, ttl=terms.ttl, stale_for=terms.stale_for, tags=tags)
        except Invalid as error:
            # Too many tags, or too large with its headers: the page is there.
            self._operations.warnings.say("page", f"a page was not cached: {error.reason}")
            return False
        except Error as error:
            self._operations.failed(error, lenient=True)
            return False
        except ValueError:
            self._operations.warnings.say("page", "a page was not cached: a tag is no Unicode text")
            return False
        return outcome.stored


class _Making:
    """One page being made: what the application sends is kept until the page
    is whole, and then sent at once, whatever the application does after."""

    def __init__(
        self,
        middleware: CacheMiddleware,
        scope: Scope,
        send: Send,
        request: dict[bytes, bytes],
        lease: AsyncLease,
        key: str,
    ) -> None:
        self._middleware, self._scope, self._send = middleware, scope, send
        self._request, self._lease, self._key = request, lease, key
        self._tags: list[str] = scope.setdefault(_TAGS, [])
        self._kept: tuple[Message, Terms] | None = None
        self._body = bytearray()
        #: Whether the response, or its beginning, was given to the server.
        self._answered = False

    async def collect(self, message: Message) -> None:
        """Takes the application's messages."""
        kept = self._kept
        if message["type"] == "http.response.start":
            await self._start(message)
        elif kept is None:
            await self._send(message)
        elif message["type"] == "http.response.body":
            self._body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                self._kept = None
                await self._ended(*kept)
        else:
            # A file that the server sends by itself, trailers: not kept.
            self._kept = None
            await self._pass_on(kept[0])
            if self._body:
                await self._send({"type": "http.response.body", "body": bytes(self._body), "more_body": True})
            await self._send(message)

    def failed(self) -> None:
        """The application raised: with nothing answered, that is a 500."""
        if self._scope["method"] == "GET" and not self._answered:
            self._middleware._pass(self._key, 500)

    async def _start(self, message: Message) -> None:
        # A page of HEAD has no body to keep.
        if self._scope["method"] == "GET":
            terms = self._middleware._terms(message)
            if terms is not None:
                self._kept = message, terms
                return
            self._middleware._pass(self._key, message["status"])
        await self._pass_on(message)

    async def _pass_on(self, start: Message) -> None:
        # Nobody waits until a stream, or a task behind the response, is over.
        self._lease._release()
        self._answered = True
        await self._send(_marked(start, b"unstale; fwd=uri-miss"))

    async def _ended(self, start: Message, terms: Terms) -> None:
        length = combined(start["headers"])[b"content-length"]
        if int(length) == len(self._body):
            return await self._whole(start, terms)
        # A mistake of the application, which one request shall see, not all.
        await self._pass_on(start)
        await self._send({"type": "http.response.body", "body": bytes(self._body)})

    async def _whole(self, start: Message, terms: Terms) -> None:
        page = self._middleware._page(start, bytes(self._body), self._tags)
        own = [] if self._tags_told(start) else page.header(b"surrogate-key").decode("latin-1").split()
        every = list(dict.fromkeys([*self._tags, *own]))
        self._answered = True
        stored = await self._middleware._store(page, terms, every, self._lease)
        self._middleware._failing.discard(self._key)
        status = b"unstale; fwd=uri-miss" + (b"; stored" if stored else b"")
        await give(self._scope, self._send, self._request, page, [(b"cache-status", status)])

    def _tags_told(self, start: Message) -> bool:
        """Whether Surrogate-Key is made of the tags, not the application's."""
        return all(name.lower() != b"surrogate-key" for name, _ in start["headers"])


def _marked(start: Message, status: bytes) -> Message:
    return {**start, "headers": [*start["headers"], (b"cache-status", status)]}


def _marking(send: Send, status: bytes) -> Send:
    async def marking(message: Message) -> None:
        await send(_marked(message, status) if message["type"] == "http.response.start" else message)

    return marking
