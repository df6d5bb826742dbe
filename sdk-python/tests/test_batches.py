"""Batches whose parts have options, fates and leases of their own."""

import pickle

import pytest

from unstale import NOT_FOUND, BatchError, Cache, EncodeError, Invalid, Item, Unreachable


def test_items_have_options_of_their_own(cache):
    cache.set("there", "first")
    outcomes = cache.set_many(
        {
            "plain": 1,
            "tagged": Item(2, ttl=30, tags=["own"]),
            "untagged": Item(3, tags=[]),
            "there": Item("second", if_absent=True),
            "none": Item(NOT_FOUND),
            "image": Item(b"\x00", content_type="image/png"),
        },
        ttl=600,
        tags="shared",
    )
    assert outcomes["there"].reason == "PRESENT"
    assert outcomes["there"].current.entry.value == "first"
    assert sum(map(bool, outcomes.values())) == 5
    plain, tagged = cache.lookup("plain").entry, cache.lookup("tagged").entry
    assert (plain.tags, tagged.tags) == (("shared",), ("own",))
    assert tagged.ttl_left <= 30 < plain.ttl_left
    assert cache.lookup("untagged").entry.tags == ()
    assert cache.lookup("none").kind == "negative"


def test_an_item_with_a_position_is_refused_when_something_came_after(cache):
    position = cache.lookup("k").position
    cache.invalidate("k")
    assert cache.set_many({"k": Item(1, position=position)})["k"].reason == "COVERED"


def test_what_is_encoded_already_is_stored_as_it_is(cache):
    class Png:
        content_type = "image/png"

        def encode(self, value, hinted):
            raise AssertionError("it is encoded already")

        def decode(self, data):
            return data

    reader = Cache(**{**cache._made, "codecs": [Png()]})
    cache.set("k", b"\x89PNG", content_type="image/png")
    assert reader.get("k") == b"\x89PNG"
    with pytest.raises(EncodeError):
        cache.set("k", {"a": 1}, content_type="image/png")


@pytest.mark.parametrize("strict", [True, False])
def test_a_failure_of_some_loses_no_outcome_of_the_others(cache, strict):
    open_or_strict = Cache(**{**cache._made, "strict": strict})
    keys = [f"k{i}" for i in range(299)]
    with pytest.raises(BatchError) as raised:
        # The empty key is in the second call.
        open_or_strict.set_many(dict.fromkeys([*keys, ""], 1))
    error = raised.value
    assert list(error.results) == [*keys, ""]
    assert all(error.results[key] for key in keys[:256])
    failed = [error.results[key].error for key in [*keys[256:], ""]]
    assert all(isinstance(each, Invalid) for each in failed)
    assert (error.reason, error.__cause__) == ("INVALID_REQUEST", failed[0])
    assert cache.get("k0") == 1 and cache.get("k298") is None
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and list(again.results) == list(error.results)


def test_a_call_of_which_nothing_is_known_fails_as_itself(tmp_path):
    with pytest.raises(Unreachable):
        Cache(f"unix:{tmp_path}/none.sock", strict=True).set_many({"a": 1, "b": 2})


def test_a_batch_of_leases_has_one_for_each_key(cache):
    cache.set("hit", 1)
    with cache.lease("held") as held:
        assert held.granted and held.term == pytest.approx(10, abs=1)
        with cache.lease_many(["a", "hit", "held", "b", "a"], term=20) as leases:
            assert list(leases) == ["a", "hit", "held", "b"]
            assert [lease.kind for lease in leases.values()] == ["granted", "hit", "busy", "granted"]
            assert leases["hit"].value == 1 and leases["held"].retry_after > 0
            assert leases["a"].term == pytest.approx(20, abs=1)
            assert leases["a"].fill({"n": 1}, ttl=60, valid_for=50, jitter=1)
        # What was not filled went back.
        with cache.lease("b", wait=10) as again:
            assert again.granted
    entry = cache.lookup("a").entry
    assert entry.value == {"n": 1} and 30 < entry.ttl_left <= 50


def test_more_leases_than_a_call_takes(cache):
    with cache.lease_many(f"k{i}" for i in range(300)) as leases:
        assert sum(lease.granted for lease in leases.values()) == 300


async def test_batches_of_asyncio_are_the_same(aio):
    outcomes = await aio.set_many({"there": 1, "tagged": Item(2, tags=["t"])})
    assert all(outcomes.values())
    async with aio.lease_many(["there", "a"]) as leases:
        assert [lease.kind for lease in leases.values()] == ["hit", "granted"]
        assert await leases["a"].fill("v", content_type="text/plain")
    assert await aio.get("a") == "v"
    with pytest.raises(BatchError):
        await aio.set_many(dict.fromkeys([*(f"k{i}" for i in range(299)), ""], 1))


def test_a_pod_tells_of_itself_and_of_its_peers(cache):
    status = cache.status()
    assert (status.log, status.remote) == ("local", "memory")
    (peer,) = cache.peers()
    assert peer.own and not peer.expelled and peer.pod == status.pod


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_an_explanation_names_what_decides_and_who_asked(cache):
    cache.set("told", "sesame", ttl=60, tags=["red"])
    told = cache.explain("told")
    assert told.l1.judgement == "FRESH" and told.l1.decider == "NOTHING"
    assert (told.l1.ttl, told.l1.ttl_by, told.l1.stale_for_by) == (60, "WRITER", "NAMESPACE")
    assert told.remote.kind == "entry" and told.remote.entry.version == told.l1.version
    cache.invalidate(tags=["red"], reason="painted", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    told = cache.explain("told")
    floor, last = told.l1.floor, told.changes[0]
    assert (told.l1.judgement, told.l1.decider) == ("DEAD", "FLOOR")
    assert (floor.kind, floor.name, floor.hard) == ("TAG", "red", last.sequence)
    assert (last.reason, last.trace_id, last.pod) == ("painted", TRACE, cache.status().pod)
    assert last.touches == [("TAG", "red")] and not last.write


async def test_asyncio_explains_what_was_never_there(cache):
    told = await cache.aio.explain("never there")
    assert told.l1 is None and told.remote.kind == "nothing" and told.changes == []
    with pytest.raises(Invalid):
        await cache.aio.explain("")
