"""References: blocks that keep an entry from being evicted, and the calls."""

import asyncio
import os
import signal
import time

import pytest

from unstale import Cache, Invalid, Unreachable
from unstale.testing import Sidecar


def count(cache, key):
    told = cache.explain(key).references
    return 0 if told is None else told.count


def until(what, seconds=10):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_block_refers_to_a_key_and_releases_it(cache):
    cache.set("k", "v")
    with cache.retained("k", term=5) as one, cache.retained("k") as two:
        assert one.owner != two.owner and len(one.owner) == 32
        assert (two.newest.references, two.newest.here, two.newest.term) == (2, "PINNED", 30)
        assert count(cache, "k") == 2
    assert count(cache, "k") == 0
    assert one.newest is None
    assert cache.get("k") == "v"


def test_a_block_outlives_its_term_and_drops_the_entry_at_its_end(cache):
    cache.set("k", "v")
    with cache.retained("k", term=1, drop_at_zero=True, owner="me") as held:
        time.sleep(2.5)
        assert count(cache, "k") == 1 and held.owner == "me"
        assert cache.get("k") == "v"
    assert cache.get("k") is None


def test_a_block_that_fails_releases_too(cache):
    with pytest.raises(ZeroDivisionError), cache.retained("k"):
        raise ZeroDivisionError
    until(lambda: count(cache, "k") == 0)


def test_the_calls_count_and_say_that_there_was_nothing(cache):
    assert cache.retain("k", "a", term="1m").term == 60
    told = cache.retain("k", "b")
    assert (told.references, told.here) == (2, "NOT_CACHED")
    gone = cache.release("k", "a")
    assert (gone.released, gone.references, gone.dropped_position) == (True, 1, None)
    assert not cache.release("k", "a").released
    with pytest.raises(Invalid):
        cache.retain("k", "a", term="2h")
    with pytest.raises(Invalid), cache.retained("k", term="2h"):
        pass


def test_tasks_refer_and_one_that_is_cancelled_releases(cache):
    async def work():
        aio = cache.aio
        async with aio.retained("k") as held:
            assert held.newest.references == 1

        async def stuck(inside):
            async with aio.retained("k"):
                inside.set()
                await asyncio.sleep(60)

        inside = asyncio.Event()
        task = asyncio.create_task(stuck(inside))
        await inside.wait()
        assert (await aio.explain("k")).references.count == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await aio.retain("other", "a")).references == 1
        assert (await aio.release("other", "a")).released

    asyncio.run(work())
    until(lambda: count(cache, "k") == 0)


def test_without_a_sidecar_the_block_runs_unless_strict():
    with Sidecar() as sidecar:
        cache, strict = Cache(sidecar.endpoint), Cache(sidecar.endpoint, strict=True)
        cache.connect()
        strict.connect()
    with cache.retained("k") as held:
        assert held.newest is None and held.owner is None
    assert cache.counts.failed_open == 1
    with pytest.raises(Unreachable), strict.retained("k"):
        pass
    with pytest.raises(Unreachable):
        cache.release("k", "a")


def test_a_forked_child_leaves_its_parents_reference_alone(cache):
    with cache.retained("k", owner="parent") as held:
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            code = 1
            try:
                code = 0 if held.newest is None else 2
                held.__exit__(None, None, None)
                code += 0 if count(cache, "k") == 1 else 4
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert count(cache, "k") == 1 and held.newest.references == 1
    assert count(cache, "k") == 0
