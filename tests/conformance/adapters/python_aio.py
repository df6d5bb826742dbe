"""The adapter of the Python SDK's asyncio API: every call is a coroutine, all of
them run on one event loop, beside each other (PROTOCOL.md). What is called is
what the sync adapter calls.
"""

import asyncio
import inspect
import threading

from python_sdk import Adapter, serve  # first: it makes the SDK importable

import unstale
from python_calls import Calls
from python_words import Loaders, came_to
from unstale.leases import AsyncLease, AsyncLeases


class Driver:
    """The event loop, in a thread of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def run(self, coroutine):
        """What the coroutine comes to, for a thread that is not the loop's."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def driven(self, result):
        """What a method gave, as the sync API gives it."""
        if inspect.iscoroutine(result):
            return self.run(result)
        if inspect.isasyncgen(result):
            return self._each(result)
        return Driven(result, self) if isinstance(result, (AsyncLease, AsyncLeases)) else result

    def _each(self, events):
        while True:
            try:
                event = self.run(_next(events))
            except StopAsyncIteration:
                return
            yield event


async def _next(events):
    return await anext(events)


class Driven:
    """An object of the asyncio API as one of the sync API."""

    def __init__(self, of, driver):
        self._of, self._driver = of, driver

    def __getattr__(self, name):
        found = getattr(self._of, name)
        if not callable(found):
            return found
        return lambda *args, **options: self._driver.driven(found(*args, **options))

    def __enter__(self):
        held = self._driver.run(self._of.__aenter__())
        if isinstance(held, dict):
            return {key: Driven(lease, self._driver) for key, lease in held.items()}
        return self


class AsyncLoaders(Loaders):
    """Loaders that are coroutines, and wait as such."""

    gate = asyncio.Event

    def __init__(self, loop):
        super().__init__()
        self._loop = loop

    def of(self, loader, wrap):
        """The loader as an async function."""

        async def load():
            self._count(loader)
            if "gate" in loader:
                await self._gate(loader["gate"]).wait()
            return came_to(loader, wrap)

        return load

    def release(self, gate):
        """Lets everybody through, now and later."""
        self._loop.call_soon_threadsafe(self._gate(gate).set)


def main():
    """Serves until stdin ends."""
    driver = Driver()

    class AsyncCalls(Calls):
        """One client; its caches are driven."""

        @staticmethod
        def make(**options):
            return Driven(unstale.AsyncCache(**options), driver)

    serve(Adapter(AsyncCalls, AsyncLoaders(driver.loop)))


if __name__ == "__main__":
    main()
