"""The calls of the protocol over raw stubs, one method each."""

import threading

import grpc
from google.protobuf.json_format import MessageToDict
from grpcio_errors import Refused, Unsupported, answered, refused
from grpcio_explain import explained
from grpcio_load import get_or_load
from grpcio_values import answer, enum, fields, word
from unstale.v1 import admin_service_pb2 as admin
from unstale.v1 import admin_service_pb2_grpc as admin_stubs
from unstale.v1 import cache_service_pb2 as pb
from unstale.v1 import cache_service_pb2_grpc as stubs
from unstale.v1 import entry_pb2 as entry

__all__ = ["Calls", "Refused", "Unsupported", "enum"]

#: Seconds that a call without a deadline may take: the sidecar's default of
#: 1 s (FLEET: as long as it binds a silent pod), and what a client adds.
PATIENCE = 2
FLEET_PATIENCE = 61


class Calls:
    """One client."""

    def __init__(self, options, loaders):
        self.options, self.loaders = options, loaders
        endpoint = options["endpoint"]
        scheme, _, address = endpoint.partition("://") if "://" in endpoint else (None, None, endpoint)
        if scheme not in (None, "http"):
            raise Refused("endpoint", f"{scheme} is no scheme")
        settings = [
            ("grpc.default_authority", "localhost"),
            # A lost connection is tried again at once.
            ("grpc.initial_reconnect_backoff_ms", 20),
            ("grpc.max_reconnect_backoff_ms", 100),
            # Cases are no neighbours: each has its own connection.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", -1),
        ]
        self._channel = grpc.insecure_channel(address, settings)
        self.cache = stubs.CacheServiceStub(self._channel)
        self.admin = admin_stubs.AdminServiceStub(self._channel)
        self.flights = {}

    def close(self):
        """Closes the connection."""
        self._channel.close()

    def request(self, kind, args, *more):
        """A request with the namespace and what is as in the contract."""
        message = kind()
        if hasattr(message, "namespace"):
            message.namespace = self.options.get("namespace", "")
        return fields(message, args, *more)

    def ask(self, call, request, patience=PATIENCE):
        """The answer of a call, with the client's deadline."""
        if self.options.get("no_sidecar"):
            raise Refused("unreachable", "there is no sidecar")
        return answered(call, request, self.options.get("timeout", patience))

    def or_else(self, instead, call):
        """The call's answer; when the sidecar gives none and the client is not
        strict, this in its place."""
        try:
            return call()
        except Refused as error:
            if self.options.get("strict") or not error.is_outage and error.fields["kind"] != "decode":
                raise
            return {**instead, "outage": error.is_outage}

    def get(self, args):
        as_json = args.pop("as", None) == "json"
        request = self.request(pb.GetRequest, args)
        return self.or_else({"kind": "miss"}, lambda: answer(self.ask(self.cache.Get, request), as_json))

    def get_many(self, args):
        as_json = args.pop("as", None) == "json"
        request = self.request(pb.BatchGetRequest, args)
        missing = {"results": [{"key": key, "kind": "miss"} for key in args["keys"]]}
        return self.or_else(missing, lambda: answer(self.ask(self.cache.BatchGet, request), as_json))

    def set(self, args):
        request = self.request(pb.SetRequest, args)
        return self.or_else({"kind": "not_stored"}, lambda: answer(self.ask(self.cache.Set, request, _patience(args))))

    def set_many(self, args):
        request = self.request(pb.BatchSetRequest, args, "items")
        for item in args["items"]:
            fields(request.items.add(), item)
        refused = {"results": [{"key": item["key"], "kind": "not_stored"} for item in args["items"]]}
        return self.or_else(refused, lambda: answer(self.ask(self.cache.BatchSet, request, _patience(args))))

    def compare_and_set(self, args):
        request = self.request(pb.CompareAndSetRequest, args)
        return answer(self.ask(self.cache.CompareAndSet, request, _patience(args)))

    def lease(self, args):
        request = self.request(pb.LeaseRequest, args)
        return answer(self.ask(self.cache.Lease, request, PATIENCE + args.get("wait", 0)))

    def lease_many(self, args):
        request = self.request(pb.BatchLeaseRequest, args)
        return answer(self.ask(self.cache.BatchLease, request, PATIENCE + args.get("wait", 0)))

    def renew(self, args):
        return answer(self.ask(self.cache.Renew, self.request(pb.RenewRequest, args)))

    def fill(self, args):
        return answer(self.ask(self.cache.Fill, self.request(pb.FillRequest, args)))

    def abandon(self, args):
        self.ask(self.cache.Abandon, self.request(pb.AbandonRequest, args))
        return {}

    def get_or_load(self, args):
        return get_or_load(self, args)

    def invalidate(self, args):
        if self.options.get("no_sidecar"):
            return {"position": None, "acked": [], "lapsed": []}
        request = self.request(pb.InvalidateRequest, args)
        done = self.ask(self.cache.Invalidate, request, _patience(args))
        sessions = {name: [each.pod for each in getattr(done, name)] for name in ("acked", "lapsed")}
        return {"position": done.position or None, **sessions}

    def status(self, args):
        status = self.ask(self.admin.Status, admin.StatusRequest())
        told = MessageToDict(status, preserving_proto_field_name=True)
        told["session_state"] = word(admin.SessionState, "SESSION_STATE", status.session_state)
        return {name: told.get(name) for name in STATUS} | {"pod": status.session.pod}

    def peers(self, args):
        peers = self.ask(self.admin.Peers, admin.PeersRequest()).peers
        return {"peers": [{"pod": each.session.pod, "own": each.own, "expelled": each.expelled} for each in peers]}

    def explain(self, args):
        return explained(self.ask(self.admin.Explain, self.request(admin.ExplainRequest, args)))

    def retain(self, args):
        told = self.ask(self.cache.Retain, self.request(pb.RetainRequest, args))
        said = {"kind": told.WhichOneof("here"), "references": told.references, "term": told.term.seconds}
        if said["kind"] == "not_pinned":
            said["reason"] = word(pb.NotPinnedReason, "NOT_PINNED_REASON", told.not_pinned.reason)
        return said

    def let_go(self, args):
        told = self.ask(self.cache.Release, self.request(pb.ReleaseRequest, args))
        said = {"kind": told.WhichOneof("result")}
        if said["kind"] == "released":
            said |= {"references": told.released.references, "dropped_position": told.released.dropped_position or None}
        return said

    def watch(self, args):
        """A stream whose first event has come."""
        request = self.request(pb.WatchRequest, args, "stream")
        return Stream(self.cache.Watch(request), self)


