"""One client that is measured: `client.py KIND ENDPOINT`.

Reads a line "WHAT COUNT" at a time, makes so many calls, and answers with a line
of nanoseconds: one number per call, or of "tasks" one for all of them. Every
answer is looked at, so that nothing but hits is ever measured. It starts no
server and judges nothing: the harness in Rust does.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

KEY = "user/42"
VALUE = bytes([7]) * 1024
#: Concurrent tasks of one event loop.
TASKS = 64


def unstale(endpoint):
    """This project's client, and a function that it decorates."""
    from unstale import Cache

    cache = Cache(endpoint, strict=True)
    cache.set(KEY, VALUE)

    @cache.cached(key="user/{number}", ttl="1h", tags=["users", "user:{number}"])
    def user(number: int) -> bytes:
        raise AssertionError("the function runs: it was no hit")

    return {
        "get": each(lambda: cache.get(KEY)),
        "decorated": each(lambda: user(42)),
        "tasks": tasks(lambda: cache.aio.get, KEY),
    }


def grpcio(endpoint):
    """Stock grpcio with generated stubs, on the same sidecar."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
    import stubs

    import grpc

    # Clients are started at the same time.
    with tempfile.TemporaryDirectory() as folder:
        stubs.generate(Path(folder) / "stubs")
        from unstale.v1 import cache_service_pb2 as pb
        from unstale.v1 import cache_service_pb2_grpc as service

    channel = grpc.insecure_channel(
        endpoint.removeprefix("http://"),
        # Without it grpcio names the socket's path, which servers refuse.
        options=[("grpc.default_authority", "localhost")],
    )
    stub = service.CacheServiceStub(channel)
    stub.Set(pb.SetRequest(key=KEY, data=VALUE))
    return {"get": each(lambda: stub.Get(pb.GetRequest(key=KEY)).found.data)}


def redis(endpoint):
    """redis-py with hiredis."""
    import redis as client
    import redis.asyncio
    from redis.utils import HIREDIS_AVAILABLE

    assert HIREDIS_AVAILABLE, "redis-py found no hiredis"
    url = endpoint.replace("http:", "redis:")
    one = client.Redis.from_url(url)
    one.set(KEY, VALUE)
    return {
        "get": each(lambda: one.get(KEY)),
        "tasks": tasks(lambda: redis.asyncio.Redis.from_url(url).get, KEY),
    }


def each(call):
    """Times every call by itself."""

    def measure(count):
        times = []
        for _ in range(count):
            begin = time.perf_counter_ns()
            value = call()
            times.append(time.perf_counter_ns() - begin)
            assert value == VALUE, value
        return times

    return measure


def tasks(connect, key):
    """Times `count` calls of each of many tasks as one."""
    runner = asyncio.Runner()
    connected = []

    async def task(get, count):
        for _ in range(count):
            assert await get(key) == VALUE

    async def measured(count):
        if not connected:
            connected.append(connect())
        begin = time.perf_counter_ns()
        await asyncio.gather(*(task(connected[0], count) for _ in range(TASKS)))
        return [time.perf_counter_ns() - begin]

    return lambda count: runner.run(measured(count))


def main():
    """Answers lines until there are no more."""
    kind, endpoint = sys.argv[1:]
    measures = {"unstale": unstale, "grpcio": grpcio, "redis": redis}[kind](endpoint)
    for line in sys.stdin:
        what, count = line.split()
        print(*measures[what](int(count)), flush=True)


if __name__ == "__main__":
    main()
