"""What is said when the cache does not work: a warning now and then, and counts.

No key and no value is ever in a warning.
"""

from __future__ import annotations

import logging
import time

_LOG = logging.getLogger("unstale")
#: Seconds between two warnings of one kind.
INTERVAL = 30.0


class Counts:
    """How often the cache was not what it should be, since the start."""

    def __init__(self) -> None:
        #: Calls that failed and were answered as misses.
        self.failed_open = 0
        #: Values that could not be decoded, and were misses.
        self.undecodable = 0
        #: Loaded values that could not be encoded or stored, and were not cached.
        self.unencodable = 0


class Warnings:
    """At most one warning of a kind per interval; it says how many there were."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}
        self._more: dict[str, int] = {}

    def say(self, kind: str, message: str) -> None:
        """Logs the message, or counts it for the next one."""
        # No lock, which a fork might find locked: threads that race here cost
        # a count or a second warning.
        now = time.monotonic()
        if now < self._next.get(kind, 0.0):
            self._more[kind] = self._more.get(kind, 0) + 1
            return
        self._next[kind] = now + INTERVAL
        more = self._more.pop(kind, 0)
        again = f" ({more} more like this in the last {INTERVAL:.0f} s)" if more else ""
        _LOG.warning("%s%s", message, again)
