"""Forks, spawned processes, threads, signals and interpreters that end."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from unstale import AsyncCache, Cache
from unstale.testing import Sidecar


def in_child(work):
    """Runs the work in a forked child; gives its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(20)
            code = 0 if work() else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def test_a_client_made_before_a_fork_serves_parent_and_child(cache):
    cache.set("k", "parent")
    assert cache.get("k") == "parent"

    def work():
        return cache.get("k") == "parent" and bool(cache.set("child", os.getpid()))

    for _ in range(3):
        assert in_child(work) == 0
        assert cache.get("child") != os.getpid()
        assert cache.get("k") == "parent"
    assert in_child(lambda: in_child(work) == 0) == 0
    # A loader, a lease and an event loop of the child's own.
    assert in_child(lambda: cache.get_or_set("loaded", lambda: 1) == 1) == 0

    def loop():
        import asyncio

        return asyncio.run(cache.aio.get("loaded")) == 1

    assert in_child(loop) == 0
    assert cache.get("loaded") == 1


def test_a_fork_while_other_threads_call_serves_all(cache):
    cache.set("k", 1)
    over, wrong = threading.Event(), []

    def call():
        while not over.is_set():
            if cache.get("k") != 1:
                wrong.append(1)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    codes = [in_child(lambda: all(cache.get("k") == 1 for _ in range(20))) for _ in range(20)]
    over.set()
    for thread in threads:
        thread.join()
    assert (codes, wrong) == ([0] * 20, [])


def test_a_lease_stays_the_parents(cache):
    with cache.lease("k") as lease:

        def work():
            # The child lets go of all that it inherited.
            import gc

            lease._release()
            gc.collect()
            return cache.get("other") is None

        assert in_child(work) == 0
        assert lease.fill("v")
    assert cache.get("k") == "v"


def worker(cache, number):
    return cache.get_or_set("pool", lambda: "loaded"), bool(cache.set(f"w{number}", number))


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_pools_of_processes_share_the_cache(cache, how):
    cache.get("k")
    with multiprocessing.get_context(how).Pool(2) as pool:
        results = pool.starmap(worker, [(cache, n) for n in range(4)])
    assert results == [("loaded", True)] * 4
    assert cache.get_many([f"w{n}" for n in range(4)]) == {f"w{n}": n for n in range(4)}


def test_a_client_is_copied_by_how_it_was_made(cache):
    again = pickle.loads(pickle.dumps(cache))
    assert isinstance(again, Cache) and again._made == cache._made
    assert isinstance(pickle.loads(pickle.dumps(cache.aio)), AsyncCache)


def blocked_in_a_call(thread):
    """Returns when the thread's innermost Python frame is that of a call."""
    while sys._current_frames()[thread].f_code.co_name not in ("run", "fetch_or_set"):
        threading.Event().wait(0.001)


def program(text, *arguments, **how):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **how,
    )


def test_ctrl_c_ends_a_call_that_blocks(unstale_sidecar, unstale_namespace):
    waiting = """
        import sys, threading
        from unstale import Cache
        sys.path.insert(0, sys.argv[3])
        from test_processes import blocked_in_a_call
        def tell(main=threading.get_ident()):
            blocked_in_a_call(main)
            print("asking", flush=True)
        cache = Cache(sys.argv[1], namespace=sys.argv[2])
        with cache.lease("k") as lease:
            assert lease.granted
            threading.Thread(target=tell).start()
            # Nobody fills: this blocks for 60 s.
            Cache(sys.argv[1], namespace=sys.argv[2]).get_or_set("k", lambda: 1, wait=60)
    """
    here = os.path.dirname(__file__)
    asking = program(waiting, unstale_sidecar.endpoint, unstale_namespace, here)
    assert asking.stdout.readline() == "asking\n"
    asking.send_signal(signal.SIGINT)
    _, said = asking.communicate(timeout=20)
    assert asking.returncode == -signal.SIGINT and "KeyboardInterrupt" in said
    # The lease went back, and the process did not have to wait for its term.
    assert Cache(unstale_sidecar.endpoint, namespace=unstale_namespace).get_or_set("k", lambda: 2) == 2


def test_a_signal_handler_that_returns_lets_the_call_go_on(cache):
    heard, main = threading.Event(), threading.get_ident()
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.set())

    def interrupt():
        blocked_in_a_call(main)
        os.kill(os.getpid(), signal.SIGUSR1)
        # Python's handlers run in the main thread only, which blocks.
        assert heard.wait(20)
        lease.fill("v")

    try:
        with cache.lease("k") as lease:
            thread = threading.Thread(target=interrupt)
            thread.start()
            assert cache.get_or_set("k", lambda: "own") == "v"
            thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_the_gil_is_released_while_a_call_blocks(cache):
    with cache.lease("k") as lease:
        blocked = threading.Thread(target=lambda: cache.get_or_set("k", lambda: "own"))
        blocked.start()
        # This thread runs, and only it can end the other's wait.
        assert lease.fill("v")
        blocked.join(20)
        assert not blocked.is_alive()


def test_an_interpreter_ends_with_calls_under_way(unstale_sidecar, unstale_namespace):
    ending = """
        import asyncio, sys, threading
        from unstale import Cache
        cache = Cache(sys.argv[1], namespace=sys.argv[2], strict=True)
        held = cache.lease("k").__enter__()
        assert held.granted
        threading.Thread(target=lambda: cache.get_or_set("k", lambda: 1, wait=60), daemon=True).start()
        async def leave():
            asyncio.create_task(cache.aio.get_or_set("k", lambda: 1))
            await cache.aio.get("other")
        asyncio.run(leave())
        print("end", flush=True)
    """
    ended = program(ending, unstale_sidecar.endpoint, unstale_namespace)
    out, said = ended.communicate(timeout=20)
    assert (ended.returncode, out, said) == (0, "end\n", "")


def test_a_call_interrupted_while_its_lease_is_on_the_way_frees_the_key(unstale_namespace):
    with Sidecar() as own:
        cache = Cache(own.endpoint, namespace=unstale_namespace, timeout=20, strict=True)
        cache.connect()
        main = threading.get_ident()

        def interrupt():
            blocked_in_a_call(main)
            os.kill(os.getpid(), signal.SIGINT)

        own.pause()
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            cache.get_or_set("k", lambda: 1, term="2m")
        own.go_on()
        thread.join()
        assert cache.get_or_set("k", lambda: 2, wait=5) == 2
