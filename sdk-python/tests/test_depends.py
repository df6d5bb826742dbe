"""Values that depend on others, through every way to store one."""

import pytest

from unstale import NOT_FOUND, Item, Loaded


def test_a_value_falls_with_what_it_depends_on(cache):
    cache.set("user:7", "Ada", tags=["users"])
    assert cache.set("page:7", "page", depends_on=["user:7", "layout"])
    cache.invalidate(tags="users")
    assert cache.get("page:7") is None
    assert cache.set("page:7", "page", depends_on="layout")
    cache.invalidate("layout")
    assert cache.get("page:7") is None


def test_what_was_made_of_a_replaced_value_is_not_stored(cache):
    cache.set("user:7", "Ada")
    seen = cache.lookup("user:7")
    for on in [("user:7", seen), ("user:7", seen.entry), ("user:7", seen.entry.version)]:
        assert cache.set("page:7", "Ada's", depends_on=[on])
    cache.set("user:7", "Eve")
    refused = cache.set("page:7", "Ada's", depends_on=[("user:7", seen)])
    assert not refused and refused.reason == "DEPENDENCY_CHANGED"
    # Of what was not there, the name.
    assert cache.set("page:8", "nobody's", depends_on=[("user:8", cache.lookup("user:8"))])
    cache.set("user:8", "Bob")
    assert cache.get("page:8") is None


def test_a_loader_says_what_it_has_read(cache):
    loads = []

    def page():
        loads.append(1)
        user = cache.lookup("user:7")
        return Loaded(user.entry.value if user.entry else NOT_FOUND, depends_on=[("user:7", user)])

    assert cache.get_or_set("page:7", page) is None
    cache.set("user:7", "Ada")
    assert cache.get_or_set("page:7", page) == "Ada"
    assert cache.get_or_set("page:7", page) == "Ada" and len(loads) == 2
    cache.invalidate("user:7")
    assert cache.get_or_set("page:7", page, negative_ttl=60) is None and len(loads) == 3


def test_a_load_that_is_refused_gives_its_value(cache):
    made = Loaded("of what is gone", depends_on=[("user:7", "w1-5")])
    assert cache.get_or_set("page:7", lambda: made) == "of what is gone"
    assert cache.get("page:7") is None


def test_decorated_functions_and_batches_depend_on_others(cache):
    @cache.cached(key="page:{n}", depends_on=["user:{n}", "layout"])
    def page(n):
        return f"page {n}"

    assert page(7) == "page 7" and page(8) == "page 8"
    explained = cache.explain("page:7").l1
    assert sorted(explained.depends_on) == [("layout", 1), ("user:7", 1)]
    cache.invalidate("user:7")
    assert cache.get("page:7") is None and cache.get("page:8") == "page 8"
    cache.set_many({"a": 1, "b": Item(2, depends_on=["y"])}, depends_on=["x"])
    cache.invalidate("x")
    assert cache.get_many(["a", "b"]) == {"b": 2}
    with cache.lease("c") as lease:
        assert lease.fill(3, depends_on=["z"])
    assert cache.compare_and_set("d", 4, absent=True, depends_on=["z"])
    cache.invalidate("z")
    assert cache.get_many(["c", "d"]) == {}
    with pytest.raises(ValueError, match="at most 16 dependencies"):
        cache.cached(key="k", depends_on=["x"] * 17)(page)


def test_a_comparison_that_holds_says_that_a_dependency_changed(cache):
    cache.set("user:7", "Ada")
    seen = cache.lookup("user:7")
    page = cache.set("page:7", "page").version
    cache.invalidate("user:7")
    swap = cache.compare_and_set("page:7", "new", version=page, depends_on=[("user:7", seen)])
    assert (swap.stored, swap.reason, swap.min_source_version) == (False, "DEPENDENCY_CHANGED", None)
    # Whoever took this for a plain conflict would try for ever.
    assert swap.current.entry.version == page


def test_what_is_no_dependency_is_refused_at_once(cache):
    for wrong in [[7], [("a", 7)], [("a", "b", "c")]]:
        with pytest.raises(TypeError, match="depends_on"):
            cache.set("k", "v", depends_on=wrong)


async def test_the_asyncio_cache_is_the_same(aio):
    await aio.set("user:7", "Ada")
    seen = await aio.lookup("user:7")
    assert await aio.set("page:7", "page", depends_on=[("user:7", seen)])
    async with aio.lease("page:8") as lease:
        assert await lease.fill("page", depends_on=["user:7"])
    assert await aio.get_or_set("page:9", lambda: "page", depends_on="user:7") == "page"
    await aio.invalidate("user:7")
    swap = await aio.compare_and_set("page:6", "page", absent=True, depends_on=[("user:7", seen)])
    assert (swap.stored, swap.reason, swap.current.kind) == (False, "DEPENDENCY_CHANGED", "miss")
    assert await aio.get_many(["page:7", "page:8", "page:9"]) == {}
