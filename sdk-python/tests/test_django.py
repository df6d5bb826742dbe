"""The backend under the real Django: its cache API, sessions, fragments."""

import uuid

import pytest

django = pytest.importorskip("django", reason="Django is one of the pinned tools: a failure in CI")


@pytest.fixture(scope="module")
def configured(unstale_sidecar):
    from django.conf import settings

    settings.configure(
        CACHES={
            "default": {
                "BACKEND": "unstale.django.UnstaleCache",
                "LOCATION": unstale_sidecar.endpoint,
                "TIMEOUT": 120,
                "OPTIONS": {"namespace": f"django-{uuid.uuid4().hex}", "strict": True},
            }
        },
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        SECRET_KEY="x",
    )
    django.setup()


@pytest.fixture
def cache(configured):
    from django.core.cache import cache

    cache.clear()
    return cache


def test_values_come_back_and_expire_as_django_says(cache):
    for value in [1, "text", b"\x00", None, {"a": [1, None]}, ""]:
        cache.set("k", value)
        assert cache.get("k", "default") == value
    assert cache.get("other", 5) == 5 and cache.has_key("k") and "other" not in cache
    assert 110 < cache.unstale.lookup(cache.make_key("k")).entry.ttl_left <= 120
    cache.set("k", 1, timeout=None)
    assert cache.unstale.lookup(cache.make_key("k")).entry.ttl_left > 29 * 86400
    cache.set("k", 1, timeout=0)
    assert cache.get("k") is None
    cache.set("a key with spaces and ünicode" * 5, 1)
    assert cache.get("a key with spaces and ünicode" * 5) == 1


def test_every_timeout_that_django_takes_is_taken(cache):
    for timeout in [1e-6, 0.0009, 0, -1, 100.2, "60", 365 * 86400]:
        cache.set("k", 1, timeout)
        cache.set_many({"a": 1}, timeout)
        cache.delete("n")
        assert cache.add("n", 1, timeout)
        cache.set("t", 1)
        assert cache.touch("t", timeout) and not cache.touch("none", timeout)
    assert cache.unstale.lookup(cache.make_key("k")).entry.ttl_left > 29 * 86400


def test_add_touch_delete_and_counters(cache):
    assert cache.add("k", 1) and not cache.add("k", 2) and cache.get("k") == 1
    assert cache.touch("k", 1000) and not cache.touch("other")
    assert cache.unstale.lookup(cache.make_key("k")).entry.ttl_left > 900
    assert (cache.incr("k"), cache.incr("k", 10), cache.decr("k", 2)) == (2, 12, 10)
    assert cache.unstale.lookup(cache.make_key("k")).entry.ttl_left > 900
    with pytest.raises(ValueError, match="not found"):
        cache.incr("other")
    assert cache.delete("k") and not cache.delete("k")
    assert cache.get_or_set("k", lambda: 7) == 7 == cache.get("k")


def test_many_keys_and_versions(cache):
    assert cache.set_many({"a": 1, "b": 2}) == []
    assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": 2}
    cache.delete_many(["a"])
    assert cache.get_many(["a", "b"]) == {"b": 2}
    cache.set("v", 1, version=2)
    assert cache.get("v") is None and cache.get("v", version=2) == 1
    cache.incr_version("v", version=2)
    assert cache.get("v", version=3) == 1
    cache.clear()
    assert cache.get_many(["b"]) == {}


def test_tags_remove_what_was_set_with_them(cache):
    cache.set("a", 1, tags=["t"])
    cache.set("b", 2)
    cache.invalidate(tags=["t"])
    assert cache.get_many(["a", "b"]) == {"b": 2}


async def test_the_async_api(cache):
    await cache.aset("k", {"a": 1})
    assert await cache.aget("k") == {"a": 1}
    await cache.aset("n", 1)
    assert await cache.aincr("n") == 2 and await cache.adecr("n", 2) == 0
    assert await cache.aadd("n", 1) is False and await cache.adelete("n")
    assert await cache.aget_many(["k", "n"]) == {"k": {"a": 1}}


def test_sessions_and_template_fragments(cache):
    from django.contrib.sessions.backends.cache import SessionStore
    from django.template import engines

    session = SessionStore()
    session["user"] = {"id": 7}
    session.save()
    assert SessionStore(session.session_key)["user"] == {"id": 7}
    session.delete()
    assert not SessionStore(session.session_key).get("user")
    template = engines["django"].from_string("{% load cache %}{% cache 60 part who %}<b>{{ word }}</b>{% endcache %}")
    assert template.render({"who": 1, "word": "first"}) == "<b>first</b>"
    assert template.render({"who": 1, "word": "second"}) == "<b>first</b>"


def test_what_would_need_pickle_is_refused(cache):
    from unstale import EncodeError

    with pytest.raises(EncodeError):
        cache.set("k", object())


def test_counters_count_every_increment_under_contention(cache):
    from concurrent.futures import ThreadPoolExecutor

    cache.set("n", 0)
    with ThreadPoolExecutor(16) as pool:
        values = list(pool.map(lambda _: cache.incr("n"), range(160)))
    assert sorted(values) == list(range(1, 161)) and cache.get("n") == 160
