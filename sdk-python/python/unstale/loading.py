"""The operations that load: `get_or_set` and `refresh`, for threads and event loops.

One loader per key in the fleet; where the sidecar cannot see to it, one in this
process. Who loaded has the value, whatever becomes of storing it. How a loader
runs, and who waits for it, is not here: steps.py and flights.py.
"""

from __future__ import annotations

import time
from typing import Any

from ._native import Answer, Client, Grant, RawEntry
from .codecs import UNHINTED, Codecs
from .entries import NOT_FOUND, Loaded
from .errors import DecodeError, EncodeError, Error
from .flights import Flights
from .operations import Operations
from .options import Load, Loader, NativeStore, Tagging
from .steps import Alone, Loading, Operation, run

#: What options and tags raise that no request can be made of.
_NOT_STORABLE = (TypeError, ValueError, OverflowError)


class LoadingOperations(Operations):
    """The operations of a cache, with those that load."""

    def __init__(self, client: Client, codecs: Codecs, strict: bool, sidecar: bool = True) -> None:
        super().__init__(client, codecs, strict, sidecar)
        self.flights = Flights()

    def get_or_set(
        self, key: str, loader: Loader, load: Load, tagging: Tagging | None = None
    ) -> Operation[Any]:
        arrived = time.monotonic()
        return (yield from self._obtained(key, loader, load, tagging, arrived, None))

    def fetch_or_set(
        self, key: str, loader: Loader, load: Load, tagging: Tagging | None = None
    ) -> Any:
        """`get_or_set` for threads: what is cached comes in one native call and
        not in steps."""
        arrived, asked = time.monotonic(), (load.min_position, load.allow_stale)
        try:
            told = self.client.obtain(key, load.term, load.wait, *asked)
        except Error as error:
            return run(self._without(key, loader, load, arrived, error))
        if isinstance(told, Answer):
            return run(self._obtained(key, loader, load, tagging, arrived, told))
        data, content_type = told
        if data is None:
            return None
        try:
            return self.codecs.decode(data, content_type, load.type)
        except DecodeError:
            # Asked again, for the position at which it is mended.
            return run(self._obtained(key, loader, load, tagging, arrived, None))

    def _obtained(
        self,
        key: str,
        loader: Loader,
        load: Load,
        tagging: Tagging | None,
        arrived: float,
        told: Answer | None,
    ) -> Operation[Any]:
        nothing = object()
        try:
            answer, value = yield from self._asked(key, load, nothing, told)
        except Error as error:
            return (yield from self._without(key, loader, load, arrived, error))
        if value is not nothing:
            return value
        if answer.kind == "alone":
            loaded = yield self._loading(key, loader, load, arrived)
            # Counts or raises, for every caller, that it has no form.
            return self._packed(loaded, load)[0]
        grant = answer.grant
        if grant is not None:
            try:
                load = load if tagging is None else tagging()
            except BaseException:
                grant.release()
                raise
            return (yield from self._load(key, loader, load, grant, answer.entry))
        # A hit that nobody here can read: load, and mend it.
        load = load if tagging is None else tagging()
        loading = self._loading(key, loader, load, arrived)
        return (yield from self._replace(key, loading, load, answer.position))

    def _without(
        self, key: str, loader: Loader, load: Load, arrived: float, error: Error
    ) -> Operation[Any]:
        """What is loaded because the sidecar cannot answer."""
        self.failed(error)
        # Who must see a position cannot take what was read before it.
        since = arrived if load.min_position else 0.0
        return _given((yield self._loading(key, loader, load, since)))

    def _asked(
        self, key: str, load: Load, nothing: Any, told: Answer | None
    ) -> Operation[tuple[Answer, Any]]:
        """An answer, that which is there already or the next, and the value that
        it brings, if it brings one."""
        allow_stale = load.allow_stale
        while True:
            answer: Answer = told or (
                yield self.client.lease(
                    key, load.term, load.wait, load.min_position, allow_stale, True
                )
            )
            if answer.grant is not None:
                return answer, nothing
            value = self.value(answer.entry, nothing, load.type)
            if value is not nothing or answer.kind != "busy":
                return answer, value
            # Stale, and nobody here can read it: wait for the one who loads.
            allow_stale, told = False, None

    def _loading(self, key: str, loader: Loader, load: Load, since: float) -> Loading:
        """A loader that only this process keeps to one at a time."""
        # Nobody waits longer than for a loader of their own, which may yet run.
        wait = load.wait if load.hard_timeout is None else min(load.wait, load.hard_timeout)
        return Loading(loader, Alone(self.flights, key, wait, since), load.hard_timeout)

    def _load(
        self, key: str, loader: Loader, load: Load, grant: Grant, stale: RawEntry | None
    ) -> Operation[Any]:
        try:
            loaded = yield Loading(loader, None, load.hard_timeout)
        except Exception:
            saved = object()
            safe = load.fail_safe if stale is not None else None
            # Granted before the entry expired: it stands all the same.
            stands = safe is not None or (stale is not None and stale.fresh)
            value = yield from self._failed_load(key, load, grant, safe, stands, saved)
            if value is saved:
                raise
            return value
        except BaseException:
            # Interrupted or cancelled: nothing may be waited for.
            grant.release()
            raise
        return (yield from self._filled(loaded, load, grant))

    def _filled(self, loaded: Any, load: Load, grant: Grant) -> Operation[Any]:
        try:
            value, packed = self._packed(loaded, load)
            if packed is not None:
                yield from self._kept(grant.fill, *packed)
        except Exception:
            grant.unstorable()
            raise
        except BaseException:
            # An interrupt says nothing of the value.
            grant.release()
            raise
        # Of a grant that was used this does nothing.
        grant.unstorable()
        return value

    def _failed_load(
        self, key: str, load: Load, grant: Grant, safe: float | None, stands: bool, nothing: Any
    ) -> Operation[Any]:
        """Gives the lease back; what was there where that is wanted and allowed."""
        try:
            yield grant.abandon(safe)
            if not stands:
                return nothing
            # What came with the grant may have been invalidated since.
            answer: Answer = yield self.client.get(key, "STALE_OK", None, load.min_position)
        except Error:
            return nothing
        return self.value(answer.entry, nothing, load.type)

    def refresh(
        self, key: str, loader: Loader, load: Load, position: str | None = None
    ) -> Operation[Any]:
        """Loads and stores, whatever is cached. The position comes before the
        load: what is invalidated meanwhile makes the write a refused one."""
        if position is None:
            position = (yield from self.lookup(key, UNHINTED)).position
        return (yield from self._replace(key, Loading(loader, None, load.hard_timeout), load, position))

    def _replace(self, key: str, loading: Loading, load: Load, position: str) -> Operation[Any]:
        loaded = yield loading
        value, packed = self._packed(loaded, load)
        # Who took what another loaded leaves that to it, too.
        if position and packed is not None and loading.ran:
            yield from self._kept(self.client.set, key, *packed, position)
        return value

    def _packed(self, loaded: Any, load: Load) -> tuple[Any, tuple[Any, NativeStore] | None]:
        """What the caller gets for what was loaded, and how that is stored;
        none for what cannot be."""
        try:
            value, store = load.storing(loaded)
            return _given(value), self.encoded(value, load.type, store)
        except EncodeError as error:
            self.unencodable(error)
        except _NOT_STORABLE as error:
            self._not_storable(error)
        return _given(loaded), None

    def _kept(self, write: Any, *what: Any) -> Operation[None]:
        """Stores what was loaded: its caller has the value, whatever happens."""
        try:
            yield write(*what)
        except Error as error:
            self.failed(error, lenient=True)
        except _NOT_STORABLE as error:
            self._not_storable(error)

    def _not_storable(self, error: Exception) -> None:
        # Not the error's words: they may hold the value.
        if self.strict:
            raise error
        self.unencodable(EncodeError(f"its options or tags: {type(error).__name__}"))


def _given(loaded: Any) -> Any:
    """What a caller gets for what a loader returned."""
    value = loaded.value if isinstance(loaded, Loaded) else loaded
    return None if value is NOT_FOUND else value
