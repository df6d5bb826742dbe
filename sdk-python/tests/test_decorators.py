"""`@cache.cached`, its keys and its types."""

import dataclasses
import inspect
import uuid
from datetime import datetime, timezone
from typing import Optional

import pytest

from unstale import TemplateError
from unstale.templates import Arguments, Template


@dataclasses.dataclass
class User:
    id: int
    name: str
    seen: datetime
    friends: list["User"] = dataclasses.field(default_factory=list)


ADA = User(1, "Ada", datetime(2026, 1, 2, tzinfo=timezone.utc))


def test_a_function_runs_once_for_each_key(cache):
    calls = []

    @cache.cached(ttl="5m", key="user:{user_id}", tags=["users", "user:{user_id}"], stale_for=60)
    def user(user_id: int, verbose: bool = False) -> User:
        """Its words."""
        calls.append(user_id)
        return dataclasses.replace(ADA, id=user_id, friends=[ADA])

    assert user(7) == user(user_id=7) == user(7, verbose=True) == dataclasses.replace(ADA, id=7, friends=[ADA])
    assert user(8).id == 8
    assert calls == [7, 8]
    assert user.key_for(7) == "user:7" and user.tags_for(7) == ("users", "user:7")
    entry = cache.lookup("user:7", type=User).entry
    assert set(entry.tags) == {"users", "user:7"} and entry.stale_left > entry.ttl_left
    user.invalidate(7)
    user(7), user(8)
    assert calls == [7, 8, 7]
    assert user.refresh(8).id == 8
    assert calls == [7, 8, 7, 8]
    cache.invalidate(tags="users")
    user(7), user(8)
    assert len(calls) == 6
    assert user.__doc__ == "Its words." and list(inspect.signature(user).parameters) == ["user_id", "verbose"]


async def test_an_async_function_runs_once_for_each_key(aio):
    calls = []

    @aio.cached(ttl="5m", key="user:{user_id}")
    async def user(user_id: int) -> User:
        calls.append(user_id)
        return ADA

    assert await user(7) == await user(7) == ADA
    await user.invalidate(7)
    assert await user(user_id=7) == ADA
    assert await user.refresh(7) == ADA
    assert calls == [7, 7, 7]
    # The sync cache takes async functions as well, and the other way round.
    assert await aio.sync.cached(key="user:{user_id}")(user.__wrapped__)(7) == ADA
    assert aio.cached(key="plain")(lambda: 1)() == 1


def test_methods_are_cached_by_what_their_key_names(cache):
    class Repository:
        def __init__(self, tenant):
            self.tenant = tenant
            self.calls = 0

        @cache.cached(key="{self.tenant}/user:{user_id}", ttl=60)
        def user(self, user_id: int) -> dict[str, str]:
            self.calls += 1
            return {"tenant": self.tenant}

        @classmethod
        @cache.cached(key="all", ttl=60)
        def all(cls) -> list[str]:
            return [cls.__name__]

        @staticmethod
        @cache.cached(key="static:{n}")
        def static(n: int) -> int:
            return n

    one, two = Repository("a"), Repository("b")
    assert (one.user(1), one.user(1), two.user(1)) == ({"tenant": "a"}, {"tenant": "a"}, {"tenant": "b"})
    assert (one.calls, two.calls) == (1, 1)
    assert one.user.key_for(1) == "a/user:1"
    one.user.invalidate(1)
    one.user(1), two.user(1)
    assert (one.calls, two.calls) == (2, 1)
    assert Repository.all() == one.all() == ["Repository"]
    assert Repository.static(4) == one.static(4) == 4


def test_a_none_is_negative_only_with_a_negative_ttl(cache):
    @cache.cached(key="plain")
    def plain() -> Optional[User]:
        return None

    @cache.cached(key="negative", negative_ttl="30s")
    def negative() -> Optional[User]:
        return None

    assert plain() is plain() is negative() is negative() is None
    assert (cache.lookup("plain").kind, cache.lookup("negative").kind) == ("hit", "negative")


def test_a_template_that_does_not_fit_is_refused_when_it_is_decorated(cache):
    def user(user_id: int) -> str:
        return ""

    for key, why in [
        ("user:{id}", r"names 'id', which .*user\(\) does not take; it takes: user_id"),
        ("user:{}", "by their names"),
        ("user:{0}", "by their names"),
        ("user:{user_id", "no template"),
        ("{user_id}{user_id}", "between its fields"),
    ]:
        with pytest.raises(TemplateError, match=why):
            cache.cached(key=key)(user)
    with pytest.raises(TemplateError, match="'user'"):
        cache.cached(key="user:{user_id}", tags=["{user}"])(user)
    with pytest.raises(TypeError, match="Sized cannot be built"):

        class Sized:
            pass

        @cache.cached(key="k")
        def sized() -> Sized:
            return Sized()

    with pytest.raises(ValueError, match="no duration"):
        cache.cached(key="k", ttl="soon")


