"""The native module; `unstale` is the API around it."""

from typing import Any, final

__all__ = [
    "Call",
    "Task",
    "Client",
    "RawEntry",
    "Answer",
    "Grant",
    "Reactor",
    "Invalidated",
    "Peer",
    "Status",
    "Written",
    "Watch",
    "WatchEvent",
]

# ttl, stale_for, valid_for, jitter in seconds; tags, source version, content type.
_Store = tuple[
    float | None, float | None, float | None, float | None, list[str], int | None, str
]
_Item = tuple[str, bytes | str | None, _Store, str | None, bool]

@final
class Call:
    def wait(self) -> Any: ...
    def start(self, reactor: Reactor) -> Task: ...

@final
class Task:
    @property
    def id(self) -> int: ...
    def cancel(self) -> None: ...

@final
class Reactor:
    def __new__(cls) -> Reactor: ...
    def fileno(self) -> int: ...
    def drain(self) -> list[tuple[int, bool, Any]]: ...

@final
class Client:
    def __new__(
        cls,
        endpoint: str | None,
        namespace: str,
        timeout: float | None,
        keep_alive: float | None,
        strict: bool,
        sidecar: bool = True,
    ) -> Client: ...
    def connect(self) -> Call: ...
    def status(self) -> Call: ...
    def peers(self) -> Call: ...
    def get(
        self,
        key: str,
        level: str = "BOUNDED",
        max_staleness: float | None = None,
        min_position: str | None = None,
        if_none_match: str | None = None,
    ) -> Call: ...
    def fetch(
        self,
        key: str,
        level: str,
        max_staleness: float | None,
        min_position: str | None,
    ) -> tuple[bytes | str | None, str] | None: ...
    def get_many(
        self,
        keys: list[str],
        level: str = "BOUNDED",
        max_staleness: float | None = None,
        min_position: str | None = None,
    ) -> Call: ...
    def set(
        self,
        key: str,
        data: bytes | str | None,
        store: _Store,
        position: str | None = None,
        if_absent: bool = False,
        ack: str = "LOG",
    ) -> Call: ...
    def set_many(self, items: list[_Item], ack: str = "LOG") -> Call: ...
    def compare_and_set(
        self,
        key: str,
        expect: tuple[str, str],
        data: bytes | str | None,
        store: _Store,
        ack: str = "LOG",
    ) -> Call: ...
    def lease(
        self,
        key: str,
        term: float | None = None,
        wait: float = 0.0,
        min_position: str | None = None,
        allow_stale: bool = True,
        attempt: bool = False,
    ) -> Call: ...
    def obtain(
        self,
        key: str,
        term: float | None,
        wait: float,
        min_position: str | None,
        allow_stale: bool,
    ) -> tuple[bytes | str | None, str] | Answer: ...
    def lease_many(
        self,
        keys: list[str],
        term: float | None = None,
        wait: float = 0.0,
        min_position: str | None = None,
    ) -> Call: ...
    def invalidate(
        self,
        keys: list[str],
        tags: list[str],
        prefixes: list[str],
        all: bool,
        mode: str,
        ack: str,
        id: str | None,
        reason: str,
        min_source_version: int | None,
    ) -> Call: ...
    def watch(
        self,
        position: str | None,
        keys: list[str],
        prefixes: list[str],
        tags: list[str],
    ) -> Call: ...

@final
class RawEntry:
    @property
    def data(self) -> bytes | str | None: ...
    @property
    def content_type(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def etag(self) -> str: ...
    @property
    def source_version(self) -> int | None: ...
    @property
    def tags(self) -> list[str]: ...
    @property
    def tier(self) -> str: ...
    @property
    def fresh(self) -> bool: ...
    @property
    def stale_reason(self) -> str | None: ...
    @property
    def age(self) -> float: ...
    @property
    def ttl_left(self) -> float: ...
    @property
    def stale_left(self) -> float: ...

@final
class Answer:
    @property
    def kind(self) -> str: ...
    @property
    def entry(self) -> RawEntry | None: ...
    @property
    def grant(self) -> Grant | None: ...
    @property
    def retry_after(self) -> float | None: ...
    @property
    def position(self) -> str: ...
    @property
    def degraded(self) -> list[str]: ...

@final
class Grant:
    @property
    def token(self) -> str: ...
    @property
    def term(self) -> float: ...
    def fill(self, data: bytes | str | None, store: _Store) -> Call: ...
    def release(self) -> None: ...
    def unstorable(self) -> None: ...
    def abandon(
        self, serve_stale_for: float | None = None, retry_after: float | None = None
    ) -> Call: ...

@final
class Written:
    @property
    def stored(self) -> bool: ...
    @property
    def version(self) -> str | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def min_source_version(self) -> int | None: ...
    @property
    def current_kind(self) -> str: ...
    @property
    def current(self) -> RawEntry | None: ...
    @property
    def position(self) -> str: ...

@final
class Invalidated:
    @property
    def position(self) -> str | None: ...
    @property
    def acked(self) -> list[tuple[str, str]]: ...
    @property
    def lapsed(self) -> list[tuple[str, str]]: ...

@final
class Status:
    @property
    def version(self) -> str: ...
    @property
    def fleet(self) -> str: ...
    @property
    def session_state(self) -> str: ...
    @property
    def position(self) -> str: ...
    @property
    def pod(self) -> str | None: ...
    @property
    def instance(self) -> str: ...
    @property
    def log(self) -> str: ...
    @property
    def log_error(self) -> str: ...
    @property
    def remote(self) -> str: ...
    @property
    def remote_error(self) -> str: ...

@final
class Peer:
    @property
    def pod(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def own(self) -> bool: ...
    @property
    def expelled(self) -> bool: ...

@final
class Watch:
    def next(self) -> Call: ...

@final
class WatchEvent:
    @property
    def kind(self) -> str: ...
    @property
    def position(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def keys(self) -> list[str]: ...
    @property
    def tags(self) -> list[str]: ...
    @property
    def prefixes(self) -> list[str]: ...
    @property
    def all(self) -> bool: ...
    @property
    def soft(self) -> bool: ...
    @property
    def reason(self) -> str: ...
