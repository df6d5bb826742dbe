"""The calls of the protocol, each by the method that a Python programmer uses."""

import itertools

import unstale
from python_words import Own, OwnCodec, Unsupported, entry, given, lookup, outcome, said, swapped

STORING = ("ttl", "tags", "stale_for", "valid_for", "jitter", "source_version", "depends_on")
#: Of `set_many`, for all of its items.
SHARED = ("ttl", "tags", "stale_for", "valid_for", "jitter")
READ = ("max_staleness", "min_position", "if_none_match")

#: Content types that cases have used so far: readers must know their codecs.
_own = set()
_numbers = itertools.count(1)
_leases = {}


def _some(args, names):
    some = {name: args[name] for name in names if name in args}
    if "depends_on" in some:
        some["depends_on"] = [_dependency(each) for each in some["depends_on"]]
    return some


def _dependency(named):
    """A key, or a pair of it and its version."""
    return (named["key"], named["version"]) if "version" in named else named["key"]


def _how(args):
    return {**_some(args, READ), "level": args.get("level", "BOUNDED").lower()}


def _ack(args):
    return args.get("ack", "LOG").lower()


class Calls:
    """One client."""

    #: What makes its caches.
    make = unstale.Cache

    def __init__(self, options, loaders):
        self._options = {name: value for name, value in options.items() if name != "no_sidecar"}
        if options.get("no_sidecar"):
            self._options["sidecar"] = False
        self._loaders = loaders
        self._caches = {}
        self._cache(None)

    def _cache(self, content_type):
        """The cache whose codec writes this content type; none is the usual one,
        which reads whatever was written so far."""
        if content_type is not None:
            _own.add(content_type)
        known = content_type, frozenset(_own)
        if known not in self._caches:
            codecs = [OwnCodec(each) for each in sorted(_own)]
            codec = {} if content_type is None else {"codec": OwnCodec(content_type)}
            self._caches[known] = self.make(**self._options, codecs=codecs, **codec)
        return self._caches[known]

    def _storing(self, args):
        """The cache, and the value as it takes it."""
        value, content_type = given(args), args.get("content_type")
        if content_type is None or value is unstale.NOT_FOUND:
            return self._cache(None), value
        return self._cache(content_type), Own(value)

    def get(self, args):
        return lookup(self._cache(None).lookup(args["key"], **_how(args)))

    def get_many(self, args):
        missing = object()
        found = self._cache(None).get_many(args["keys"], **_how(args))
        results = []
        for key in args["keys"]:
            value = found.get(key, missing)
            # A cached nothing is given as None.
            told = {"kind": "miss"} if value is missing else {"kind": "negative"}
            if value is not missing and value is not None:
                told = {"kind": "hit", **said(value)}
            results.append({"key": key, **told})
        return {"results": results}

    def set(self, args):
        cache, value = self._storing(args)
        how = _some(args, (*STORING, "position", "if_absent"))
        return outcome(cache.set(args["key"], value, ack=_ack(args), **how))

    def set_many(self, args):
        items = args["items"]
        if len({item["key"] for item in items}) != len(items):
            raise Unsupported("the keys of a dict are there once")
        names = (*STORING, "position", "if_absent", "content_type")
        options = {item["key"]: _some(item, names) for item in items}
        _own.update(item["content_type"] for item in items if "content_type" in item)
        # Options that all of them have are the call's.
        shared = next(iter(options.values()), {})
        alike = set(shared) <= set(SHARED) and all(each == shared for each in options.values())
        values = {item["key"]: given(item) for item in items}
        if not alike:
            values = {key: unstale.Item(value, **options[key]) for key, value in values.items()}
        try:
            outcomes = self._cache(None).set_many(values, ack=_ack(args), **(shared if alike else {}))
        except unstale.BatchError as error:
            outcomes = error.results
        return {"results": [{"key": key, **_of_many(outcomes[key])} for key in values]}

    def compare_and_set(self, args):
        cache, value = self._storing(args)
        how = _some(args, (*STORING, "version", "etag", "absent"))
        return swapped(cache.compare_and_set(args["key"], value, ack=_ack(args), **how))

    def lease(self, args):
        how = _some(args, ("term", "wait", "min_position"))
        lease = self._cache(None).lease(args["key"], **how)
        try:
            lease.__enter__()
        except unstale.Busy as busy:
            return {"kind": "busy", "retry_after": busy.retry_after}
        return self._leased(lease)

    def lease_many(self, args):
        leases = self._cache(None).lease_many(args["keys"], **_some(args, ("term", "wait", "min_position")))
        held = leases.__enter__()
        return {"results": [{"key": key, **self._leased(lease)} for key, lease in held.items()]}

    def _leased(self, lease):
        told = {"kind": lease.kind, "position": lease.position, "degraded": list(lease.degraded)}
        told |= {"term": lease.term, "retry_after": lease.retry_after}
        if lease.granted:
            token = f"lease {next(_numbers)}"
            _leases[token] = lease
            told["lease_token"] = token
        if lease.entry is not None:
            found = {**entry(lease.entry), **(said(lease.value) if lease.value is not None else {})}
            told |= {"stale": found} if lease.kind in ("granted", "busy") else found
        return told

    def fill(self, args):
        how = _some(args, (*STORING, "content_type"))
        if "content_type" in how:
            _own.add(how["content_type"])
        became = outcome(_held(args).fill(given(args), **how))
        return {**became, "kind": "voided"} if became["kind"] == "not_stored" else became

    def abandon(self, args):
        _held(args).abandon(**_some(args, ("serve_stale_for", "retry_after")))
        return {}

    def get_or_load(self, args):
        names = ("negative_ttl", "term", "wait", "min_position", "allow_stale", "fail_safe", "hard_timeout", *STORING)
        self._only(args, {*names, "key", "loader", "as", "content_type"}, "get_or_set")
        content_type = args.get("content_type")
        wrap = (lambda value: value) if content_type is None else Own
        load = self._loaders.of(args["loader"], wrap)
        value = self._cache(content_type).get_or_set(args["key"], load, **_some(args, names))
        if value is None:
            return {"kind": "not_found"}
        value = value.value if isinstance(value, Own) else value
        return {"kind": "loaded", **(said(value) if _is_plain(value) else {})}

    def invalidate(self, args):
        how = _some(args, ("tags", "prefixes", "all", "reason", "id", "min_source_version", "traceparent"))
        how |= {"soft": args.get("mode") == "SOFT", "ack": _ack(args)}
        done = self._cache(None).invalidate(*args.get("keys", []), **how)
        sessions = {name: [pod for _, pod in getattr(done, name)] for name in ("acked", "lapsed")}
        return {"position": done.position, **sessions}

    def watch(self, args):
        return iter(self._cache(None).watch(**_some(args, ("keys", "tags", "prefixes", "position"))))

    def status(self, args):
        status = self._cache(None).status()
        names = ("version", "fleet", "session_state", "position", "log", "remote", "pod")
        return {name: getattr(status, name) for name in names}

    def peers(self, args):
        names = ("pod", "own", "expelled")
        peers = self._cache(None).peers()
        return {"peers": [{name: getattr(peer, name) for name in names} for peer in peers]}

    def explain(self, args):
        told = self._cache(None).explain(args["key"])
        remote = {"kind": told.remote.kind}
        held = told.remote.entry or told.remote.lease
        remote |= _told(held) if held is not None else {}
        return {
            "session_state": told.session_state,
            "position": told.position,
            "l1": _told(told.l1) if told.l1 is not None else None,
            "remote": remote,
            "floors": [_told(each) for each in told.floors],
            "changes": [_change(each) for each in told.changes],
            "family": _told(told.family) if told.family is not None else None,
        }

    def retain(self, args):
        how = _some(args, ("term", "drop_at_zero"))
        told = self._cache(None).retain(args["key"], args["owner"], **how)
        pinned = {"kind": "pinned"} if told.here == "PINNED" else {"kind": "not_pinned", "reason": told.here}
        return {**pinned, "references": told.references, "term": told.term}

    def let_go(self, args):
        told = self._cache(None).release(args["key"], args["owner"])
        if not told.released:
            return {"kind": "not_retained"}
        return {"kind": "released", "references": told.references, "dropped_position": told.dropped_position}

    def _only(self, args, known, where):
        unknown = set(args) - known
        if unknown:
            raise Unsupported(f"{where} has no {', '.join(sorted(unknown))}")


def _told(part):
    """What a part of an explanation tells."""
    names = (name for name in dir(part) if not name.startswith("_"))
    told = {name: getattr(part, name) for name in names}
    if "depends_on" in told:
        told["depends_on"] = [{"key": key, "level": level} for key, level in told["depends_on"]]
    parts = (unstale.Explained, unstale.Floor)
    return {name: _told(each) if isinstance(each, parts) else each for name, each in told.items()}


def _change(change):
    return {**_told(change), "touches": [{"kind": kind, "name": name} for kind, name in change.touches]}


def _held(args):
    lease = _leases.get(args["lease_token"])
    if lease is None or not lease.granted:
        raise Unsupported("a lease is an object, not a token, and is used once")
    return lease


def _of_many(became):
    told = outcome(became)
    return {**told, "kind": "error"} if became.error is not None else told


def _is_plain(value):
    return isinstance(value, (str, bytes, int, float, bool, list, dict))
