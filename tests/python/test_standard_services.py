"""Health, and grpcurl with nothing but reflection."""

import json
import subprocess

import health_pb2
import health_pb2_grpc
import pytest
from sidecar import ROOT

CACHE, ADMIN = "unstale.v1.CacheService", "unstale.v1.AdminService"


@pytest.mark.parametrize("service", ["", CACHE, ADMIN])
def test_health_says_serving(channel, service):
    request = health_pb2.HealthCheckRequest(service=service)
    answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.fixture(params=["tcp", "uds"])
def grpcurl(sidecar, request):
    """Runs grpcurl against one listener; it has no proto file."""
    tool = ROOT / "target" / "tools" / "bin" / "grpcurl"
    if not tool.is_file():
        pytest.fail(f"{tool} is missing; run tests/tools/install")
    target = f"unix:{sidecar.uds}" if request.param == "uds" else sidecar.tcp

    def run(*words, data=None, fails=False):
        options = [] if data is None else ["-d", json.dumps(data)]
        command = [tool, "-plaintext", "-max-time", "10", *options, target, *words]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert (ran.returncode != 0) == fails, ran.stderr
        return ran.stderr if fails else ran.stdout

    return run


def test_grpcurl_lists_and_describes(grpcurl):
    services = grpcurl("list").split()
    assert {CACHE, "unstale.v1.AdminService", "grpc.health.v1.Health"} <= set(services)
    assert "rpc CompareAndSet" in grpcurl("describe", CACHE)


def test_grpcurl_sets_text_and_gets_it_back(grpcurl, key):
    stored = grpcurl(f"{CACHE}/Set", data={"key": key, "text": "hello", "ttl": "60s"})
    assert "version" in json.loads(stored)["stored"]
    got = json.loads(grpcurl(f"{CACHE}/Get", data={"key": key}))
    assert got["found"]["text"] == "hello"
    assert got["found"]["tier"] == "TIER_L1"
    missing = json.loads(grpcurl(f"{CACHE}/Get", data={"key": f"{key}/none"}))
    assert "missing" in missing


def test_grpcurl_shows_the_details_of_an_error(grpcurl):
    said = grpcurl(f"{CACHE}/Get", data={"key": ""}, fails=True)
    assert "INVALID_REQUEST" in said and "fieldViolations" in said, said
    assert "@value" not in said, said
