"""What Explain answers, over raw stubs, as the protocol says it."""

from google.protobuf.duration_pb2 import Duration
from grpcio_values import word
from unstale.v1 import admin_service_pb2 as admin
from unstale.v1 import entry_pb2 as entry

#: Fields whose enum has a word of its own for what is not set.
UNSET = {"decider": "NOTHING", "ttl_by": "UNKNOWN", "stale_for_by": "UNKNOWN", "bound": "NOTHING"}
#: What enums' values begin with, where it is not the field's own name.
PREFIXES = {"ttl_by": "GIVER", "stale_for_by": "GIVER", "bound": "TTL_BOUND"}


def explained(told):
    """The whole answer."""
    holds = told.remote.WhichOneof("holds")
    remote = {"kind": holds or "nothing"}
    if holds in ("entry", "lease"):
        remote |= _held(getattr(told.remote, holds))
    return {
        "position": told.position,
        "session_state": word(admin.SessionState, "SESSION_STATE", told.session_state),
        "l1": _held(told.l1) if told.HasField("l1") else None,
        "remote": remote,
        "floors": [_floor(each) for each in told.floors],
        "changes": [_change(each) for each in told.changes],
        "family": _family(told.family) if told.HasField("family") else None,
    }


def _held(held):
    """An entry or a lease: what it is made of, in one object."""
    told = {}
    for field in held.DESCRIPTOR.fields:
        if field.name not in ("life", "judgement", "stale"):
            told[field.name] = _value(held, field)
    for part in ("life", "judgement"):
        if part in held.DESCRIPTOR.fields_by_name:
            inner = getattr(held, part)
            told |= {field.name: _value(inner, field) for field in inner.DESCRIPTOR.fields}
    if "stale" in held.DESCRIPTOR.fields_by_name:
        told["stale"] = _held(held.stale) if held.HasField("stale") else None
    return told


def _value(message, field):
    if field.has_presence and not message.HasField(field.name):
        return None
    value = getattr(message, field.name)
    if isinstance(value, Duration):
        return value.seconds + value.nanos / 1e9
    if field.enum_type is not None:
        prefix = PREFIXES.get(field.name, field.name.upper())
        if value == 0 and field.name in UNSET:
            return UNSET[field.name]
        return word(getattr(admin, field.enum_type.name), prefix, value)
    if field.name == "floor":
        return _floor(value)
    if field.name == "depends_on":
        return [{"key": each.key, "level": each.level} for each in value]
    return list(value) if field.name == "tags" else value


def _family(family):
    return {field.name: _value(family, field) for field in family.DESCRIPTOR.fields}


def _floor(floor):
    told = {name: getattr(floor, name) for name in ("name", "hard", "soft")}
    version = floor.source_version if floor.HasField("source_version") else None
    return told | {"kind": word(admin.FloorKind, "FLOOR_KIND", floor.kind), "source_version": version}


def _change(change):
    touches = [{"kind": word(admin.FloorKind, "FLOOR_KIND", each.kind), "name": each.name} for each in change.touches]
    told = {name: getattr(change, name) for name in ("sequence", "write", "reason", "trace_id")}
    told |= {"age": change.age.seconds + change.age.nanos / 1e9, "pod": change.origin.pod, "touches": touches}
    return told | {"mode": word(entry.InvalidateMode, "INVALIDATE_MODE", change.mode)}
