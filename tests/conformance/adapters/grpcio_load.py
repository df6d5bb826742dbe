"""Loading over raw stubs: a lease, the loader, a fill; and the loaders that the
runner describes."""

import threading
import time
from collections import Counter

from grpcio_errors import Refused
from grpcio_values import answer, fields, result
from unstale.v1 import cache_service_pb2 as pb

VALUES = ("text", "data", "json", "not_found")
STORING = ("content_type", "ttl", "tags", "stale_for", "valid_for", "jitter", "source_version", "depends_on")


class LoaderFailed(Exception):
    """What a loader raises."""


class Loaders:
    """How often each loader began, and the gates that loaders wait at."""

    def __init__(self):
        self._begun, self._gates = Counter(), {}
        self._lock = threading.Lock()

    def begun(self, name):
        """How many times the loader was started."""
        return self._begun[name]

    def run(self, loader):
        """Does what the runner says that the loader does."""
        self._begun[loader["name"]] += 1
        if "gate" in loader:
            self._gate(loader["gate"]).wait()
        if "raises" in loader:
            raise LoaderFailed(loader["raises"])
        return {"not_found": True} if loader.get("not_found") else loader.get("returns")

    def release(self, gate):
        """Lets everybody through, now and later."""
        self._gate(gate).set()

    def forget(self, prefix):
        """Releases what a case that has ended left waiting."""
        for name in [name for name in self._gates if name.startswith(prefix)]:
            self.release(name)

    def _gate(self, name):
        with self._lock:
            return self._gates.setdefault(name, threading.Event())


def get_or_load(calls, args):
    """The cached value, or the loader's, which runs once in the fleet."""
    give_up = time.monotonic() + args.get("wait", 30)
    while True:
        left = max(0.0, give_up - time.monotonic())
        try:
            leased = _lease(calls, args, left)
        except Refused as error:
            if calls.options.get("strict") or not error.is_outage:
                raise
            return _alone(calls, args)
        kind = leased["kind"]
        if kind == "negative":
            return {"kind": "not_found"}
        if kind == "hit":
            return {"kind": "loaded", **_value(leased)}
        if kind == "granted":
            return _load(calls, args, leased)
        if "stale" in leased and args.get("allow_stale", True):
            return {"kind": "loaded", **_value(leased["stale"])}
        if left == 0.0:
            raise Refused("busy", retry_after=leased["retry_after"])
        time.sleep(min(leased["retry_after"], left))


def _lease(calls, args, wait):
    asked = {name: args[name] for name in ("key", "term", "min_position") if name in args}
    request = calls.request(pb.LeaseRequest, {**asked, "wait": min(wait, 10)})
    said = calls.ask(calls.cache.Lease, request, 2 + wait)
    return result(said, args.get("as") == "json")


def _load(calls, args, granted):
    token, stale = granted["lease_token"], granted.get("stale")
    done = threading.Event()
    threading.Thread(target=_keep, args=[calls, granted, done], daemon=True).start()
    try:
        loaded = _in_time(calls, args)
    except LoaderFailed as error:
        return _failed(calls, args, token, stale, Refused("loader", str(error)))
    except TimeoutError:
        return _failed(calls, args, token, stale, Refused("load_timed_out"))
    finally:
        done.set()
    if loaded is None:
        _abandon(calls, pb.AbandonRequest(lease_token=token))
        raise Refused("encode", "the value cannot be encoded")
    request = fields(pb.FillRequest(lease_token=token), _storing(args, loaded))
    try:
        answer(calls.ask(calls.cache.Fill, request))
    except Refused as error:
        if calls.options.get("strict") and not error.is_outage:
            raise
    return _given(loaded)


def _keep(calls, granted, done):
    """Renews the lease while its loader runs."""
    while not done.wait(granted["term"] / 3):
        try:
            calls.ask(calls.cache.Renew, pb.RenewRequest(lease_token=granted["lease_token"]))
        except Refused:
            pass  # The next one may succeed; else the fill is voided.


def _in_time(calls, args):
    if "hard_timeout" not in args:
        return calls.loaders.run(args["loader"])
    done = []
    thread = threading.Thread(target=lambda: done.append(calls.loaders.run(args["loader"])), daemon=True)
    thread.start()
    thread.join(args["hard_timeout"])
    if not done:
        raise TimeoutError
    return done[0]


def _failed(calls, args, token, stale, error):
    request = pb.AbandonRequest(lease_token=token)
    if "fail_safe" in args and stale:
        fields(request, {"serve_stale_for": args["fail_safe"]})
    _abandon(calls, request)
    # Granted before it expired, it stands all the same.
    early = stale and stale["freshness"] == "FRESH"
    if stale and ("fail_safe" in args or early):
        return {"kind": "loaded", **_value(stale)}
    raise error


def _abandon(calls, request):
    try:
        calls.ask(calls.cache.Abandon, request)
    except Refused:
        pass  # The lease ends by itself.


def _storing(args, loaded):
    if loaded.get("not_found"):
        kept = {name: args[name] for name in ("tags", "source_version", "depends_on") if name in args}
        ttl = {"ttl": args["negative_ttl"]} if "negative_ttl" in args else {}
        return {**loaded, **kept, **ttl}
    return {**loaded, **{name: args[name] for name in STORING if name in args}}


def _alone(calls, args):
    """Without a sidecar: one loader per key in this process."""
    with calls.loaders._lock:
        flight = calls.flights.get(args["key"])
        leads = flight is None
        if leads:
            flight = calls.flights[args["key"]] = {"done": threading.Event()}
    if leads:
        try:
            flight["loaded"] = calls.loaders.run(args["loader"])
        except LoaderFailed as error:
            flight["error"] = Refused("loader", str(error))
        del calls.flights[args["key"]]
        flight["done"].set()
    flight["done"].wait()
    if "error" in flight:
        raise flight["error"]
    return {**_given(flight["loaded"]), "outage": True}


def _given(loaded):
    return {"kind": "not_found"} if loaded.get("not_found") else {"kind": "loaded", **_value(loaded)}


def _value(entry):
    return {name: entry[name] for name in VALUES if name in entry}
