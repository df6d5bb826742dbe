"""The adapter over raw stubs: stock grpcio and generated code, no SDK.

It is what every SDK is measured against, and the shortest whole adapter there
is: what an SDK does beside the calls of the contract (loading, failing open,
codecs) is in grpcio_load.py, written out.
"""

import json
import sys
import threading
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "target" / "python-stubs")]

import grpc  # noqa: E402
from grpcio_calls import Calls, Refused, Unsupported  # noqa: E402
from grpcio_load import Loaders  # noqa: E402


class Adapter:
    """Answers requests, each in a thread of its own."""

    def __init__(self):
        self._lock = threading.Lock()
        self._clients, self._streams = {}, {}
        self._loaders = Loaders()

    def answer(self, request):
        """Makes the call and writes what it came to."""
        try:
            said = {"result": self._do(request["call"], request["args"], request.get("client"))}
        except Unsupported as error:
            said = {"unsupported": str(error)}
        except Refused as error:
            said = {"error": error.fields}
        except Exception as error:
            # No kind of the protocol: the step fails, and shows this.
            said = {"error": {"kind": "bug", "message": repr(error)}}
            traceback.print_exc()
        with self._lock:
            print(json.dumps({"id": request["id"], **said}), flush=True)

    def _do(self, call, args, client):
        if call == "hello":
            has = ["tokens", "renew", "whole_batches", "repeated_keys"]
            return {"sdk": "grpcio", "version": grpc.__version__, "codes": True, "has": has}
        if call == "open":
            self._clients[client] = Calls(args, self._loaders)
            return {}
        if call == "forget":
            return self._forget(args["prefix"])
        if call == "loads":
            return {"begun": self._loaders.begun(args["loader"])}
        if call == "release":
            self._loaders.release(args["gate"])
            return {}
        if call == "watch":
            stream = self._clients[client].watch(args)
            self._streams[args["stream"]] = stream
            return {}
        if call == "next":
            return self._streams[args["stream"]].next()
        if call == "close":
            self._streams.pop(args["stream"]).cancel()
            return {}
        return getattr(self._clients[client], call)(args)

    def _forget(self, prefix):
        self._loaders.forget(prefix)
        for name in [name for name in self._streams if name.startswith(prefix)]:
            self._streams.pop(name).cancel()
        for name in [name for name in self._clients if name.startswith(prefix)]:
            self._clients.pop(name).close()
        return {}


def main():
    """Reads requests until stdin ends."""
    adapter = Adapter()
    for line in sys.stdin:
        threading.Thread(target=adapter.answer, args=[json.loads(line)], daemon=True).start()


if __name__ == "__main__":
    main()
