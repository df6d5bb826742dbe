"""What entries may be besides fresh: stale, negative, known already; and the
batches, source versions and read levels around them. A stock grpcio client."""

import pytest
from google.protobuf.duration_pb2 import Duration
from unstale.v1 import cache_service_pb2 as pb
from unstale.v1 import entry_pb2 as entry

DEADLINE = 10
STALE_OK = entry.READ_LEVEL_STALE_OK


def get(cache, key, **more):
    return cache.Get(pb.GetRequest(key=key, **more), timeout=DEADLINE)


def put(cache, key, text, **more):
    answer = cache.Set(pb.SetRequest(key=key, text=text, **more), timeout=DEADLINE)
    assert answer.WhichOneof("result") == "stored", answer
    return answer


def invalidate(cache, **what):
    return cache.Invalidate(pb.InvalidateRequest(**what), timeout=DEADLINE)


def kinds(answer):
    return [result.WhichOneof("result") for result in answer.results]


def test_that_the_origin_has_nothing_is_an_entry_of_its_own(cache, key):
    request = pb.SetRequest(key=key, not_found=entry.NotFound(), tags=[key])
    assert cache.Set(request, timeout=DEADLINE).WhichOneof("result") == "stored"
    answer = get(cache, key)
    assert answer.WhichOneof("result") == "negative"
    assert answer.negative.freshness == entry.FRESHNESS_FRESH
    assert list(answer.negative.tags) == [key]
    assert kinds(cache.BatchGet(pb.BatchGetRequest(keys=[key]), timeout=DEADLINE)) == ["negative"]
    assert cache.Lease(pb.LeaseRequest(key=key), timeout=DEADLINE).WhichOneof("result") == "negative"
    invalidate(cache, tags=[key])
    assert get(cache, key).WhichOneof("result") == "missing"


def test_a_loader_may_find_nothing(cache, key):
    token = cache.Lease(pb.LeaseRequest(key=key), timeout=DEADLINE).granted.lease_token
    filled = cache.Fill(pb.FillRequest(lease_token=token, not_found=entry.NotFound()), timeout=DEADLINE)
    assert filled.WhichOneof("result") == "stored"
    assert get(cache, key).WhichOneof("result") == "negative"


def test_what_the_caller_holds_is_not_sent_again(cache, key):
    put(cache, key, "one")
    etag = get(cache, key).found.etag
    same = get(cache, key, if_none_match=etag)
    assert same.WhichOneof("result") == "not_modified"
    assert same.not_modified.etag == etag
    put(cache, key, "two")
    assert get(cache, key, if_none_match=etag).found.text == "two"
    # Equal content has an equal etag, whoever wrote it.
    put(cache, key, "one")
    assert get(cache, key, if_none_match=etag).WhichOneof("result") == "not_modified"


def test_compare_and_set_by_etag(cache, key):
    put(cache, key, "one")
    etag = get(cache, key).found.etag
    swap = pb.CompareAndSetRequest(key=key, text="two", etag=etag)
    assert cache.CompareAndSet(swap, timeout=DEADLINE).WhichOneof("result") == "stored"
    refused = cache.CompareAndSet(swap, timeout=DEADLINE)
    assert refused.conflict.found.text == "two"


def test_a_soft_invalidation_leaves_a_stale_value_and_says_so(cache, key):
    put(cache, key, "old", stale_for=Duration(seconds=60))
    invalidate(cache, keys=[key], mode=entry.INVALIDATE_MODE_SOFT)
    assert get(cache, key).WhichOneof("result") == "missing"
    stale = get(cache, key, level=STALE_OK).found
    assert (stale.text, stale.freshness) == ("old", entry.FRESHNESS_STALE)
    assert stale.stale_reason == entry.STALE_REASON_SOFT_INVALIDATED
    granted = cache.Lease(pb.LeaseRequest(key=key), timeout=DEADLINE).granted
    assert granted.stale.text == "old"
    busy = cache.Lease(pb.LeaseRequest(key=key, wait=Duration(seconds=5)), timeout=DEADLINE)
    assert busy.busy.stale.text == "old"
    invalidate(cache, keys=[key])
    assert get(cache, key, level=STALE_OK).WhichOneof("result") == "missing"


def test_a_failed_load_lets_the_stale_value_serve_for_longer(cache, key):
    put(cache, key, "old", stale_for=Duration(seconds=60))
    invalidate(cache, keys=[key], mode=entry.INVALIDATE_MODE_SOFT)
    token = cache.Lease(pb.LeaseRequest(key=key), timeout=DEADLINE).granted.lease_token
    minute = Duration(seconds=60)
    abandon = pb.AbandonRequest(lease_token=token, serve_stale_for=minute, retry_after=minute)
    cache.Abandon(abandon, timeout=DEADLINE)
    again = cache.Lease(pb.LeaseRequest(key=key), timeout=DEADLINE)
    assert again.busy.stale.text == "old"


