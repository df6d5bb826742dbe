"""How one operation runs for threads and for event loops alike.

An operation is a generator that yields steps (a native call, a loader to run)
and is sent what each comes to. `run` waits for each step; `Loop.run` awaits it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar, Union
from weakref import WeakKeyDictionary

from . import patience
from ._native import Answer, Call, Reactor, Retained
from .flights import Flights

T = TypeVar("T")


class Alone(NamedTuple):
    """How one loader at a time runs in this process."""

    flights: Flights
    key: str
    #: Seconds that another caller's loader is waited for.
    wait: float
    #: When the call came, if it must not be given what was read before; else 0.
    since: float


class Loading:
    """A loader to run; `alone` when the sidecar cannot keep others from it: one at
    a time then."""

    def __init__(
        self,
        loader: Callable[[], Any],
        alone: Alone | None = None,
        hard_timeout: float | None = None,
    ) -> None:
        self._loader = loader
        self._alone = alone
        self._hard_timeout = hard_timeout
        #: Whether the loader ran here.
        self.ran = False

    def wait(self) -> Any:
        """Runs it in this thread; with a hard timeout, in one of its own."""
        if self._alone is None:
            return self._within()
        flights, key, wait, since = self._alone
        return flights.run(key, self._within, wait, since)

    def _within(self) -> Any:
        if self._hard_timeout is None:
            return self._loaded()
        return patience.wait(self._loaded, self._hard_timeout)

    def _loaded(self) -> Any:
        self.ran = True
        value = self._loader()
        if inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()
            raise TypeError("the loader is async: use AsyncCache")
        return value

    async def made(self) -> Any:
        """Runs it in this task; a plain function is as good as an async one."""
        if self._alone is None:
            return await self._awaited_within()
        flights, key, wait, since = self._alone
        return await flights.run_async(key, self._awaited_within, wait, since)

    async def _awaited_within(self) -> Any:
        if self._hard_timeout is None:
            return await self._awaited()
        return await patience.made(self._awaited(), self._hard_timeout)

    async def _awaited(self) -> Any:
        self.ran = True
        value = self._loader()
        return await value if inspect.isawaitable(value) else value


Step = Union[Call, Loading]
Operation = Generator[Step, Any, T]


def run(operation: Operation[T]) -> T:
    """Runs the operation in this thread."""
    try:
        step = next(operation)
        while True:
            try:
                value = step.wait()
            except BaseException as error:
                step = operation.throw(error)
            else:
                step = operation.send(value)
    except StopIteration as done:
        result: T = done.value
        return result


class Loop:
    """The calls of one event loop."""

    _loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Loop] = WeakKeyDictionary()

    @classmethod
    def current(cls) -> Loop:
        """That of the running event loop."""
        running = asyncio.get_running_loop()
        found = cls._loops.get(running)
        if found is None:
            found = cls._loops[running] = cls()
            # Not bound to the loop: the table holds it weakly.
            running.add_reader(found._reactor.fileno(), found._drain)
        return found

    def __init__(self) -> None:
        self._reactor = Reactor()
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def run(self, operation: Operation[T]) -> T:
        """Runs the operation in this task."""
        try:
            step = next(operation)
            while True:
                try:
                    value = await (self.made(step) if isinstance(step, Call) else step.made())
                except BaseException as error:
                    step = operation.throw(error)
                else:
                    step = operation.send(value)
        except StopIteration as done:
            result: T = done.value
            return result

    async def made(self, call: Call) -> Any:
        """Makes the call; cancelling the task drops it."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        task = call.start(self._reactor)
        self._waiting[task.id] = future
        try:
            return await future
        except asyncio.CancelledError:
            task.cancel()
            self._waiting.pop(task.id, None)
            if future.done() and not future.cancelled() and future.exception() is None:
                _let_go(future.result())
            raise

    def _drain(self) -> None:
        for number, good, value in self._reactor.drain():
            future = self._waiting.pop(number, None)
            if future is None or future.done():
                continue
            if good:
                future.set_result(value)
            else:
                future.set_exception(value)


def _let_go(value: Any) -> None:
    """Gives back what came for a task that was cancelled at that moment. What
    keeps its exception would keep the lease, which is renewed."""
    for answer in value if isinstance(value, list) else [value]:
        if isinstance(answer, Answer) and answer.grant is not None:
            answer.grant.release()
        if isinstance(answer, Retained):
            answer.let_go()
