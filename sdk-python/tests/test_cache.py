"""The sync cache against a real sidecar."""

import threading
import time

import pytest

from unstale import NOT_FOUND, Busy, Cache, EncodeError, Invalid, Loaded, Outcome


def test_a_value_comes_back_as_it_was_stored(cache):
    for value in ["Ada", "", b"\x00\xff", b"", 7, 1.5, True, None, [1, "two"], {"a": {"b": None}}]:
        assert cache.set("k", value)
        assert cache.get("k", "default") == value
        assert type(cache.get("k")) is type(value)


def test_a_miss_is_the_default_and_a_cached_none_is_not(cache):
    assert cache.get("k") is None
    assert cache.get("k", "default") == "default"
    cache.set("k", None)
    assert cache.get("k", "default") is None
    cache.set("n", NOT_FOUND)
    assert cache.get("n", "default") is None
    assert cache.lookup("n").kind == "negative"


def test_a_lookup_tells_all_of_an_entry(cache):
    stored = cache.set("k", {"a": 1}, ttl="5m", stale_for=60, tags=["t", "u"], source_version=7)
    found = cache.lookup("k")
    assert found and found.kind == "hit" and found.position
    entry = found.entry
    assert (entry.value, entry.version, entry.source_version) == ({"a": 1}, stored.version, 7)
    assert (entry.content_type, sorted(entry.tags)) == ("application/json", ["t", "u"])
    assert (entry.tier, entry.fresh, entry.stale_reason) == ("L1", True, None)
    assert 0 < entry.ttl_left <= 300 < entry.stale_left <= 360
    assert cache.lookup("k", if_none_match=entry.etag).kind == "not_modified"
    assert not cache.lookup("other")


def test_get_or_set_runs_the_loader_once(cache):
    calls = []

    def load():
        calls.append(1)
        return {"name": "Ada"}

    for _ in range(3):
        assert cache.get_or_set("k", load, ttl="5m", tags=["users"]) == {"name": "Ada"}
    assert len(calls) == 1
    cache.invalidate(tags="users")
    cache.get_or_set("k", load)
    assert len(calls) == 2


def test_a_none_that_was_loaded_is_cached(cache):
    calls = []
    for _ in range(2):
        assert cache.get_or_set("k", lambda: calls.append(1)) is None
        assert cache.get_or_set("n", lambda: calls.append(1), negative_ttl="1m") is None
    assert len(calls) == 2
    assert (cache.lookup("k").kind, cache.lookup("n").kind) == ("hit", "negative")
    assert 0 < cache.lookup("n").entry.ttl_left <= 60


def test_a_loader_may_say_how_its_value_is_stored(cache):
    cache.get_or_set("k", lambda: Loaded("v", ttl=60, tags=["own"], source_version=3), tags=["call"])
    entry = cache.lookup("k").entry
    assert (entry.value, entry.tags, entry.source_version) == ("v", ("own",), 3)
    assert entry.ttl_left <= 60


def test_threads_that_ask_together_load_once(cache):
    calls, got, start = [], [], threading.Barrier(8)

    def load():
        calls.append(1)
        inside.set()
        assert go_on.wait(20)
        return "v"

    def ask():
        start.wait()
        got.append(cache.get_or_set("k", load))

    inside, go_on = threading.Event(), threading.Event()
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert inside.wait(20)
    go_on.set()
    for thread in threads:
        thread.join()
    assert (len(calls), got) == (1, ["v"] * 8)


def test_a_loader_that_raises_gives_its_lease_back(cache):
    with pytest.raises(KeyError, match="origin"):
        cache.get_or_set("k", lambda: {}["origin"])
    # At once: with the lease still out, this would wait.
    assert cache.get_or_set("k", lambda: "v", wait=0) == "v"


def test_an_interrupted_loader_gives_its_lease_back(cache):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.get_or_set("k", interrupted)
    assert cache.get_or_set("k", lambda: "v", wait=5) == "v"


def test_a_stale_value_stands_in_for_a_loader_that_fails(cache):
    cache.set("k", "old", stale_for="1h")
    cache.invalidate("k", soft=True)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("k", lambda: 1 / 0)
    assert cache.get_or_set("k", lambda: 1 / 0, fail_safe="10m") == "old"


def test_a_slow_loader_keeps_its_lease(cache):
    def slow():
        # Three terms, in which nobody else is granted the lease.
        started = time.monotonic()
        while time.monotonic() - started < 0.3:
            with pytest.raises(Busy), cache.lease("k"):
                pass
        return "v"

    assert cache.get_or_set("k", slow, term=0.1) == "v"
    assert cache.get("k") == "v"


def test_many_keys_are_written_and_read_in_batches(cache):
    values = {f"k{n}": n for n in range(600)}
    outcomes = cache.set_many(values, ttl="5m")
    assert len(outcomes) == 600 and all(outcomes.values())
    assert cache.get_many([*values, "missing"]) == values


def test_batches_of_large_values_arrive_whole(cache):
    values = {f"k{n}": bytes(900_000) for n in range(12)}
    assert all(cache.set_many(values).values())
    assert cache.get_many(values) == values


