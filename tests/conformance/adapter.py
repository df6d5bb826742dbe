"""One adapter process: JSON lines out to its stdin, JSON lines in from its
stdout, any number of requests under way.

Knows the protocol's frame (PROTOCOL.md), not what calls mean.
"""

import contextlib
import itertools
import json
import subprocess
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout  # another class before Python 3.11

from vocabulary import CAPABILITIES

#: The version of PROTOCOL.md.
PROTOCOL = 1
#: Seconds within which every request must be answered. Far above any deadline.
PATIENCE = 60
#: Seconds that one that has closed a pipe may take to end.
LAST_WORDS = 5


class AdapterFailed(Exception):
    """The adapter does not keep to the protocol, or has ended."""


class Adapter:
    """A running adapter."""

    def __init__(self, name, command, env, patience=PATIENCE):
        self.name = name
        #: Seconds that it is waited for.
        self.patience = patience
        self._numbers = itertools.count(1)
        self._waiting = {}
        self._lock, self._writes = threading.Lock(), threading.Lock()
        self._ended = None
        self._answers = 0
        #: Whether it was ended because it said nothing any more.
        self.hung = False
        how = {"text": True, "encoding": "utf-8", "errors": "replace"}
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, **how)
        except OSError as error:
            raise AdapterFailed(f"{name} cannot be started: {error}") from None
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self._greet()
        except AdapterFailed:
            self.kill()
            raise

    def _greet(self):
        #: What it says of itself.
        self.hello = self.call("hello", {"protocol": PROTOCOL}).get("result")
        if not isinstance(self.hello, dict) or "sdk" not in self.hello:
            raise AdapterFailed(f"{self.name}: hello must be answered with the name of the sdk")
        #: The capabilities that its SDK has.
        self.has = frozenset(self.hello.get("has", ()))
        if not self.has <= CAPABILITIES:
            raise AdapterFailed(f"{self.name}: no capabilities: {sorted(self.has - CAPABILITIES)}")

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
        self._write(json.dumps(request) + "\n")
        return future

    def _write(self, line):
        try:
            with self._writes:
                self.process.stdin.write(line)
                self.process.stdin.flush()
        except OSError:
            # If it has ended, its reader tells how; the request waits for that.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(LAST_WORDS)
                return
            self._end(f"{self.name} closed its stdin and runs on")

    def call(self, call, args, client=None):
        """Sends a request and waits for its answer."""
        return self.answer(self.begin(call, args, client), call)

    def answer(self, future, call):
        """The answer of a request."""
        answers = self._answers
        try:
            return future.result(self.patience)
        except (TimeoutError, FutureTimeout):
            why = f"{self.name} has not answered {call} within {self.patience} s"
            if self._answers == answers:
                # Nor anything else: it hangs. Nobody else shall wait as long.
                self.hung = True
                self.kill()
                self._end(f"{why}, nor anything else")
            raise AdapterFailed(why) from None

    def _read(self):
        why = None
        for line in self.process.stdout:
            why = self._take(line)
            if why:
                break
        self._end(why or self._last_words())

    def _last_words(self):
        try:
            return f"{self.name} ended with code {self.process.wait(LAST_WORDS)}"
        except subprocess.TimeoutExpired:
            return f"{self.name} closed its stdout and runs on"

    def _end(self, why):
        """It is of no use any more, for the first reason that is told."""
        with self._lock:
            self._ended = why = self._ended or why
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
                future = self._waiting.pop(answer["id"], None)
                self._answers += 1
            if future is None:
                raise ValueError("no request that waits has this id")
        except (ValueError, KeyError, TypeError) as error:
            return f"{self.name} said {line[:200]!r}: {type(error).__name__}: {error}"
        future.set_result(answer)
        return None

    @property
    def why(self):
        """Why it does not answer any more."""
        return self._ended

    @property
    def is_alive(self):
        """Whether it still answers."""
        return self._ended is None

    def stop(self):
        """Closes its stdin, at which it must end; kills it when it does not."""
        with self._writes, contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            return self.process.wait(PATIENCE / 6)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self):
        """Ends it; its exit code."""
        self.process.kill()
        return self.process.wait()
