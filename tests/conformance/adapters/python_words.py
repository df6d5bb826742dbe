"""The Python SDK's values, errors and events in the protocol's words, and the
loaders that the runner describes."""

import base64
import threading
from collections import Counter

import unstale


class Unsupported(Exception):
    """The SDK has no such call or option."""


class LoaderFailed(Exception):
    """What a loader raises."""


#: Exception → kind.
KINDS = {
    "EndpointError": "endpoint",
    "Unreachable": "unreachable",
    "Invalid": "invalid",
    "Unavailable": "unavailable",
    "Overloaded": "overloaded",
    "DeadlineExceeded": "deadline_exceeded",
    "OutcomeUnknown": "outcome_unknown",
    "UnknownLease": "unknown_lease",
    "Busy": "busy",
    "Unsupported": "unsupported",
    "AnswerError": "answer",
    "EncodeError": "encode",
    "DecodeError": "decode",
    "Error": "other",
    "LoaderFailed": "loader",
    "LoadTimedOut": "load_timed_out",
}


def error_of(error):
    """An exception in the protocol's words."""
    told = {"kind": KINDS.get(type(error).__name__, "bug"), "message": str(error)}
    if isinstance(error, unstale.Error):
        told |= {"reason": error.reason or None, "retry_after": error.retry_after}
        told["violations"] = [field for field, _ in error.violations]
    return told


class Own:
    """A value that is stored as it is, under a content type of its own."""

    def __init__(self, value):
        self.value = value


class OwnCodec:
    """Stores values as they are, and reads them so."""

    def __init__(self, content_type):
        self.content_type = content_type

    def encode(self, value, hinted):
        return value.value if isinstance(value, Own) else value

    def decode(self, data):
        return data


def given(args):
    """The value of arguments, as a program has it."""
    if "data" in args:
        return base64.b64decode(args["data"])
    if "json" in args:
        return args["json"]
    return unstale.NOT_FOUND if args.get("not_found") else args["text"]


def said(value):
    """A value as the protocol says it."""
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, bytes):
        return {"data": base64.b64encode(value).decode()}
    return {"json": value}


def entry(found):
    """An entry; `value` when it has one."""
    names = ("content_type", "version", "etag", "source_version", "tier", "stale_reason", "age", "ttl_left", "stale_left")
    told = {name: getattr(found, name) for name in names}
    return {**told, "tags": list(found.tags), "freshness": "FRESH" if found.fresh else "STALE"}


def lookup(found):
    """What a read found."""
    told = {"kind": found.kind}
    if found.entry is not None:
        told |= entry(found.entry)
        if found.kind == "hit":
            told |= said(found.entry.value)
    told |= {"position": found.position, "degraded": list(found.degraded)}
    return {**told, "outage": found.error is not None}


def outcome(became):
    """What became of a write."""
    if became.stored:
        return {"kind": "stored", "version": became.version, "position": became.position}
    if became.error is not None:
        return {**error_of(became.error), "kind": "not_stored", "outage": True}
    kinds = {"INVALIDATED": "voided", "EXPIRED": "voided"}
    told = {"kind": kinds.get(became.reason, "not_stored"), "reason": became.reason, "position": became.position}
    return {**told, "current": lookup(became.current), "min_source_version": became.min_source_version}


def swapped(became):
    """What became of a compare-and-set."""
    told = outcome(became)
    if became.stored:
        return told
    # The contract has no reason for an expectation that does not hold.
    reason = None if became.reason == "CONFLICT" else became.reason
    return {**told, "kind": "conflict", "reason": reason}


def event(told):
    """An event of a watch."""
    what = {"kind": told.kind, "position": told.position}
    if told.kind == "invalidation":
        what |= {name: getattr(told, name) for name in ("keys", "tags", "prefixes", "all", "reason")}
        what |= {"mode": "SOFT" if told.soft else "HARD", "namespace": told.namespace}
    return what


def came_to(loader, wrap):
    """What a loader returns or raises."""
    if "raises" in loader:
        raise LoaderFailed(loader["raises"])
    if loader.get("unencodable"):
        return object()
    return unstale.NOT_FOUND if loader.get("not_found") else wrap(given(loader["returns"]))


class Loaders:
    """How often each loader began, and the gates that loaders wait at."""

    #: What makes a gate.
    gate = threading.Event

    def __init__(self):
        self._begun, self._gates = Counter(), {}
        self._lock = threading.Lock()

    def begun(self, name):
        """How many times the loader was started."""
        return self._begun[name]

    def of(self, loader, wrap):
        """The loader as a function; `wrap` makes its value what is cached."""

        def load():
            self._count(loader)
            if "gate" in loader:
                self._gate(loader["gate"]).wait()
            return came_to(loader, wrap)

        return load

    def release(self, gate):
        """Lets everybody through, now and later."""
        self._gate(gate).set()

    def forget(self, prefix):
        """Releases what a case that has ended left waiting."""
        for name in [name for name in self._gates if name.startswith(prefix)]:
            self.release(name)

    def _count(self, loader):
        with self._lock:
            self._begun[loader["name"]] += 1

    def _gate(self, name):
        with self._lock:
            return self._gates.setdefault(name, self.gate())
