"""What the sync and the asyncio cache have in common: how they are made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ._native import Client
from .codecs import Codec, Codecs
from .durations import Duration, optional_seconds
from .loading import LoadingOperations
from .outages import Counts


#: What the representation leaves out.
_USUAL: dict[str, Any] = {
    "endpoint": None,
    "namespace": "",
    "timeout": None,
    "keep_alive": None,
    "codec": "json",
    "codecs": (),
    "strict": False,
    "sidecar": True,
}


class Base:
    """A connection to a sidecar, made at the first call. Threads, tasks and
    forked processes may share it: a child connects anew."""

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        namespace: str = "",
        timeout: Duration | None = None,
        keep_alive: Duration | None = None,
        codec: str | Codec = "json",
        codecs: Iterable[Codec] = (),
        strict: bool = False,
        sidecar: bool = True,
    ) -> None:
        """
        endpoint: "http://HOST:PORT" or "unix:/path"; else UNSTALE_ENDPOINT,
            else http://127.0.0.1:7070.
        timeout: the deadline of every call; else the sidecar's own (1 s).
        keep_alive: how often a silent sidecar is asked whether it is there.
        codec: "json", "msgpack" or a Codec; for all but bytes and str.
        codecs: more codecs whose content types can be read.
        strict: raise what is otherwise a miss or an unstored value.
        sidecar: False for tests without one: every read is a miss, nothing is
            stored, every loader runs, an invalidation is done.
        """
        also = tuple(codecs)
        self._made: dict[str, Any] = {
            "endpoint": endpoint,
            "namespace": namespace,
            "timeout": timeout,
            "keep_alive": keep_alive,
            "codec": codec,
            "codecs": also,
            "strict": strict,
            "sidecar": sidecar,
        }
        times = optional_seconds(timeout), optional_seconds(keep_alive)
        client = Client(endpoint, namespace, *times, strict, sidecar)
        self._operations = LoadingOperations(client, Codecs(codec, also), strict, sidecar)

    @property
    def counts(self) -> Counts:
        """How often the cache was not what it should be."""
        return self._operations.counts

    def __reduce__(self) -> tuple[Any, ...]:
        # For processes that are spawned: they connect by themselves.
        return _again, (type(self), self._made)

    def __repr__(self) -> str:
        made = ", ".join(f"{k}={v!r}" for k, v in self._made.items() if v != _USUAL.get(k))
        return f"{type(self).__name__}({made})"


def _again(kind: type[Base], made: dict[str, Any]) -> Base:
    return kind(**made)


def expectation(version: str | None, etag: str | None, absent: bool) -> tuple[str, str]:
    """What a compare-and-set expects: one of the three."""
    given = [
        pair
        for pair in (("version", version), ("etag", etag), ("absent", "" if absent else None))
        if pair[1] is not None
    ]
    if len(given) != 1:
        raise TypeError("compare_and_set expects one of version, etag and absent=True")
    what, value = given[0]
    return what, value or ""