def test_a_call_without_what_the_key_needs_is_refused(cache):
    @cache.cached(key="user:{user_id}")
    def user(user_id: int) -> str:
        return "x"

    @cache.cached(key="any:{name}")
    def anything(**names: str) -> str:
        return names["name"]

    @cache.cached(key="of:{user.id}")
    def of(user: object) -> str:
        return "x"

    user(1)
    with pytest.raises(TypeError, match="missing a required argument"):
        user()
    with pytest.raises(TypeError, match="unexpected keyword"):
        user(1, other=2)
    assert anything(name="v") == "v"
    with pytest.raises(TemplateError, match="this call has no 'name'"):
        anything(other="v")
    with pytest.raises(TemplateError, match="this call has no 'user.id'"):
        of(3)


def test_different_arguments_never_share_a_key(cache):
    @cache.cached(key="{a}:{b}")
    def two(a: object, b: object) -> str:
        return ""

    @cache.cached(key="page:{url}")
    def one(url: str) -> str:
        return ""

    assert two.key_for("1:2", "3") == "1%3A2:3" != two.key_for("1", "2:3")
    assert two.key_for("1%3A2", "3") == "1%253A2:3"
    assert one.key_for("http://a:1/") == "page:http://a:1/"
    three = cache.cached(key="{a}/user:{b}-x-{c}")(lambda a, b, c: "")
    assert three.key_for("s/u", "us:er", "a-b") == "s%2Fu/user:us:er-x-a%2Db"
    assert three.key_for("a", "b-x-c", "d") != three.key_for("a", "b", "c-x-d")
    long = one.key_for("x" * 600), one.key_for("x" * 601)
    assert long[0] != long[1] and all(len(key.encode()) <= 512 for key in long)
    assert one.key_for("é" * 400) == one.key_for("é" * 400) != one.key_for("é" * 401)
    assert len(one.key_for("é" * 400).encode()) <= 512
    number = uuid.UUID(int=1)
    assert two.key_for(number, None) == f"{number}:%None"
    for vague in (object(), [1], {"a": 1}):
        with pytest.raises(TemplateError, match="no text of its own"):
            two.key_for(vague, 1)


def test_a_tag_that_cannot_be_made_keeps_no_lease(cache):
    @cache.cached(key="k:{n}", tags=["of:{n.name}"])
    def named(n: object) -> str:
        return "x"

    for _ in range(2):
        with pytest.raises(TemplateError, match="no 'n.name'"):
            named(1)
    assert cache.get_or_set("k:1", lambda: "v", wait=5) == "v"


def test_names_may_be_functions_of_the_arguments(cache):
    @cache.cached(key=lambda ids: "ids:" + ",".join(map(str, ids)), tags=lambda ids: [f"id:{n}" for n in ids])
    def many(ids: list[int]) -> list[int]:
        return ids

    assert many([1, 2]) == [1, 2]
    assert set(cache.lookup("ids:1,2").entry.tags) == {"id:1", "id:2"}


def key_of(template, *names):
    arguments = Arguments(eval(f"lambda {', '.join(names)}: None"))
    return lambda *values: Template(template, arguments).render(dict(zip(names, values)))


PIECES = ["", "%", "25", "2", "x", "-", "{", "%25", "~", "None", None]


@pytest.mark.parametrize(
    "template",
    ["{a}%{b}", "{a}2{b}", "{a}:{b}", "{a}x-{b}", "{a}%~{b}", "{a}{{{b}", "{a}-}}x{b}", "<{a}%2%{b}>", "{a}é{b}", "{{{a}}}-{b}"],
)
def test_a_template_is_injective(template):
    key = key_of(template, "a", "b")
    values = [one if two is None or one is None else one + two for one in PIECES for two in PIECES]
    values = list(dict.fromkeys(values))
    keys = {key(a, b) for a in values for b in values}
    assert len(keys) == len(values) ** 2


def test_none_is_no_word(cache):
    one = cache.cached(key="user:{name}")(lambda name: "")
    assert one.key_for(None) == "user:%None" and one.key_for("None") == "user:None"
    assert one.key_for("%None") == "user:%25None"


def test_the_hash_of_a_long_key_cannot_be_forged(cache):
    one = cache.cached(key="page:{url}")(lambda url: "")
    for long in ["x" * 600, "é" * 400, "x" * 446 + "é" * 90]:
        key = one.key_for(long)
        forged = one.key_for(key.removeprefix("page:"))
        assert forged != key and len(forged.encode()) <= 512


def test_braces_are_text_and_a_format_holds_no_field(cache):
    assert key_of("{{{a}}}:{{b}}", "a")(1) == "{1}:{b}"
    with pytest.raises(TemplateError, match="format"):
        cache.cached(key="{a:{b}}")(lambda a, b: "")


def test_a_bound_method_takes_no_self(cache):
    class Users:
        @cache.cached(key="u:{n}")
        def find(self, n: int) -> int:
            return n

        @classmethod
        @cache.cached(key="c:{n}")
        def made(cls, n: int) -> int:
            return n

    assert list(inspect.signature(Users().find).parameters) == ["n"]
    assert list(inspect.signature(Users.find).parameters) == ["self", "n"]
    assert list(inspect.signature(Users.made).parameters) == ["n"]
