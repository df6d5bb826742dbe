"""What every test shares: the generated stubs and one running sidecar.

The tests use nothing of this project but its proto files and its binary.
"""

import uuid

import pytest

import stubs
from sidecar import Sidecar

stubs.generate()


@pytest.fixture(scope="session")
def sidecar():
    """A sidecar that serves, with the local log and a fresh session."""
    running = Sidecar()
    try:
        running.wait_until_fresh()
        yield running
    finally:
        code = running.stop()
    assert code == 0, f"the sidecar ended with {code} on SIGTERM"


@pytest.fixture(params=["tcp", "uds"])
def channel(sidecar, request):
    """A channel over each listener in turn."""
    with sidecar.channel(request.param) as opened:
        yield opened


@pytest.fixture
def cache(channel):
    """A stub of the cache."""
    from unstale.v1 import cache_service_pb2_grpc

    return cache_service_pb2_grpc.CacheServiceStub(channel)


@pytest.fixture
def key():
    """A key that no other test uses."""
    return f"user/{uuid.uuid4()}"
