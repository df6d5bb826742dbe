"""The cache through a stock grpcio client, over TCP and the Unix socket."""

from google.protobuf.duration_pb2 import Duration
from unstale.v1 import cache_service_pb2 as pb
from unstale.v1 import entry_pb2 as entry

DEADLINE = 10


def get(cache, key):
    return cache.Get(pb.GetRequest(key=key), timeout=DEADLINE)


def put(cache, key, text, **more):
    answer = cache.Set(pb.SetRequest(key=key, text=text, **more), timeout=DEADLINE)
    assert answer.WhichOneof("result") == "stored", answer
    return answer.stored.version


def test_an_unknown_key_is_missing(cache, key):
    answer = get(cache, key)
    assert answer.WhichOneof("result") == "missing"
    assert answer.position
    assert not answer.HasField("degraded")


def test_text_comes_back_as_text(cache, key):
    version = put(cache, key, "grüße", ttl=Duration(seconds=60), tags=["greeting"], content_type="text/plain")
    found = get(cache, key).found
    assert found.WhichOneof("value") == "text"
    assert (found.text, found.version, list(found.tags)) == ("grüße", version, ["greeting"])
    assert found.content_type == "text/plain"
    assert (found.tier, found.freshness) == (entry.TIER_L1, entry.FRESHNESS_FRESH)
    assert 0 < found.ttl_left.ToTimedelta().total_seconds() <= 60


def test_bytes_come_back_as_bytes(cache, key):
    data = bytes(range(256)) * 1024
    answer = cache.Set(pb.SetRequest(key=key, data=data), timeout=DEADLINE)
    assert answer.WhichOneof("result") == "stored"
    found = get(cache, key).found
    assert found.WhichOneof("value") == "data"
    assert found.data == data


def test_an_empty_value_is_a_value(cache, key):
    put(cache, key, "")
    found = get(cache, key).found
    assert found.WhichOneof("value") == "text"
    assert found.text == ""


def test_a_batch_answers_in_the_order_of_the_keys(cache, key):
    put(cache, key, "here")
    keys = [f"{key}/none", key, f"{key}/neither"]
    results = cache.BatchGet(pb.BatchGetRequest(keys=keys), timeout=DEADLINE).results
    assert [result.key for result in results] == keys
    assert [result.WhichOneof("result") for result in results] == ["missing", "found", "missing"]


def test_compare_and_set_needs_the_version_it_names(cache, key):
    def cas(text, **expected):
        return cache.CompareAndSet(pb.CompareAndSetRequest(key=key, text=text, **expected), timeout=DEADLINE)

    first = cas("one", absent=pb.Absent())
    assert first.WhichOneof("result") == "stored"
    refused = cas("other", absent=pb.Absent())
    assert refused.WhichOneof("result") == "conflict"
    assert refused.conflict.found.text == "one"
    second = cas("two", version=first.stored.version)
    assert second.WhichOneof("result") == "stored"
    assert cas("three", version=first.stored.version).conflict.found.version == second.stored.version
    assert get(cache, key).found.text == "two"


def test_one_caller_loads_and_the_others_are_told(cache, key):
    granted = cache.Lease(pb.LeaseRequest(key=key), timeout=DEADLINE)
    assert granted.WhichOneof("result") == "granted"
    token = granted.granted.lease_token
    assert cache.Lease(pb.LeaseRequest(key=key), timeout=DEADLINE).WhichOneof("result") == "busy"
    renewed = cache.Renew(pb.RenewRequest(lease_token=token), timeout=DEADLINE)
    assert renewed.WhichOneof("result") == "renewed"
    filled = cache.Fill(pb.FillRequest(lease_token=token, text="loaded"), timeout=DEADLINE)
    assert filled.WhichOneof("result") == "stored"
    hit = cache.Lease(pb.LeaseRequest(key=key), timeout=DEADLINE)
    assert hit.hit.text == "loaded"


def test_an_abandoned_lease_goes_to_the_next_caller(cache, key):
    first = cache.Lease(pb.LeaseRequest(key=key), timeout=DEADLINE).granted.lease_token
    cache.Abandon(pb.AbandonRequest(lease_token=first), timeout=DEADLINE)
    again = cache.Lease(pb.LeaseRequest(key=key), timeout=DEADLINE)
    assert again.WhichOneof("result") == "granted"
    assert again.granted.lease_token != first


def test_a_fill_after_an_invalidation_is_refused(cache, key):
    token = cache.Lease(pb.LeaseRequest(key=key), timeout=DEADLINE).granted.lease_token
    cache.Invalidate(pb.InvalidateRequest(keys=[key]), timeout=DEADLINE)
    filled = cache.Fill(pb.FillRequest(lease_token=token, text="old"), timeout=DEADLINE)
    assert filled.voided.reason == pb.VOIDED_REASON_INVALIDATED
    assert get(cache, key).WhichOneof("result") == "missing"


def test_invalidation_by_key_by_tag_and_of_a_namespace(cache, key):
    put(cache, key, "a")
    put(cache, f"{key}/tagged", "b", tags=[key])
    put(cache, f"{key}/other", "c")
    answer = cache.Invalidate(pb.InvalidateRequest(keys=[key], tags=[key]), timeout=DEADLINE)
    assert answer.position
    assert get(cache, key).WhichOneof("result") == "missing"
    assert get(cache, f"{key}/tagged").WhichOneof("result") == "missing"
    assert get(cache, f"{key}/other").found.text == "c"

    put(cache, key, "d", namespace="emptied")
    cache.Invalidate(pb.InvalidateRequest(namespace="emptied", all=pb.All()), timeout=DEADLINE)
    emptied = cache.Get(pb.GetRequest(namespace="emptied", key=key), timeout=DEADLINE)
    assert emptied.WhichOneof("result") == "missing"
    assert get(cache, f"{key}/other").found.text == "c"


def test_fleet_names_the_only_session(cache, key):
    request = pb.InvalidateRequest(keys=[key], ack=entry.ACK_FLEET)
    answer = cache.Invalidate(request, timeout=DEADLINE)
    assert len(answer.acked) == 1
    assert not answer.lapsed


def test_watch_starts_then_tells_of_invalidations(cache, key):
    stream = cache.Watch(pb.WatchRequest(namespace="watched"), timeout=DEADLINE)
    assert next(stream).WhichOneof("event") == "started"
    request = pb.InvalidateRequest(namespace="watched", keys=[key], reason="test")
    cache.Invalidate(request, timeout=DEADLINE)
    event = next(e for e in stream if e.WhichOneof("event") == "invalidation")
    assert list(event.invalidation.keys) == [key]
    assert event.invalidation.reason == "test"
    stream.cancel()