def test_of_a_batch_each_write_is_decided_by_itself(cache, key):
    put(cache, f"{key}/there", "first")
    items = [
        pb.BatchSetItem(key=f"{key}/new", text="a"),
        pb.BatchSetItem(key=f"{key}/there", text="b", if_absent=pb.IfAbsent()),
        pb.BatchSetItem(key=f"{key}/none", not_found=entry.NotFound()),
    ]
    answer = cache.BatchSet(pb.BatchSetRequest(items=items), timeout=DEADLINE)
    assert [result.key for result in answer.results] == [item.key for item in items]
    assert kinds(answer) == ["stored", "not_stored", "stored"]
    refused = answer.results[1].not_stored
    assert refused.reason == pb.NOT_STORED_REASON_PRESENT
    assert refused.current.text == "first"
    keys = [item.key for item in items]
    assert kinds(cache.BatchGet(pb.BatchGetRequest(keys=keys), timeout=DEADLINE)) == ["found", "found", "negative"]


def test_a_batch_of_leases_has_a_token_for_each_key(cache, key):
    put(cache, f"{key}/hit", "here")
    keys = [f"{key}/1", f"{key}/hit", f"{key}/2"]
    answer = cache.BatchLease(pb.BatchLeaseRequest(keys=keys), timeout=DEADLINE)
    assert kinds(answer) == ["granted", "hit", "granted"]
    first, second = (answer.results[i].granted.lease_token for i in (0, 2))
    assert first and second and first != second


@pytest.mark.parametrize("prefix", ["/page:", "/pa"], ids=["delimited", "exact"])
def test_a_prefix_covers_every_key_that_begins_with_it(cache, key, prefix):
    put(cache, f"{key}/page:1", "a", stale_for=Duration(seconds=60))
    put(cache, f"{key}/other", "b")
    invalidate(cache, prefixes=[key + prefix])
    assert get(cache, f"{key}/page:1", level=STALE_OK).WhichOneof("result") == "missing"
    assert get(cache, f"{key}/other").found.text == "b"
    put(cache, f"{key}/page:1", "c")
    assert get(cache, f"{key}/page:1").found.text == "c"


def test_the_higher_source_version_wins(cache, key):
    put(cache, key, "new", source_version=7)
    older = cache.Set(pb.SetRequest(key=key, text="old", source_version=6), timeout=DEADLINE)
    assert older.not_stored.reason == pb.NOT_STORED_REASON_OLDER_SOURCE_VERSION
    assert older.not_stored.min_source_version == 7
    assert get(cache, key).found.source_version == 7
    invalidate(cache, keys=[key], min_source_version=9)
    token = cache.Lease(pb.LeaseRequest(key=key), timeout=DEADLINE).granted.lease_token
    lagging = pb.FillRequest(lease_token=token, text="replica", source_version=8)
    voided = cache.Fill(lagging, timeout=DEADLINE).voided
    assert voided.reason == pb.VOIDED_REASON_OLDER_SOURCE_VERSION
    assert voided.min_source_version == 9


@pytest.mark.parametrize("read", [{"level": entry.READ_LEVEL_STRONG}, {"max_staleness": Duration(nanos=1000000)}])
def test_a_read_that_asks_the_log_first_still_finds_what_is_there(cache, key, read):
    put(cache, key, "now")
    found = get(cache, key, **read).found
    assert (found.text, found.freshness) == ("now", entry.FRESHNESS_FRESH)


def test_positions_carry_what_one_call_did_to_another(cache, key):
    before = get(cache, key).position
    gone = invalidate(cache, keys=[key]).position
    late = cache.Set(pb.SetRequest(key=key, text="old", position=before), timeout=DEADLINE)
    assert late.not_stored.reason == pb.NOT_STORED_REASON_COVERED
    stored = put(cache, key, "new", position=late.position)
    assert get(cache, key, min_position=stored.position).found.text == "new"
    assert get(cache, key, min_position=gone).found.text == "new"
    epoch, _, _ = gone.partition("-")
    future = pb.SetRequest(key=key, text="x", position=f"{epoch}-1000000")
    unknown = cache.Set(future, timeout=DEADLINE)
    assert unknown.not_stored.reason == pb.NOT_STORED_REASON_POSITION_UNKNOWN


def test_a_watch_leaves_out_only_what_covers_nothing_that_is_held(cache, key):
    held = pb.WatchRequest(namespace="filtered", keys=[key], prefixes=[f"{key}/"], tags=["held"])
    stream = cache.Watch(held, timeout=DEADLINE)
    assert next(stream).WhichOneof("event") == "started"
    invalidate(cache, namespace="filtered", keys=["another"], tags=["another"])
    invalidate(cache, namespace="filtered", prefixes=[f"{key}/page:"], mode=entry.INVALIDATE_MODE_SOFT)
    event = next(e for e in stream if e.WhichOneof("event") == "invalidation").invalidation
    assert list(event.prefixes) == [f"{key}/page:"]
    assert event.mode == entry.INVALIDATE_MODE_SOFT
    stream.cancel()
