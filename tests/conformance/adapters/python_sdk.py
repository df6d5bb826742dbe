"""The adapter of the Python SDK: its public sync API and nothing else
(PROTOCOL.md). Each request has a thread of its own.
"""

import json
import sys
import threading
import traceback
from pathlib import Path

# Where sdk-python/tests/run installs it; else it is this Python's own.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "target" / "sdk-python"))

from python_calls import Calls  # noqa: E402
from python_words import Loaders, Unsupported, error_of, event  # noqa: E402


class Adapter:
    """Answers requests, each client's by what `calls` makes."""

    def __init__(self, calls, loaders):
        self._lock = threading.Lock()
        self._clients, self._streams = {}, {}
        self._calls, self._loaders = calls, loaders

    def answer(self, request):
        """Makes the call and writes what it came to."""
        try:
            said = {"result": self._do(request["call"], request["args"], request.get("client"))}
        except Unsupported as error:
            said = {"unsupported": str(error)}
        except Exception as error:
            said = {"error": error_of(error)}
            if said["error"]["kind"] == "bug":
                traceback.print_exc()
        with self._lock:
            print(json.dumps({"id": request["id"], **said}), flush=True)

    def _do(self, call, args, client):
        if call == "hello":
            # A lease is an object that is used once and renews itself, batches
            # are split, and the keys of a dict are there once.
            return {"sdk": "python", "version": "0.1.0", "has": []}
        if call == "open":
            self._clients[client] = self._calls(args, self._loaders)
            return {}
        if call == "forget":
            return self._forget(args["prefix"])
        if call == "loads":
            return {"begun": self._loaders.begun(args["loader"])}
        if call == "release":
            self._loaders.release(args["gate"])
            return {}
        if call == "watch":
            events = self._clients[client].watch(args)
            next(events)  # That it has started.
            self._streams[args["stream"]] = events
            return {}
        if call == "next":
            return event(next(each for each in self._streams[args["stream"]] if each.kind != "heartbeat"))
        if call == "close":
            self._streams.pop(args["stream"])
            return {}
        try:
            does = getattr(self._clients[client], call)
        except AttributeError:
            raise Unsupported(f"the call {call}") from None
        return does(args)

    def _forget(self, prefix):
        self._loaders.forget(prefix)
        for held in (self._streams, self._clients):
            for name in [name for name in held if name.startswith(prefix)]:
                held.pop(name)
        return {}


def serve(adapter):
    """Reads requests until stdin ends."""
    for line in sys.stdin:
        threading.Thread(target=adapter.answer, args=[json.loads(line)], daemon=True).start()


if __name__ == "__main__":
    serve(Adapter(Calls, Loaders()))
