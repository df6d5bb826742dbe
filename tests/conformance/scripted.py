"""A sidecar of another version: it speaks the contract's frame and says what a
case tells it to, such as reasons and results that this version does not know.

For version skew and the error table only. What the real sidecar can be brought
to do is tested on the real one.
"""

import threading
from concurrent import futures

import grpc
from errors import metadata_of


class Scripted:
    """A gRPC server; every call is answered by what was scripted last."""

    def __init__(self):
        self._scripts = {}
        self._lock = threading.Lock()
        self._server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[_Handler(self)])
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def script(self, rpc, error=None, answer=None, events=None):
        """What the rpc says from now on: an error, an answer or a stream's
        events, messages in protobuf's JSON form."""
        with self._lock:
            self._scripts[rpc] = {"error": error, "answer": answer, "events": events}

    def said(self, rpc):
        """What the rpc says now; none when nothing was scripted."""
        with self._lock:
            return self._scripts.get(rpc)

    def end(self):
        """Closes it."""
        self._server.stop(0)


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, scripted):
        self._scripted = scripted

    def service(self, details):
        rpc = details.method.rsplit("/", 1)[-1]
        script = self._scripted.said(rpc)
        if script is None:
            return None  # UNIMPLEMENTED, as a sidecar without this call says.
        if script["events"] is not None:
            return grpc.unary_stream_rpc_method_handler(lambda _, context: self._stream(rpc, script))
        return grpc.unary_unary_rpc_method_handler(lambda _, context: self._answer(rpc, script, context))

    def _answer(self, rpc, script, context):
        if script["error"]:
            code, message, trailers = metadata_of(script["error"])
            context.set_trailing_metadata(trailers)
            context.abort(code, message)
        return _message(rpc, script["answer"])

    def _stream(self, rpc, script):
        for event in script["events"]:
            yield _message(rpc, event)


def _message(rpc, given):
    from google.protobuf import json_format
    from unstale.v1 import admin_service_pb2 as admin
    from unstale.v1 import cache_service_pb2 as cache

    name = f"{rpc}Response"
    kind = getattr(cache, name, None) or getattr(admin, name)
    return json_format.ParseDict(given, kind()).SerializeToString()
