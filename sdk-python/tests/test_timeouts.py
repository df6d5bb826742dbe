"""Loaders that take longer than their callers want to wait."""

import asyncio
import contextvars
import threading

import pytest

from unstale import Cache, LoadTimedOut

TENANT = contextvars.ContextVar("tenant", default="nobody")


def test_a_loader_that_hangs_is_given_up_and_its_lease_goes_back(cache):
    gate = threading.Event()
    with pytest.raises(LoadTimedOut):
        cache.get_or_set("k", gate.wait, hard_timeout=0.1)
    # The next caller loads at once, while the first loader still hangs.
    assert cache.get_or_set("k", lambda: "second", wait=0) == "second"
    gate.set()
    assert cache.get("k") == "second"


def test_a_loader_in_time_is_as_without_a_timeout(cache):
    TENANT.set("shop")
    assert cache.get_or_set("k", TENANT.get, hard_timeout=30) == "shop"
    cached = cache.cached(key="f:{n}", hard_timeout="30s")(lambda n: n + 1)
    assert cached(1) == 2

    def fails():
        raise KeyError("origin")

    with pytest.raises(KeyError):
        cache.get_or_set("other", fails, hard_timeout=30)


def test_the_stale_value_stands_in_for_a_loader_that_hangs(cache):
    cache.set("k", "old", stale_for="10m")
    cache.invalidate("k", soft=True)
    gate = threading.Event()
    found = cache.get_or_set("k", gate.wait, hard_timeout=0.1, fail_safe="10m")
    gate.set()
    assert found == "old"


def test_without_a_sidecar_it_is_given_up_too(tmp_path):
    gate = threading.Event()
    with pytest.raises(LoadTimedOut):
        Cache(f"unix:{tmp_path}/none.sock").get_or_set("k", gate.wait, hard_timeout=0.1)
    gate.set()


async def test_an_async_loader_is_cancelled(aio):
    ended = asyncio.Event()

    async def hangs():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(LoadTimedOut):
        await aio.get_or_set("k", hangs, hard_timeout=0.1)
    await asyncio.wait_for(ended.wait(), 30)
    assert await aio.get_or_set("k", lambda: "second", wait=0) == "second"


async def test_a_cancelled_caller_cancels_its_loader(aio):
    began, ended = asyncio.Event(), asyncio.Event()

    async def hangs():
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(aio.get_or_set("k", hangs, hard_timeout=600))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), 30)


async def test_a_loaders_own_timeout_is_its_own(aio):
    async def late():
        raise TimeoutError("origin")

    with pytest.raises(TimeoutError, match="origin") as raised:
        await aio.get_or_set("k", late, hard_timeout=30)
    assert not isinstance(raised.value, LoadTimedOut)
