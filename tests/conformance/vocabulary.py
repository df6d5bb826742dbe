"""The words of the cases: every call with its arguments, every fault, every
option of a client.

It is the contract of the adapters too (PROTOCOL.md says it in prose). A word
that is not here is an error in a case file; a word that no case uses fails
test_coverage.py.
"""

#: A value: exactly one of these, in arguments and in results.
VALUES = frozenset({"text", "data", "json", "not_found"})
#: How an entry is stored.
ENTRY = frozenset({"content_type", "ttl", "tags", "stale_for", "valid_for", "jitter", "source_version", "depends_on"})
#: How current a read is.
READ = frozenset({"level", "max_staleness", "min_position", "as"})

#: One write of `set_many`.
ITEM = VALUES | ENTRY | {"key", "position", "if_absent"}

#: The calls of the protocol and their arguments.
CALLS = {
    "get": READ | {"key", "if_none_match"},
    "get_many": READ | {"keys"},
    "set": ITEM | {"ack"},
    "set_many": {"items", "ack"},
    "compare_and_set": VALUES | ENTRY | {"key", "version", "etag", "absent", "ack"},
    "lease": {"key", "term", "wait", "min_position"},
    "lease_many": {"keys", "term", "wait", "min_position"},
    "renew": {"lease_token"},
    "fill": VALUES | ENTRY | {"lease_token"},
    "abandon": {"lease_token", "serve_stale_for", "retry_after"},
    "get_or_load": ENTRY
    | {"key", "loader", "negative_ttl", "term", "wait", "min_position", "allow_stale", "fail_safe"}
    | {"hard_timeout", "as"},
    "invalidate": {"keys", "tags", "prefixes", "all", "ack", "id", "reason", "mode", "min_source_version"}
    | {"traceparent"},
    "watch": {"stream", "position", "keys", "prefixes", "tags"},
    "next": {"stream"},
    "close": {"stream"},
    "status": set(),
    "peers": set(),
    "explain": {"key"},
    "retain": {"key", "owner", "term", "drop_at_zero"},
    "let_go": {"key", "owner"},
    "loads": {"loader"},
    "release": {"gate"},
}

#: What a loader does.
LOADER = {"name", "gate", "returns", "not_found", "raises", "unencodable"}

#: Options of a client. `endpoint` is one of ENDPOINTS; pods have their own.
CLIENT = {"namespace", "strict", "timeout", "keep_alive", "transport", "endpoint", "no_sidecar"}
#: Endpoints that are no pod's: nobody listens; a socket file without a
#: listener; a listener that never says a word; a scripted sidecar of another
#: version; text that is no endpoint.
ENDPOINTS = {"nobody", "stale_socket", "silent", "scripted", "unreadable"}

#: What a step may do that is no call: name → what it takes.
FAULTS = {
    "pause": "who",
    "resume": "who",
    "kill": "who",
    "terminate": "who",
    "start": "who",
    "until": {"pod", "session", "log", "remote", "sessions"},
    "script": {"rpc", "error", "answer", "events"},
    "join": "name",
}

#: Keys of a step beside what it does.
BESIDE = {"pod", "client", "by", "save", "expect", "error", "eventually", "background", "times", "note"}

#: What a fleet of a case's own may have.
FLEET = {"pods", "nats", "redis", "session_ttl", "flags", "config"}
#: Fleets that cases without faults share.
SHARED = {"one", "two"}

#: Keys of a case.
CASE = {"case", "fleet", "clients", "steps", "about", "needs"}

#: What an SDK may leave out by design; PROTOCOL.md tells what each means.
CAPABILITIES = {"tokens", "renew", "whole_batches", "repeated_keys"}

#: What a case may demand of what cannot be said in full.
MATCHERS = {"$present", "$absent", "$between", "$not", "$one_of", "$has"}
