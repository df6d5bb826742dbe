"""One adapter process: JSON lines out to its stdin, JSON lines in from its
stdout, any number of requests under way.

Knows the protocol's frame (PROTOCOL.md), not what calls mean.
"""

import itertools
import json
import subprocess
import threading
from concurrent.futures import Future

from vocabulary import CAPABILITIES

#: The version of PROTOCOL.md.
PROTOCOL = 1
#: Seconds within which every request must be answered. Far above any deadline.
PATIENCE = 60


class AdapterFailed(Exception):
    """The adapter does not keep to the protocol, or has ended."""


class Adapter:
    """A running adapter."""

    def __init__(self, name, command, env):
        self.name = name
        self._numbers = itertools.count(1)
        self._waiting = {}
        self._lock = threading.Lock()
        self._ended = None
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=env, text=True, encoding="utf-8")
        threading.Thread(target=self._read, daemon=True).start()
        #: What it says of itself.
        self.hello = self.call("hello", {"protocol": PROTOCOL}).get("result")
        if not isinstance(self.hello, dict) or "sdk" not in self.hello:
            raise AdapterFailed(f"{name}: hello must be answered with the name of the sdk")
        #: The capabilities that its SDK has.
        self.has = frozenset(self.hello.get("has", ()))
        if not self.has <= CAPABILITIES:
            raise AdapterFailed(f"{name}: no capabilities: {sorted(self.has - CAPABILITIES)}")

    def begin(self, call, args, client=None):
        """Sends a request; the future is its answer."""
        number, future = next(self._numbers), Future()
        request = {"id": number, "call": call, "args": args}
        if client is not None:
            request["client"] = client
        with self._lock:
            if self._ended:
                raise AdapterFailed(self._ended)
            self._waiting[number] = future
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        return future

    def call(self, call, args, client=None):
        """Sends a request and waits for its answer."""
        return self.answer(self.begin(call, args, client), call)

    def answer(self, future, call):
        """The answer of a request."""
        try:
            return future.result(PATIENCE)
        except TimeoutError:
            raise AdapterFailed(f"{self.name} has not answered {call} within {PATIENCE} s") from None

    def _read(self):
        why = None
        for line in self.process.stdout:
            why = self._take(line)
            if why:
                break
        why = why or f"{self.name} closed its stdout"
        with self._lock:
            self._ended = why
            waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            future.set_exception(AdapterFailed(why))

    def _take(self, line):
        try:
            answer = json.loads(line)
            said = [word for word in ("result", "error", "unsupported") if word in answer]
            if len(said) != 1:
                raise ValueError("an answer has one of result, error and unsupported")
            with self._lock:
                future = self._waiting.pop(answer["id"])
        except (ValueError, KeyError, TypeError) as error:
            return f"{self.name} said {line[:200]!r}: {error!r}"
        future.set_result(answer)
        return None

    @property
    def is_alive(self):
        """Whether it still answers."""
        return self._ended is None

    def stop(self):
        """Closes its stdin, at which it must end; kills it when it does not."""
        with self._lock:
            self.process.stdin.close()
        try:
            return self.process.wait(PATIENCE / 6)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
