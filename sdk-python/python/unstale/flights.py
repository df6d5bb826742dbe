"""One loader per key in this process, where the sidecar cannot see to it.

Whoever asks while a loader runs gets what it comes to, the very object and its
exception included; who says since when does not get what began before, but what
comes after it. Nobody waits longer than they said: then they get Busy.
A loader that was interrupted or cancelled is nobody's answer: the next runs.
A loader that asks for its own key runs again, it does not wait for itself, in
whatever thread or task of its context it asks. Two that ask for each other's
keys wait until they are Busy.

No lock: a fork must not find one locked. What a dict does at once is enough,
and a child takes no notice of the parent's flights.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from .errors import Busy

#: Seconds after which a caller that waited in vain may ask again.
_RETRY = 0.01
#: The flights whose loaders run in this context. By their marks: a context can
#: outlive a flight, and shall not keep its value.
_led: ContextVar[tuple[object, ...]] = ContextVar("unstale_led", default=())


class _Flight:
    """A loader that runs for the threads of this process."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.over = threading.Event()
        self.mark = object()
        self.value: Any = None
        self.error: Exception | None = None
        self.landed = False

    def result(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


class _TaskFlight:
    """A loader that runs for the tasks of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.began = time.monotonic()
        self.over: asyncio.Future[Any] = loop.create_future()
        self.mark = object()


class Flights:
    """The loaders that run in this process now."""

    def __init__(self) -> None:
        self._threads: dict[tuple[int, str], _Flight] = {}
        self._tasks: dict[tuple[int, str], _TaskFlight] = {}

    def run(self, key: str, load: Callable[[], Any], wait: float, since: float = 0.0) -> Any:
        """Runs the loader, or waits so many seconds for the one that runs."""
        name, until = (os.getpid(), key), time.monotonic() + wait
        while True:
            own = _Flight()
            flight = self._threads.setdefault(name, own)
            if flight is own:
                return self._lead(name, flight, load)
            if flight.mark in _led.get():
                return load()
            left = max(until - time.monotonic(), 0.0)
            if not flight.over.wait(min(left, threading.TIMEOUT_MAX)):
                raise _busy()
            if flight.landed and flight.began >= since:
                return flight.result()

    def _lead(self, name: tuple[int, str], flight: _Flight, load: Callable[[], Any]) -> Any:
        try:
            with _leading(flight.mark):
                flight.value = load()
            flight.landed = True
        except Exception as error:
            flight.error, flight.landed = error, True
            raise
        finally:
            del self._threads[name]
            flight.over.set()
        return flight.value

    async def run_async(
        self, key: str, load: Callable[[], Awaitable[Any]], wait: float, since: float = 0.0
    ) -> Any:
        """The same for the tasks of one event loop."""
        loop, until = asyncio.get_running_loop(), time.monotonic() + wait
        name = (id(loop), key)
        while (flight := self._tasks.get(name)) is not None:
            if flight.mark in _led.get():
                return await load()
            # Neither its end nor this task's cancels the flight.
            await asyncio.wait({flight.over}, timeout=max(until - time.monotonic(), 0.0))
            if not flight.over.done():
                raise _busy()
            if not flight.over.cancelled() and flight.began >= since:
                return flight.over.result()
        flight = self._tasks[name] = _TaskFlight(loop)
        return await self._lead_async(name, flight, load)

    async def _lead_async(
        self, name: tuple[int, str], flight: _TaskFlight, load: Callable[[], Awaitable[Any]]
    ) -> Any:
        try:
            with _leading(flight.mark):
                value = await load()
            flight.over.set_result(value)
            return value
        except Exception as error:
            flight.over.set_exception(error)
            flight.over.exception()  # seen, even when nobody waits
            raise
        finally:
            del self._tasks[name]
            flight.over.cancel()


@contextmanager
def _leading(mark: object) -> Iterator[None]:
    token = _led.set((*_led.get(), mark))
    try:
        yield
    finally:
        # A coroutine that is thrown away ends in whatever context is there.
        with suppress(ValueError):
            _led.reset(token)


def _busy() -> Busy:
    return Busy("another caller of this process still loads the key", "", _RETRY, ())
