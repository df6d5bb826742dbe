"""Values, durations and entries: the protocol's JSON to the contract's messages
and back."""

import base64
import json

from google.protobuf.duration_pb2 import Duration
from grpcio_errors import Refused
from unstale.v1 import cache_service_pb2 as pb
from unstale.v1 import entry_pb2 as entry

JSON = "application/json"


def duration(seconds):
    """A Duration of a number of seconds."""
    made = Duration()
    made.FromNanoseconds(round(seconds * 1e9))
    return made


def seconds(message):
    """The number of seconds of a Duration."""
    return message.ToNanoseconds() / 1e9


def enum(kind, prefix, name):
    """An enum's number by the protocol's word."""
    return None if name is None else kind.Value(f"{prefix}_{name}")


def word(kind, prefix, number):
    """The protocol's word of an enum's number; one that this version does not
    know is OTHER, and 0 is none."""
    known = kind.values_by_number.get(number) if hasattr(kind, "values_by_number") else None
    known = known or kind.DESCRIPTOR.values_by_number.get(number)
    if number == 0:
        return None
    return known.name.removeprefix(f"{prefix}_") if known else "OTHER"


def fields(message, args, *more):
    """The request with those arguments that are as in the contract."""
    for name, value in args.items():
        if name in ("ttl", "stale_for", "valid_for", "jitter", "max_staleness", "term", "wait"):
            getattr(message, name).CopyFrom(duration(value))
        elif name in ("serve_stale_for", "retry_after"):
            getattr(message, name).CopyFrom(duration(value))
        elif name in ("tags", "keys", "prefixes"):
            getattr(message, name).extend(value)
        elif name == "depends_on":
            message.depends_on.extend(pb.Dependency(**each) for each in value)
        elif name == "data":
            message.data = base64.b64decode(value)
        elif name == "json":
            message.text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            message.content_type = JSON
        elif name == "level":
            message.level = enum(entry.ReadLevel, "READ_LEVEL", value)
        elif name == "ack":
            message.ack = enum(entry.Ack, "ACK", value)
        elif name == "mode":
            message.mode = enum(entry.InvalidateMode, "INVALIDATE_MODE", value)
        elif name in ("not_found", "if_absent", "absent", "all", "drop_at_zero"):
            if value:
                getattr(message, name).SetInParent()
        elif name not in more:
            setattr(message, name, value)
    return message


def value(found, as_json=False):
    """text, data or json of an entry."""
    media = found.content_type.partition(";")[0].strip().lower()
    if as_json and media == JSON:
        try:
            return {"json": json.loads(found.text if found.WhichOneof("value") == "text" else found.data)}
        except ValueError as error:
            raise Refused("decode", str(error)) from None
    if found.WhichOneof("value") == "text":
        return {"text": found.text}
    return {"data": base64.b64encode(found.data).decode()}


def known_of(message):
    """What entries, negative entries and answers without a value share."""
    if message.freshness == entry.FRESHNESS_UNSPECIFIED:
        raise Refused("answer", "an entry does not say whether it is fresh")
    # What this version does not know is not current, for a reason of its own.
    fresh = message.freshness == entry.FRESHNESS_FRESH
    why = word(entry.StaleReason, "STALE_REASON", message.stale_reason)
    known = {
        "version": message.version,
        "tier": word(entry.Tier, "TIER", message.tier),
        "freshness": "FRESH" if fresh else "STALE",
        "stale_reason": None if fresh else why or "OTHER",
        "age": seconds(message.age),
        "ttl_left": seconds(message.ttl_left),
    }
    for name in ("etag", "content_type"):
        if hasattr(message, name):
            known[name] = getattr(message, name)
    if hasattr(message, "tags"):
        known["tags"] = list(message.tags)
        known["source_version"] = message.source_version if message.HasField("source_version") else None
    if hasattr(message, "stale_left"):
        known["stale_left"] = seconds(message.stale_left)
    return known


def found(message, as_json=False):
    """An entry, with its value."""
    return {**value(message, as_json), **known_of(message)}


def why(message, kind=pb.NotStoredReason, prefix="NOT_STORED_REASON"):
    """Why it is not stored; no reason when a comparison failed."""
    least = message.min_source_version if message.HasField("min_source_version") else None
    return {"reason": word(kind, prefix, message.reason), "min_source_version": least}


def result(message, as_json=False, oneof="result"):
    """The one of found, missing, negative, not_modified… that an answer has."""
    which = message.WhichOneof(oneof)
    if which is None:
        raise Refused("answer", "the answer has no result")
    inner = getattr(message, which)
    if which in ("found", "hit"):
        return {"kind": "hit", **found(inner, as_json)}
    if which == "missing":
        return {"kind": "miss"}
    if which in ("negative", "not_modified"):
        return {"kind": which, **known_of(inner)}
    if which == "conflict":
        return {"kind": which, **why(inner), "current": result(inner, oneof="current")}
    if which == "not_stored":
        return {"kind": which, **why(inner), "current": found(inner.current) if inner.HasField("current") else None}
    if which == "voided":
        return {"kind": which, **why(inner, pb.VoidedReason, "VOIDED_REASON")}
    if which == "error":
        retry = seconds(inner.retry_after) if inner.HasField("retry_after") else None
        return {"kind": which, "reason": inner.reason, "retry_after": retry}
    if which in ("granted", "busy"):
        told = {"kind": which}
        if inner.HasField("stale"):
            told["stale"] = found(inner.stale, as_json)
        if which == "granted":
            return {**told, "lease_token": inner.lease_token, "term": seconds(inner.term)}
        return {**told, "retry_after": seconds(inner.retry_after)}
    if which == "stored":
        return {"kind": which, "version": inner.version or None}
    return {"kind": which, "term": seconds(inner.term)}


def answer(message, as_json=False):
    """A whole answer: its result or results, position, what was not there."""
    if hasattr(message, "results"):
        told = {"results": [{"key": each.key, **result(each, as_json)} for each in message.results]}
    else:
        told = result(message, as_json)
    if hasattr(message, "position"):
        told["position"] = message.position
    if hasattr(message, "degraded"):
        reasons = message.degraded.reasons
        told["degraded"] = [word(entry.DegradedReason, "DEGRADED_REASON", each) for each in reasons]
    return told
