"""The asyncio cache against a real sidecar."""

import asyncio

import pytest

from unstale import NOT_FOUND, AsyncCache, Busy, Invalid, Unreachable


async def test_a_value_comes_back_as_it_was_stored(aio):
    for value in ["Ada", b"\x00\xff", 7, None, {"a": [1, None]}]:
        assert await aio.set("k", value)
        assert await aio.get("k", "default") == value
    assert await aio.get("other", "default") == "default"
    await aio.set("n", NOT_FOUND)
    assert (await aio.lookup("n")).kind == "negative"


async def test_tasks_that_ask_together_load_once(aio):
    calls = []

    async def load():
        calls.append(1)
        await asyncio.sleep(0)
        return {"n": 1}

    got = await asyncio.gather(*(aio.get_or_set("k", load, ttl="1m") for _ in range(100)))
    assert (len(calls), got) == (1, [{"n": 1}] * 100)
    assert await aio.get_or_set("plain", lambda: 1) == 1


async def test_a_loader_that_raises_gives_its_lease_back(aio):
    async def load():
        raise LookupError("origin")

    with pytest.raises(LookupError, match="origin"):
        await aio.get_or_set("k", load)
    assert await aio.get_or_set("k", lambda: "v", wait=0) == "v"


async def test_a_cancelled_load_gives_its_lease_back(aio):
    inside = asyncio.Event()

    async def load():
        inside.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(aio.get_or_set("k", load))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await aio.get_or_set("k", lambda: "v", wait=5) == "v"


async def test_a_cancelled_wait_drops_its_call_and_no_other(aio):
    async with aio.lease("k") as lease:
        waiting = [asyncio.create_task(aio.get_or_set("k", lambda: 1)) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting[0]
        await lease.fill("v")
    assert await waiting[1] == "v"


async def test_batches_writes_and_invalidations_are_those_of_the_sync_cache(aio):
    values = {f"k{n}": n for n in range(300)}
    assert all((await aio.set_many(values, tags="all")).values())
    assert await aio.get_many(values) == values
    assert (await aio.compare_and_set("k1", 2, absent=True)).reason == "CONFLICT"
    assert (await aio.invalidate(tags="all", ack="fleet")).acked
    assert await aio.get_many(values) == {}
    await aio.set("k", 1)
    await aio.delete("k")
    assert await aio.get("k") is None
    with pytest.raises(Invalid):
        await aio.get("")
    async with aio.lease("held") as lease:
        with pytest.raises(Busy) as busy:
            await aio.get_or_set("held", lambda: 1, wait=0)
        assert busy.value.retry_after > 0
        await lease.abandon()


async def test_a_watch_tells_what_is_invalidated(aio):
    events = aio.watch(tags=["t"])
    assert (await anext(events)).kind == "started"
    await aio.invalidate(tags=["t"])
    async for event in events:
        if event.kind == "invalidation":
            break
    assert event.tags == ["t"]
    await events.aclose()


def test_each_event_loop_has_its_own_calls(unstale_sidecar, unstale_namespace):
    cache = AsyncCache(unstale_sidecar.endpoint, namespace=unstale_namespace)

    async def count():
        n = await cache.get("n", 0)
        await cache.set("n", n + 1)
        return n

    assert [asyncio.run(count()) for _ in range(3)] == [0, 1, 2]


async def test_what_fails_is_raised_in_the_task(tmp_path):
    cache = AsyncCache(f"unix:{tmp_path}/none.sock", strict=True)
    with pytest.raises(Unreachable, match="No such file"):
        await cache.get("k")


async def test_sync_and_asyncio_share_one_connection(aio):
    await aio.set("k", 1)
    assert aio.sync.get("k") == 1
    assert await aio.sync.aio.get("k") == 1


async def test_a_call_that_is_cancelled_while_its_lease_is_on_the_way_frees_the_key(aio):
    for i in range(200):
        try:
            # At every moment of the call.
            async with asyncio.timeout(0.0002 * (i % 8)):
                await aio.get_or_set(f"k{i}", lambda: asyncio.sleep(0, i), term="2m")
        except TimeoutError:
            pass
        assert await aio.get_or_set(f"k{i}", lambda i=i: i, wait=5) == i


async def test_a_batch_that_is_cancelled_while_its_leases_are_on_the_way_frees_the_keys(aio):
    for i in range(50):
        keys = [f"b{i}", f"c{i}"]
        try:
            async with asyncio.timeout(0.0004 * (i % 8)):
                async with aio.lease_many(keys, term="2m"):
                    pass
        except TimeoutError:
            pass
        for key in keys:
            assert await aio.get_or_set(key, lambda i=i: i, wait=5) == i