#: What `status` tells.
STATUS = ("version", "fleet", "session_state", "position", "log", "remote")


class Stream:
    """A watch."""

    def __init__(self, events, calls):
        self._events = events
        self._keep_alive = calls.options.get("keep_alive", 5)
        self._ended = threading.Event()
        threading.Thread(target=self._watch, args=[calls], daemon=True).start()
        self._position = self.next()["position"]

    def next(self):
        """The next event that is no heartbeat."""
        try:
            event = next(each for each in self._events if each.WhichOneof("event") != "heartbeat")
        except grpc.RpcError as error:
            raise refused(error) from None
        except StopIteration:
            raise Refused("unreachable", "the stream ended") from None
        told = {"kind": event.WhichOneof("event"), "position": event.position}
        if told["kind"] is None:
            raise Refused("answer", "an event of an unknown kind")
        if told["kind"] == "invalidation":
            what = event.invalidation
            told |= {name: list(getattr(what, name)) for name in ("keys", "tags", "prefixes")}
            told |= {"namespace": what.namespace, "all": what.HasField("all"), "reason": what.reason}
            told["mode"] = word(entry.InvalidateMode, "INVALIDATE_MODE", what.mode)
        return told

    def _watch(self, calls):
        """Asks the sidecar whether it is there, and gives a silent one up."""
        while not self._ended.wait(self._keep_alive):
            try:
                calls.ask(calls.admin.Status, admin.StatusRequest(), self._keep_alive)
            except (Refused, ValueError):  # It is silent, or the client is closed.
                return self.cancel()

    def cancel(self):
        """Ends it."""
        self._ended.set()
        self._events.cancel()


def _patience(args):
    return FLEET_PATIENCE if args.get("ack") == "FLEET" else PATIENCE
