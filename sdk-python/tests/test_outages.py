"""A sidecar that is away, dead, paused, restarted or of another version."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from unstale import (
    AnswerError,
    AsyncCache,
    Busy,
    Cache,
    EndpointError,
    Error,
    Loaded,
    UnknownLease,
    Unreachable,
    Unsupported,
    outages,
)
from unstale.flights import Flights
from unstale.testing import Sidecar


@pytest.fixture
def sidecar():
    """A sidecar of the test's own, to be ended."""
    with Sidecar() as own:
        yield own


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.name == "unstale"]


def test_a_write_with_the_position_of_a_read_that_failed_is_not_sent(sidecar, tmp_path):
    failed = Cache(f"unix:{tmp_path}/none.sock").lookup("k")
    cache = Cache(sidecar.endpoint, strict=True)
    outcome = cache.set("k", 1, position=failed.position)
    assert (outcome.stored, outcome.reason) == (False, "SIDECAR_UNAVAILABLE")
    assert not cache.lookup("k")


def test_without_a_sidecar_functions_run_uncached_and_a_warning_says_so_once(tmp_path, caplog):
    cache = Cache(f"unix:{tmp_path}/none.sock")
    calls = []

    @cache.cached(key="user:{user_id}", ttl=60)
    def user(user_id: int) -> str:
        calls.append(user_id)
        return "Ada"

    assert [user(1) for _ in range(3)] == ["Ada"] * 3 and len(calls) == 3
    assert cache.get("k", "default") == "default" and not cache.lookup("k")
    assert cache.get_many(["a", "b"]) == {}
    assert (cache.set("k", 1).reason, cache.lookup("k").error.__class__) == ("FAILED", Unreachable)
    assert not any(cache.set_many({"a": 1, "b": 2}).values())
    assert user.refresh(1) == "Ada"
    assert cache.counts.failed_open >= 8
    assert len(warnings(caplog)) == 1 and "Unreachable" in warnings(caplog)[0]
    assert "user:1" not in caplog.text


