"""Loaders that are given up after a time.

A task is cancelled. A thread cannot be ended from outside: a plain loader runs
in a thread of its own, which is left to itself when the time is over, and what
it comes to is dropped. It sees the caller's context variables, not what is the
caller's thread's own.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from .errors import LoadTimedOut


class _Run:
    """A function in a thread of its own."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._over = threading.Event()
        self._value: Any = None
        self._error: BaseException | None = None
        context = contextvars.copy_context()
        # A daemon: one that hangs must not keep the process from ending.
        threading.Thread(target=context.run, args=(self._run,), name="unstale loader", daemon=True).start()

    def _run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:
            self._error = error
        finally:
            self._over.set()

    def result(self, seconds: float) -> Any:
        """What it came to."""
        if not self._over.wait(seconds):
            raise _late(seconds)
        if self._error is not None:
            raise self._error
        return self._value


def wait(function: Callable[[], Any], seconds: float) -> Any:
    """What the function returns or raises; LoadTimedOut when it takes longer."""
    return _Run(function).result(seconds)


async def made(loader: Coroutine[Any, Any, Any], seconds: float) -> Any:
    """What the coroutine returns or raises; LoadTimedOut when it takes longer,
    and then it is cancelled."""
    task = asyncio.ensure_future(loader)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _give_up(task)
        raise
    if not done:
        _give_up(task)
        raise _late(seconds)
    return task.result()


def _give_up(task: asyncio.Future[Any]) -> None:
    task.cancel()
    # Whatever it raises while it ends was nobody's answer.
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


def _late(seconds: float) -> LoadTimedOut:
    return LoadTimedOut(f"the loader did not end within {seconds:g} s")
