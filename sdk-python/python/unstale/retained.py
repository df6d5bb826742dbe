"""References to a key for the length of a block: no pod evicts its entry meanwhile."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from ._native import Reference, Released
from ._native import Retained as Native
from .errors import Error
from .operations import Operations
from .steps import Loop, Operation, run

_Asked = tuple[str, "str | None", "float | None", bool]


class _Referring:
    """A reference that is renewed in the background while it is held."""

    def __init__(self, operations: Operations, asked: _Asked) -> None:
        self._operations = operations
        self._asked = asked
        self._native: Native | None = None

    @property
    def owner(self) -> str | None:
        """The owner's name; None when nobody could be told."""
        return self._asked[1] if self._native is None else self._native.owner

    @property
    def newest(self) -> Reference | None:
        """What the sidecar said at the newest renewal: how many owners there are, and
        whether it keeps the entry. None when it could not be told."""
        return None if self._native is None else self._native.newest()

    def _retain(self) -> Operation[None]:
        try:
            self._native = yield self._operations.client.retained(*self._asked)
        except Error as error:
            self._operations.failed(error)

    def _release(self) -> Operation[None]:
        native, self._native = self._native, None
        if native is None:
            return
        try:
            yield native.release()
        except Error as error:
            # The term ends it.
            self._operations.failed(error)

    def _let_go(self) -> None:
        native, self._native = self._native, None
        if native is not None:
            native.let_go()


class Retained(_Referring):
    """A reference held by a thread."""

    def __enter__(self) -> Retained:
        run(self._retain())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if error is not None:
            return self._let_go()
        run(self._release())


class AsyncRetained(_Referring):
    """A reference held by a task."""

    async def __aenter__(self) -> AsyncRetained:
        await Loop.current().run(self._retain())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        # A task that was cancelled waits for nothing.
        if error is not None:
            return self._let_go()
        await Loop.current().run(self._release())


def retain(operations: Operations, *asked: Any) -> Operation[Reference]:
    """Refers to a key once."""
    told: Reference = yield operations.client.retain(*asked)
    return told


def release(operations: Operations, key: str, owner: str) -> Operation[Released]:
    """Ends a reference."""
    told: Released = yield operations.client.release(key, owner)
    return told