def test_a_later_warning_counts_those_that_were_left_out(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(outages, "INTERVAL", 0.0)
    said = outages.Warnings()
    said.say("kind", "first")
    said._next["kind"] = float("inf")
    said.say("kind", "second"), said.say("kind", "third")
    said._next["kind"] = 0
    said.say("kind", "fourth")
    assert [w.split(" (")[0] for w in warnings(caplog)] == ["first", "fourth"]
    assert "2 more" in warnings(caplog)[1]


def test_what_did_not_happen_is_raised_even_when_failing_open(tmp_path):
    cache = Cache(f"unix:{tmp_path}/none.sock")
    for call in [
        lambda: cache.invalidate("k"),
        lambda: cache.delete("k"),
        lambda: cache.compare_and_set("k", 1, absent=True),
        lambda: cache.lease("k").__enter__(),
        lambda: next(cache.watch()),
        lambda: cache.connect(),
        lambda: cache.status(),
    ]:
        with pytest.raises(Unreachable, match="No such file"):
            call()
    with pytest.raises(ConnectionError):
        cache.cached(key="k")(lambda: 1).invalidate()


def test_strict_raises_everything(tmp_path):
    cache = Cache(f"unix:{tmp_path}/none.sock", strict=True)
    for call in [
        lambda: cache.get("k"),
        lambda: cache.lookup("k"),
        lambda: cache.get_many(["k"]),
        lambda: cache.set("k", 1),
        lambda: cache.set_many({"k": 1}),
        lambda: cache.get_or_set("k", lambda: 1),
        lambda: cache.cached(key="k")(lambda: 1)(),
    ]:
        with pytest.raises(Unreachable):
            call()


def test_an_endpoint_that_cannot_be_read_is_raised_always():
    for endpoint in ["127.0.0.1:7070", "https://x", "unix:"]:
        with pytest.raises(EndpointError):
            Cache(endpoint).get("k")


def test_while_the_sidecar_is_away_a_process_loads_a_key_once(tmp_path):
    cache = Cache(f"unix:{tmp_path}/none.sock")
    calls, got = [], []
    inside, go_on = threading.Event(), threading.Event()

    def load():
        calls.append(1)
        inside.set()
        assert go_on.wait(20)
        return "v"

    first = threading.Thread(target=lambda: got.append(cache.get_or_set("k", load)))
    first.start()
    assert inside.wait(20)
    others = [threading.Thread(target=lambda: got.append(cache.get_or_set("k", load))) for _ in range(7)]
    for thread in others:
        thread.start()
    (flight,) = cache._operations.flights._threads.values()
    while len(flight.over._cond._waiters) < 7:
        threading.Event().wait(0.001)
    go_on.set()
    for thread in [first, *others]:
        thread.join()
    assert got == ["v"] * 8
    assert len(calls) == 1
    # A loader that asks for its own key does not wait for itself.
    assert cache.get_or_set("r", lambda: cache.get_or_set("r", lambda: 1)) == 1


async def test_tasks_load_a_key_once_too_and_a_cancelled_one_is_replaced(tmp_path):
    cache = AsyncCache(f"unix:{tmp_path}/none.sock")
    calls, inside, go_on = [], asyncio.Event(), asyncio.Event()

    async def load():
        calls.append(1)
        inside.set()
        await go_on.wait()
        return "v"

    first = asyncio.create_task(cache.get_or_set("k", load))
    await inside.wait()
    others = [asyncio.create_task(cache.get_or_set("k", load)) for _ in range(7)]
    while cache.counts.failed_open < 8:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    while len(calls) < 2:
        await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(*others) == ["v"] * 7
    assert len(calls) == 2

    async def fail():
        raise LookupError("origin")

    results = await asyncio.gather(*(cache.get_or_set("k", fail) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in results] == [LookupError] * 3


def test_tests_can_do_without_a_sidecar(caplog):
    cache = Cache(sidecar=False, strict=True)
    calls = []
    function = cache.cached(key="k", ttl=60)(lambda: calls.append(1))
    assert function() is function() is function.refresh() is None
    assert len(calls) == 3
    assert cache.get("k", "miss") == "miss" and cache.get_many(["k"]) == {}
    assert not cache.set("k", 1) and not cache.lookup("k")
    cache.invalidate("k")
    function.invalidate()
    assert asyncio.run(cache.aio.get_or_set("k", lambda: 1)) == 1
    assert (cache.counts.failed_open, warnings(caplog)) == (0, [])
    assert repr(cache) == "Cache(strict=True, sidecar=False)"


OLDER_AND_NEWER = """
import sys
from concurrent.futures import ThreadPoolExecutor
import grpc

# A newer sidecar's answers hold nothing that this client knows; an older one
# has none of these calls.
empty = grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
newer = {name: empty for name in ("Get", "Set", "Lease", "BatchGet", "CompareAndSet")}
server = grpc.server(ThreadPoolExecutor(2))
if sys.argv[1] == "newer":
    service = grpc.method_handlers_generic_handler("unstale.v1.CacheService", newer)
    server.add_generic_rpc_handlers((service,))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("skew, error", [("older", Unsupported), ("newer", AnswerError)])
def test_another_version_of_the_sidecar_is_an_outage_with_a_name(skew, error):
    command = [sys.executable, "-c", OLDER_AND_NEWER, skew]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            place = f"http://127.0.0.1:{int(server.stdout.readline())}"
            cache = Cache(place)
            assert cache.get("k", "miss") == "miss"
            assert type(cache.lookup("k").error) is type(cache.set("k", 1).error) is error
            assert cache.get_or_set("k", lambda: 1) == 1
            with pytest.raises(error):
                cache.compare_and_set("k", 1, absent=True)
            with pytest.raises(error):
                Cache(place, strict=True).get("k")
        finally:
            server.stdin.close()


def test_a_restarted_sidecar_is_found_again(sidecar):
    cache = Cache(sidecar.endpoint)
    assert cache.set("k", 1) and cache.get("k") == 1
    sidecar.kill()
    assert cache.get("k", "miss") == "miss"
    assert cache.get_or_set("k", lambda: 2) == 2
    sidecar.start()
    strict = Cache(sidecar.endpoint, strict=True)
    assert strict.get("k", "memory only") == "memory only"
    # The same client: its next call may be the one that finds out.
    cache.get("k")
    assert cache.set("k", 3) and cache.get("k") == 3


def test_a_sidecar_that_dies_in_mid_call_costs_a_miss(sidecar):
    cache, strict = Cache(sidecar.endpoint), Cache(sidecar.endpoint, strict=True)
    with cache.lease("k") as lease:
        assert lease.granted
        got = []
        ask = lambda: got.append(cache.get_or_set("k", lambda: "loaded"))  # noqa: E731
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        events = strict.watch()
        assert next(events).kind == "started"
        sidecar.kill()
        for thread in threads:
            thread.join()
        assert got == ["loaded"] * 4
        with pytest.raises(Error):
            for _ in events:
                pass
        with pytest.raises(Error):
            lease.fill("v")


def test_a_paused_sidecar_costs_its_timeout(sidecar):
    cache = Cache(sidecar.endpoint, timeout=0.1)
    cache.set("k", 1)
    sidecar.pause()
    try:
        assert cache.get("k", "miss") == "miss"
        assert cache.get_or_set("k", lambda: 2, wait=0) == 2
        with pytest.raises(TimeoutError):
            Cache(sidecar.endpoint, timeout=0.1, strict=True).get("k")
    except Unreachable as error:
        # The connection itself could not be made in time.
        assert "k" not in str(error)
    finally:
        sidecar.go_on()
    assert Cache(sidecar.endpoint, strict=True).get("k") == 1


def test_a_silent_sidecar_keeps_one_call_waiting_and_is_found_again(sidecar):
    cache = Cache(sidecar.endpoint)
    assert cache.set("k", 1)
    sidecar.pause()
    waited = cache.lookup("k").error
    errors = [cache.lookup("k").error for _ in range(20)]
    assert "fallen silent" not in str(waited)
    assert all("fallen silent" in str(error) for error in errors)
    # A loader runs at once, though it would have waited 30 s for another.
    assert cache.get_or_set("k", lambda: 2) == 2
    # Nobody pretends: these ask.
    with pytest.raises(Error) as refused:
        cache.compare_and_set("k", 1, absent=True)
    assert "fallen silent" not in str(refused.value)
    sidecar.go_on()
    while not cache.lookup("k"):
        threading.Event().wait(0.01)
    assert cache.get("k") == 1


def test_a_socket_that_nobody_serves_is_a_miss(tmp_path):
    path = str(tmp_path / "dead.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    assert Cache(f"unix:{path}", timeout=0.1).get("k", "miss") == "miss"
    # One that accepts and is no sidecar.
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        def talk():
            with other.accept()[0] as connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        talking = threading.Thread(target=talk)
        talking.start()
        place = f"http://127.0.0.1:{other.getsockname()[1]}"
        assert Cache(place, timeout=0.5).get("k", "miss") == "miss"
        talking.join()


def test_a_sidecar_restarted_while_a_loader_runs_costs_no_value(sidecar, caplog):
    cache = Cache(sidecar.endpoint)

    def load(n: int = 0) -> int:
        sidecar.kill()
        sidecar.start()
        return 9

    assert cache.get_or_set("sync", load) == 9
    assert asyncio.run(cache.aio.get_or_set("async", load)) == 9
    assert cache.cached(key="decorated:{n}")(load)(1) == 9
    assert cache.counts.failed_open == 3 and "not cached" in caplog.text
    with pytest.raises(UnknownLease):
        Cache(sidecar.endpoint, strict=True).get_or_set("strict", load)


UNSTORABLE = [
    lambda: "\ud800",
    lambda: ["\ud800"],
    lambda: Loaded("v", ttl="400d"),
    lambda: Loaded("v", ttl=1e300),
    lambda: Loaded("v", ttl="soon"),
    lambda: Loaded("v", tags=[f"t{n}" for n in range(17)]),
    lambda: Loaded("v", tags=["\ud800"]),
    lambda: Loaded("v", source_version=-1),
]


def given_back(cache):
    """Waits until nobody has the lease of "k": the call before gives it back behind its
    answer, and one that came meanwhile would not ask for it, but load alone."""
    with cache.lease("k", wait=20) as lease:
        assert lease.granted
        lease.abandon()


@pytest.mark.parametrize("load", UNSTORABLE)
def test_a_loaded_value_that_cannot_be_stored_is_given(unstale_sidecar, unstale_namespace, caplog, load):
    cache = Cache(unstale_sidecar.endpoint, namespace=unstale_namespace)
    wanted = getattr(load(), "value", load())
    assert cache.get_or_set("k", load) == wanted
    assert cache.cached(key="k")(load).refresh() == wanted
    given_back(cache)
    assert asyncio.run(cache.aio.get_or_set("k", load)) == wanted
    given_back(cache)
    assert not cache.lookup("k") and "not cached" in caplog.text and cache.counts.unencodable == 3
    strict = Cache(unstale_sidecar.endpoint, namespace=unstale_namespace, strict=True)
    with pytest.raises((ValueError, TypeError, OverflowError)):
        strict.get_or_set("k", load)
    # None of them keeps the lease.
    assert strict.get_or_set("k", lambda: "v", wait=5) == "v"


class Interrupted:
    """A codec in which Ctrl-C comes."""

    content_type = "application/x-interrupted"

    def encode(self, value, hinted):
        raise KeyboardInterrupt

    def decode(self, data):
        return data


def test_an_interrupt_before_a_value_is_stored_says_nothing_of_the_value(unstale_sidecar, unstale_namespace):
    cache = Cache(unstale_sidecar.endpoint, namespace=unstale_namespace, codec=Interrupted())
    with pytest.raises(KeyboardInterrupt):
        cache.get_or_set("k", lambda: {"a": 1})
    with cache.lease("k", wait=20) as lease:
        assert lease.granted
        # Were it taken for a value without a form, this would load.
        with pytest.raises(Busy):
            cache.get_or_set("k", lambda: b"v", wait=0)


def test_tags_of_a_call_that_cannot_be_stored_cost_no_value(unstale_sidecar, unstale_namespace):
    cache = Cache(unstale_sidecar.endpoint, namespace=unstale_namespace)
    function = cache.cached(key="k", tags=["of:{n}"])(lambda n: "v")
    assert function("\ud800") == "v" == function("x" * 200)


def test_what_can_never_be_stored_is_refused_when_decorated():
    cache = Cache(sidecar=False)
    for how in [{"ttl": "400d"}, {"ttl": 0.0001}, {"negative_ttl": "31d"}, {"stale_for": 1e300}]:
        with pytest.raises(ValueError, match="30 days|1 ms"):
            cache.cached(key="k", **how)(lambda: 1)
    with pytest.raises(ValueError, match="at most 16 tags"):
        cache.cached(key="k", tags=[f"t{n}" for n in range(17)])(lambda: 1)


def test_who_came_after_a_load_began_takes_what_comes_after_it():
    flights, inside, go_on = Flights(), threading.Event(), threading.Event()

    def first():
        inside.set()
        assert go_on.wait(20)
        return "read before"

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(flights.run, "k", first, 20)
        assert inside.wait(20)
        other = pool.submit(flights.run, "k", lambda: "read after", 20, time.monotonic())
        go_on.set()
        assert (one.result(), other.result()) == ("read before", "read after")
