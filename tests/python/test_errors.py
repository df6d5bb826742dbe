"""Mistakes get the code, the ErrorInfo and the violations that api.md names."""

import grpc
import pytest
import rpc_details_pb2 as details
from unstale.v1 import cache_service_pb2 as pb

DEADLINE = 10


def failure(call, request):
    """The code, ErrorInfo and violated fields of a call that must fail."""
    with pytest.raises(grpc.RpcError) as raised:
        call(request, timeout=DEADLINE)
    trailers = dict(raised.value.trailing_metadata())
    status = details.Status.FromString(trailers["grpc-status-details-bin"])
    packed = {any.type_url.rsplit("/")[-1]: any.value for any in status.details}
    info = details.ErrorInfo.FromString(packed["google.rpc.ErrorInfo"])
    bad = details.BadRequest.FromString(packed.get("google.rpc.BadRequest", b""))
    assert info.domain == "unstale.dev"
    return raised.value.code(), info, [each.field for each in bad.field_violations]


def raw(channel, method):
    """A method of any name, whose request is bytes."""
    return channel.unary_unary(f"/unstale.v1.{method}")


@pytest.mark.parametrize("method", ["CacheService/Nope", "Nope/Get"])
def test_a_method_that_does_not_exist_is_named(channel, method):
    code, info, _ = failure(raw(channel, method), b"")
    assert (code, info.reason) == (grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED")


def test_a_compressed_request_has_a_reason(channel, key):
    def call(request, timeout):
        packed = request.SerializeToString()
        gzip = grpc.Compression.Gzip
        return raw(channel, "CacheService/Get")(packed, timeout=timeout, compression=gzip)

    code, info, _ = failure(call, pb.GetRequest(key=key * 100))
    assert (code, info.reason) == (grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED")


def test_text_that_is_not_utf8_names_its_field(channel):
    code, info, fields = failure(raw(channel, "CacheService/Get"), b"\x12\x02\xff\xfe")
    assert (code, info.reason, fields) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", ["key"])


def test_bytes_that_are_no_message_have_a_reason(channel):
    code, info, fields = failure(raw(channel, "CacheService/Get"), b"\xff\xff\xff")
    assert (code, info.reason, fields) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", [])


def test_a_request_too_long_to_be_read_is_not_called_a_long_value(cache):
    code, info, fields = failure(cache.Get, pb.GetRequest(key="x" * 6_000_000))
    assert (code, info.reason, fields) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", ["request"])
    code, info, fields = failure(cache.Set, pb.SetRequest(key="k", data=bytes(6_000_000)))
    assert (code, info.reason, fields) == (grpc.StatusCode.INVALID_ARGUMENT, "VALUE_TOO_LARGE", ["value"])
    items = [pb.BatchSetItem(key=str(i), data=bytes(1_000_000)) for i in range(6)]
    code, info, fields = failure(cache.BatchSet, pb.BatchSetRequest(items=items))
    assert (code, info.reason, fields) == (grpc.StatusCode.INVALID_ARGUMENT, "BATCH_TOO_LARGE", ["items"])
    assert info.metadata["limit_bytes"] == str(4 * 1024 * 1024)


def test_every_violation_is_named_at_once(cache):
    request = pb.SetRequest(namespace="Not Good", key="", text="x", tags=["t"] * 17)
    code, info, fields = failure(cache.Set, request)
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert set(fields) >= {"namespace", "key", "tags"}


@pytest.mark.parametrize("key", ["", "k" * 513])
def test_keys_have_one_to_512_bytes(cache, key):
    code, info, fields = failure(cache.Get, pb.GetRequest(key=key))
    assert (code, info.reason, fields) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", ["key"])


def test_a_value_over_the_limit_names_the_limit(cache, key):
    request = pb.SetRequest(key=key, data=bytes(1024 * 1024))
    code, info, _ = failure(cache.Set, request)
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "VALUE_TOO_LARGE")
    limit = int(info.metadata["limit_bytes"])
    largest = pb.SetRequest(key=key, data=bytes(limit))
    assert cache.Set(largest, timeout=DEADLINE).WhichOneof("result") == "stored"


def test_an_invalidation_of_nothing_is_a_mistake(cache):
    code, info, _ = failure(cache.Invalidate, pb.InvalidateRequest())
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


def test_an_unknown_lease_token_is_a_failed_precondition(cache):
    request = pb.FillRequest(lease_token="nobody's", text="x")
    code, info, _ = failure(cache.Fill, request)
    assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "UNKNOWN_LEASE")
