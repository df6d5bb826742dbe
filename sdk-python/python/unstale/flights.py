"""One loader per key in this process, where the sidecar cannot see to it.

Whoever asks while a loader runs gets what it comes to, its exception included;
who says since when does not get what began before, but what comes after it.
A loader that was interrupted or cancelled is nobody's answer: the next runs.
A loader that asks for its own key runs again, it does not wait for itself.

No lock: a fork must not find one locked. What a dict does at once is enough,
and a child takes no notice of the parent's flights.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any


class _Flight:
    def __init__(self) -> None:
        self.began = time.monotonic()
        self.over = threading.Event()
        self.leader = threading.get_ident()
        self.value: Any = None
        self.error: Exception | None = None
        self.landed = False

    def result(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


class Flights:
    """The loaders that run in this process now."""

    def __init__(self) -> None:
        self._threads: dict[tuple[int, str], _Flight] = {}
        self._tasks: dict[tuple[int, str], tuple[object, asyncio.Future[Any], float]] = {}

    def run(self, key: str, load: Callable[[], Any], since: float = 0.0) -> Any:
        """Runs the loader, or waits for the one that runs."""
        name = (os.getpid(), key)
        while True:
            own = _Flight()
            flight = self._threads.setdefault(name, own)
            if flight is own:
                return self._lead(name, flight, load)
            if flight.leader == own.leader:
                return load()
            flight.over.wait()
            if flight.landed and flight.began >= since:
                return flight.result()

    def _lead(self, name: tuple[int, str], flight: _Flight, load: Callable[[], Any]) -> Any:
        try:
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
        self, key: str, load: Callable[[], Awaitable[Any]], since: float = 0.0
    ) -> Any:
        """The same for the tasks of one event loop."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        name = (id(loop), key)
        while (found := self._tasks.get(name)) is not None:
            leader, flight, began = found
            if leader is task:
                return await load()
            try:
                value = await asyncio.shield(flight)
            except asyncio.CancelledError:
                if not flight.cancelled():
                    raise
                continue
            except Exception:
                if began >= since:
                    raise
                continue
            if began >= since:
                return value
        flight = loop.create_future()
        self._tasks[name] = (task, flight, time.monotonic())
        try:
            value = await load()
            flight.set_result(value)
            return value
        except Exception as error:
            flight.set_exception(error)
            flight.exception()  # seen, even when nobody waits
            raise
        finally:
            del self._tasks[name]
            flight.cancel()
