"""Loaders that only this process keeps to one at a time: how long the others
wait, and that none waits for itself."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from unstale import Busy, Cache

#: Longer than any of these takes; what waits for ever fails then.
PATIENCE = 20
BOUNDS = [{"wait": 0}, {"wait": 0.01}, {"hard_timeout": 0.01}]


@pytest.fixture
def away(tmp_path):
    """A cache whose sidecar is away."""
    return Cache(f"unix:{tmp_path}/none.sock")


@pytest.fixture
def unreadable(unstale_sidecar, unstale_namespace):
    """A cache in which "k" holds what this client cannot read."""
    cache = Cache(unstale_sidecar.endpoint, namespace=unstale_namespace)
    assert cache.set("k", b"\xff", content_type="application/x-odd")
    return cache


def outlasted(cache, how):
    """What a caller gets while another's loader hangs, and the other then."""
    inside, go_on = threading.Event(), threading.Event()

    def hangs():
        inside.set()
        return go_on.wait(3 * PATIENCE)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get_or_set, "k", hangs)
        try:
            assert inside.wait(PATIENCE)
            other = pool.submit(cache.get_or_set, "k", lambda: "never", **how)
            return other.exception(PATIENCE), first
        finally:
            go_on.set()


@pytest.mark.parametrize("how", BOUNDS)
@pytest.mark.parametrize("of", ["away", "unreadable"])
def test_a_loader_that_hangs_is_waited_for_as_long_as_one_said(request, of, how):
    error, first = outlasted(request.getfixturevalue(of), how)
    assert isinstance(error, Busy) and error.retry_after > 0
    assert first.result() is True


@pytest.mark.parametrize("how", BOUNDS)
@pytest.mark.parametrize("of", ["away", "unreadable"])
async def test_so_is_one_of_another_task(request, of, how):
    cache = request.getfixturevalue(of).aio
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def hangs():
        inside.set()
        await go_on.wait()
        return "first"

    first = asyncio.create_task(cache.get_or_set("k", hangs))
    await inside.wait()
    with pytest.raises(Busy):
        await asyncio.wait_for(cache.get_or_set("k", lambda: "never", **how), PATIENCE)
    go_on.set()
    assert await first == "first"


def test_who_must_see_a_position_is_not_given_what_was_read_before_it(away):
    inside, go_on = threading.Event(), threading.Event()

    def first():
        inside.set()
        assert go_on.wait(PATIENCE)
        return "read before"

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(away.get_or_set, "k", first)
        assert inside.wait(PATIENCE)
        other = pool.submit(away.get_or_set, "k", lambda: "read after", min_position="1-1")
        (flight,) = away._operations.flights._threads.values()
        while not flight.over._cond._waiters:
            threading.Event().wait(0.001)
        go_on.set()
        assert (one.result(), other.result()) == ("read before", "read after")


def test_two_loaders_that_ask_for_each_others_keys_are_busy(away):
    both = threading.Barrier(2)

    def load(other):
        both.wait(PATIENCE)
        return away.get_or_set(other, lambda: "never", wait=0.01)

    errors = []

    def ask(key, other):
        with pytest.raises(Busy) as raised:
            away.get_or_set(key, lambda: load(other))
        errors.append(raised.value)

    threads = [threading.Thread(target=ask, args=keys, daemon=True) for keys in ["az", "za"]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(errors) == 2


async def test_so_are_two_tasks(away):
    cache, inside, both = away.aio, [], asyncio.Event()

    async def load(other):
        inside.append(other)
        if len(inside) == 2:
            both.set()
        await both.wait()
        return await cache.get_or_set(other, lambda: "never", wait=0.01)

    asking = (cache.get_or_set(key, lambda other=other: load(other)) for key, other in ["az", "za"])
    errors = await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), PATIENCE)
    assert [type(error) for error in errors] == [Busy, Busy]


@pytest.mark.parametrize("how", [{}, {"hard_timeout": PATIENCE}])
def test_a_loader_does_not_wait_for_itself(away, how):
    assert away.get_or_set("k", lambda: away.get_or_set("k", lambda: "own", wait=0), **how) == "own"


@pytest.mark.parametrize("how", [{}, {"hard_timeout": PATIENCE}])
async def test_nor_does_an_async_one_or_a_task_of_it(away, how):
    cache = away.aio

    def again():
        return cache.get_or_set("k", lambda: "own", wait=0)

    async def in_a_task():
        return (await asyncio.gather(again()))[0]

    for load in [again, in_a_task]:
        assert await asyncio.wait_for(cache.get_or_set("k", load, **how), PATIENCE) == "own"


async def test_a_task_that_outlives_its_loader_waits_like_any_other(away):
    cache, inside, go_on = away.aio, asyncio.Event(), asyncio.Event()
    tasks = []

    async def later():
        await inside.wait()
        return await cache.get_or_set("k", lambda: "never", wait=0)

    async def leaves_one():
        tasks.append(asyncio.create_task(later()))

    async def hangs():
        inside.set()
        await go_on.wait()

    await cache.get_or_set("k", leaves_one)
    second = asyncio.create_task(cache.get_or_set("k", hangs))
    with pytest.raises(Busy):
        await asyncio.wait_for(tasks[0], PATIENCE)
    go_on.set()
    await second


async def test_a_waiting_task_that_is_cancelled_leaves_the_loader_alone(away):
    cache, inside, go_on = away.aio, asyncio.Event(), asyncio.Event()

    async def load():
        inside.set()
        await go_on.wait()
        return "first"

    first = asyncio.create_task(cache.get_or_set("k", load))
    await inside.wait()
    other = asyncio.create_task(cache.get_or_set("k", lambda: "never"))
    while cache.counts.failed_open < 2:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    other.cancel()
    with pytest.raises(asyncio.CancelledError):
        await other
    go_on.set()
    assert await first == "first"