def test_compare_and_set_decides_by_what_is_cached(cache):
    first = cache.compare_and_set("k", 1, absent=True)
    assert first
    again = cache.compare_and_set("k", 2, absent=True)
    assert (again.stored, again.reason, again.current.entry.value) == (False, "CONFLICT", 1)
    assert cache.compare_and_set("k", 2, version=first.version)
    assert cache.compare_and_set("k", 3, etag=cache.lookup("k").entry.etag)
    assert cache.get("k") == 3
    gone = cache.compare_and_set("other", 1, version=first.version)
    assert (gone.reason, gone.current.kind) == ("CONFLICT", "miss")
    with pytest.raises(TypeError, match="one of version"):
        cache.compare_and_set("k", 1)


def test_a_refused_write_says_why(cache):
    cache.set("k", "new", source_version=7)
    refused = cache.set("k", "old", source_version=6)
    assert (refused.stored, refused.reason, refused.min_source_version) == (False, "OLDER_SOURCE_VERSION", 7)
    swap = cache.compare_and_set("k", "old", version=cache.lookup("k").entry.version, source_version=6)
    assert (swap.stored, swap.reason, swap.min_source_version) == (False, "OLDER_SOURCE_VERSION", 7)
    assert swap.current.entry.value == "new"
    assert cache.set("k", "x", if_absent=True).reason == "PRESENT"
    position = cache.lookup("k").position
    cache.invalidate("k")
    assert cache.set("k", "read before", position=position).reason == "COVERED"


def test_invalidation_reaches_keys_tags_prefixes_and_all(cache):
    def fill():
        cache.set("user:1", 1, tags=["users"])
        cache.set("user:2", 2)
        cache.set("page:1", 3)

    for what, left in [
        (dict(tags=["users"]), {"user:2", "page:1"}),
        (dict(prefixes="user:"), {"page:1"}),
        (dict(all=True), set()),
    ]:
        fill()
        done = cache.invalidate(**what, ack="fleet")
        assert done.position and len(done.acked) == 1
        assert set(cache.get_many(["user:1", "user:2", "page:1"])) == left
    fill()
    cache.delete("user:1")
    assert cache.get("user:1") is None and cache.get("user:2") == 2
    cache.invalidate("user:2", soft=True)
    assert cache.get("user:2") is None
    assert cache.get("user:2", level="stale_ok") == 2
    stale = cache.lookup("user:2", level="stale_ok").entry
    assert (stale.fresh, stale.stale_reason) == (False, "SOFT_INVALIDATED")


def test_a_lease_is_the_value_or_the_right_to_load(cache):
    with cache.lease("k") as lease:
        assert lease.granted and lease.value is None
        assert lease.fill({"a": 1}, ttl="1m", tags=["t"])
        with pytest.raises(RuntimeError, match="used already"):
            lease.fill(2)
    with cache.lease("k") as lease:
        assert (lease.granted, lease.kind, lease.value) == (False, "hit", {"a": 1})
    with cache.lease("other"):
        pass  # goes back
    with cache.lease("other", wait=5) as lease:
        assert lease.granted
        lease.abandon()
    with cache.lease("voided") as lease:
        cache.invalidate("voided")
        outcome = lease.fill(1)
        assert isinstance(outcome, Outcome) and outcome.reason == "INVALIDATED"


def test_a_watch_tells_what_is_invalidated(cache):
    events = cache.watch(keys=["user:1"], tags="users")
    assert next(events).kind == "started"
    cache.invalidate(tags=["users"], reason="why")
    event = next(e for e in events if e.kind == "invalidation")
    assert (event.tags, event.reason, event.soft, event.all) == (["users"], "why", False, False)
    cache.invalidate("user:1", soft=True)
    cache.invalidate("user:2")
    later = cache.watch(position=event.position)
    seen = [next(e for e in later if e.kind == "invalidation") for _ in range(2)]
    assert [(e.keys, e.soft) for e in seen] == [(["user:1"], True), (["user:2"], False)]


def test_a_broken_rule_is_raised_with_every_violation(unstale_sidecar, unstale_namespace):
    cache = Cache(unstale_sidecar.endpoint, namespace=unstale_namespace)  # not strict
    with pytest.raises(Invalid) as refused:
        cache.set("", 1, tags=["t" * 200])
    assert refused.value.reason == "INVALID_REQUEST"
    assert {field for field, _ in refused.value.violations} == {"key", "tags[0]"}
    with pytest.raises(ValueError, match="no duration"):
        cache.set("k", 1, ttl="5 minutes")
    with pytest.raises(EncodeError, match="type hint"):
        cache.set("k", object())


def test_both_listeners_serve(unstale_sidecar, unstale_namespace):
    tcp = Cache(unstale_sidecar.tcp, namespace=unstale_namespace)
    unix = Cache(unstale_sidecar.endpoint, namespace=unstale_namespace)
    tcp.set("k", 1)
    assert unix.get("k") == 1
    assert tcp.status().instance == unix.status().instance


def test_the_variable_names_the_sidecar(unstale_sidecar, monkeypatch):
    monkeypatch.setenv("UNSTALE_ENDPOINT", unstale_sidecar.endpoint)
    Cache(strict=True).connect()


def test_a_batch_of_wide_characters_is_split_by_its_bytes(cache):
    values = {f"k{n}": "漢" * 300_000 for n in range(8)}
    assert all(cache.set_many(values, ttl=60).values())
    assert cache.get_many(values) == values


def test_one_text_is_not_many_keys(cache):
    with pytest.raises(TypeError, match="several keys"):
        cache.get_many("abc")
