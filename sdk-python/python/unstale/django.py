"""Django's cache, by unstale.

    CACHES = {
        "default": {
            "BACKEND": "unstale.django.UnstaleCache",
            "LOCATION": "unix:/run/unstale.sock",   # else UNSTALE_ENDPOINT
            "OPTIONS": {"namespace": "shop"},       # and whatever Cache takes
        }
    }

Values are encoded, never pickled: None, bool, numbers, str, bytes, lists and
dicts (a tuple comes back as a list). Sessions, template fragments and counters work; what would need pickle
(the cached responses of Django's own cache middleware, querysets) is an
EncodeError. Beside Django's API there are tags, and the Cache itself:

    cache.set("user:1", row, tags=["users"])
    cache.invalidate(tags=["users"])
    caches["default"].unstale.get_or_set(...)

Nothing is endless: a timeout of None is 30 days. `clear` clears the namespace.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from asgiref.sync import sync_to_async
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from ._native import Invalidated
from .cache import Cache
from .entries import Entry

#: The sidecar's limits.
_SHORTEST, _ENDLESS = 0.001, 30 * 24 * 3600.0
_TRIES = 100
#: Reads without an entry after which there is none.
_READS = 3


class UnstaleCache(BaseCache):
    """The backend."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        options = {k: v for k, v in params.get("OPTIONS", {}).items() if k not in ("MAX_ENTRIES", "CULL_FREQUENCY")}
        #: The cache itself, for what Django has no word for.
        self.unstale = Cache(location or None, **options)

    def validate_key(self, key: str) -> None:
        """Any text of up to 512 bytes is a key; the sidecar refuses others."""

    def _ttl(self, timeout: Any) -> float:
        timeout = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        if timeout is None:
            return _ENDLESS
        seconds = float(timeout)
        return min(max(seconds, _SHORTEST), _ENDLESS) if seconds > 0 else 0.0

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self.unstale.get(self.make_key(key, version), default)

    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return await self.unstale.aio.get(self.make_key(key, version), default)

    def set(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        tags: Iterable[str] = (),
        depends_on: Iterable[Any] = (),
    ) -> None:
        ttl, name = self._ttl(timeout), self.make_key(key, version)
        if ttl <= 0:
            self.unstale.delete(name)
        else:
            self.unstale.set(name, value, ttl=ttl, tags=tags, depends_on=self._keys(depends_on, version))

    async def aset(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        tags: Iterable[str] = (),
        depends_on: Iterable[Any] = (),
    ) -> None:
        ttl, name = self._ttl(timeout), self.make_key(key, version)
        if ttl <= 0:
            await self.unstale.aio.delete(name)
        else:
            depends = self._keys(depends_on, version)
            await self.unstale.aio.set(name, value, ttl=ttl, tags=tags, depends_on=depends)

    def _keys(self, keys: Iterable[Any], version: int | None) -> list[str]:
        """Keys of this cache, as they are stored."""
        return [self.make_key(key, version) for key in keys]

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        ttl, name = self._ttl(timeout), self.make_key(key, version)
        if ttl <= 0:
            return not self.unstale.lookup(name)
        return self.unstale.set(name, value, ttl=ttl, if_absent=True).stored

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        ttl, name = self._ttl(timeout), self.make_key(key, version)
        entry = self.unstale.lookup(name).entry
        if entry is None:
            return False
        if ttl <= 0:
            self.unstale.delete(name)
            return True
        # Not of another value: somebody may write between.
        same = self.unstale.compare_and_set(
            name, entry.value, version=entry.version, ttl=ttl, tags=entry.tags
        )
        return same.stored or bool(same.current)

    def delete(self, key: Any, version: int | None = None) -> bool:
        name = self.make_key(key, version)
        there = bool(self.unstale.lookup(name))
        self.unstale.delete(name)
        return there

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return bool(self.unstale.lookup(self.make_key(key, version)))

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        name = self.make_key(key, version)
        entry = self.unstale.lookup(name).entry
        for _ in range(_TRIES):
            entry = entry or self._again(name)
            if entry is None:
                raise ValueError(f"Key {key!r} not found")
            value: int = entry.value + delta
            swap = self.unstale.compare_and_set(
                name, value, version=entry.version, ttl=max(entry.ttl_left, _SHORTEST), tags=entry.tags
            )
            if swap.stored:
                return value
            entry = swap.current.entry
        raise RuntimeError(f"{_TRIES} others were faster at incrementing")

    def _again(self, name: str) -> Entry[Any] | None:
        """The entry after a miss: while another's write is under way there is
        none, and it is there when the log has told of the write."""
        for _ in range(_READS):
            entry = self.unstale.lookup(name, level="strong").entry
            if entry is not None:
                return entry
        return None

    async def aincr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        # Django's own reads and writes, and loses what comes between.
        value: int = await sync_to_async(self.incr)(key, delta, version)
        return value

    async def adecr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return await self.aincr(key, -delta, version)

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        names = {self.make_key(key, version): key for key in keys}
        return {names[name]: value for name, value in self.unstale.get_many(names).items()}

    def set_many(
        self, data: dict[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        ttl = self._ttl(timeout)
        names = {self.make_key(key, version): key for key in data}
        if ttl <= 0:
            self.delete_many(data, version)
            return []
        outcomes = self.unstale.set_many({n: data[k] for n, k in names.items()}, ttl=ttl)
        return [names[name] for name, outcome in outcomes.items() if not outcome]

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        names = [self.make_key(key, version) for key in keys]
        for start in range(0, len(names), 256):
            self.unstale.invalidate(*names[start : start + 256])

    def clear(self) -> None:
        self.unstale.invalidate(all=True)

    def invalidate(self, *, tags: Iterable[str] | str) -> Invalidated:
        """Removes everything that was set with one of the tags."""
        return self.unstale.invalidate(tags=tags)
