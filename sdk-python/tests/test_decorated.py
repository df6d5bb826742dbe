"""What `@cache.cached` decorates: class and static methods, overriding methods,
partials, objects; and what it refuses, with what to do instead."""

import functools
import inspect
from dataclasses import dataclass

import pytest


@dataclass
class User:
    name: str


def shop(cache, above):
    """A class whose class and static methods are cached; `above` puts @cached
    above @classmethod and @staticmethod, otherwise it is below."""

    def both(kind, key):
        cached = cache.cached(key=key, ttl=60)
        return (lambda f: cached(kind(f))) if above else (lambda f: kind(cached(f)))

    class Shop:
        tenant = "shop"
        calls = []

        @both(classmethod, "{cls.tenant}/all:{page}")
        def all(cls, page: int = 1) -> list[str]:
            cls.calls.append(page)
            return [cls.__name__]

        @both(staticmethod, "static:{n}")
        def static(n: int) -> int:
            Shop.calls.append(n)
            return n

    return Shop


@pytest.mark.parametrize("above", [False, True], ids=["below", "above"])
def test_class_methods_are_bound_to_the_class_they_are_called_on(cache, above):
    class Other(shop(cache, above)):
        tenant = "other"

    (Shop,) = Other.__bases__
    assert Shop.all() == Shop().all(1) == Shop.all(page=1) == ["Shop"]
    assert Other.all() == Other().all() == ["Other"]
    assert Shop.calls == [1, 1]
    assert list(inspect.signature(Shop.all).parameters) == ["page"]
    assert isinstance(inspect.getattr_static(Shop, "all"), classmethod)


@pytest.mark.parametrize("above", [False, True], ids=["below", "above"])
def test_what_a_cached_method_can_do_a_cached_static_method_can(cache, above):
    Shop = shop(cache, above)
    for of in (Shop, Shop()):
        assert (of.static(4), of.static(4), of.static.key_for(4)) == (4, 4, "static:4")
        of.static.invalidate(4)
        assert of.static.refresh(4) == 4
    assert Shop.calls == [4, 4, 4]
    assert isinstance(inspect.getattr_static(Shop, "static"), staticmethod)


def test_what_a_cached_method_can_do_a_cached_class_method_can(cache):
    Shop = shop(cache, above=True)
    for of in (Shop, Shop()):
        assert of.all(2) == ["Shop"] and of.all.key_for(2) == "shop/all:2"
        of.all.invalidate(2)
        assert of.all.refresh(2) == ["Shop"]
    assert Shop.calls == [2, 2, 2]


def test_below_classmethod_it_knows_its_class_or_says_what_to_do(cache):
    # Since Python 3.13 classmethod does not tell what it wraps of the class.
    Shop = shop(cache, above=False)
    if inspect.ismethod(Shop.all):
        for call in (Shop.all.key_for, Shop.all.tags_for, Shop.all.invalidate, Shop.all.refresh):
            with pytest.raises(TypeError, match="above @classmethod"):
                call(2)
        assert Shop.all.key_for(Shop, 2) == "shop/all:2"
    else:
        assert Shop.all.key_for(2) == "shop/all:2"
        Shop.all.invalidate(2)


async def test_async_class_and_static_methods(aio):
    class Shop:
        @aio.cached(key="{cls.__name__}:{n}")
        @classmethod
        async def one(cls, n: int) -> str:
            return cls.__name__

        @aio.cached(key="s:{n}")
        @staticmethod
        async def two(n: int) -> int:
            return n

    assert await Shop.one(1) == await Shop().one(1) == "Shop"
    await Shop.one.invalidate(1)
    assert await Shop.two(1) == await Shop().two(1) == 1


def test_an_overriding_method_has_its_own_entry_and_its_parents(cache):
    class Parent:
        @cache.cached(key="parent:{n}")
        def of(self, n: int) -> int:
            return n

        @property
        @cache.cached(key="of:{self.__class__.__name__}")
        def name(self) -> str:
            return type(self).__name__

    class Child(Parent):
        @cache.cached(key="child:{n}")
        def of(self, n: int) -> int:
            return super().of(n) + 100

    assert (Child().of(1), Child().of(1), Parent().of(1)) == (101, 101, 1)
    assert cache.get("child:1") == 101 and cache.get("parent:1") == 1
    assert (Parent().name, Child().name, Child().name) == ("Parent", "Child", "Child")


def add(a: int, b: int) -> User:
    return User(str(a + b))


class Adder:
    """An object that is called; its attributes are named as methods of ours."""

    def __init__(self):
        self.key_for = self.refresh = self._plan = None

    def __call__(self, a: int, b: int) -> User:
        return add(a, b)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (functools.partial(add, 1), (2,)),
        (functools.partial(functools.partial(add, 1)), (2,)),
        (functools.partial(add, a=1), ()),
        (Adder(), (1, 2)),
        (Adder().__call__, (1, 2)),
        (functools.partial(Adder(), 1), (2,)),
    ],
    ids=["partial", "partial of a partial", "by name", "object", "bound method", "partial of an object"],
)
def test_whatever_is_called_is_cached_as_what_it_returns(cache, function, args):
    kwargs = {} if args else {"b": 2}
    cached = cache.cached(key="sum:{b}")(function)
    assert cached(*args, **kwargs) == cached(*args, **kwargs) == User("3")
    assert cache.get("sum:2", type=User) == User("3")
    assert cached.key_for(*args, **kwargs) == "sum:2"
    assert cached.refresh(*args, **kwargs) == User("3")


def test_a_class_is_a_function_that_returns_its_objects(cache):
    assert cache.cached(key="user:{name}")(User)("Ada") == User("Ada")
    assert cache.get("user:Ada", type=User) == User("Ada")


async def test_async_partials_and_objects_are_awaited(aio):
    async def find(a: int, b: int) -> User:
        return add(a, b)

    class Finder:
        async def __call__(self, a: int, b: int) -> User:
            return add(a, b)

    partial = aio.cached(key="p:{b}")(functools.partial(find, 1))
    found = aio.cached(key="o:{b}")(Finder())
    again = aio.cached(key="again:{b}")(found)
    assert await partial(2) == await partial(2) == await found(1, 2) == await again(1, 2) == User("3")
    assert await aio.get("p:2", type=User) == await aio.get("again:2", type=User) == User("3")


def each(n: int):
    yield n


async def each_async(n: int):
    yield n


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (property(lambda self: 1), "below @property"),
        (functools.cached_property(lambda self: 1), "below @cached_property"),
        (classmethod(property(lambda cls: 1)), "a property"),
        ("text", "a function, not a str"),
        (each, "each.. yields; return a list"),
        (each_async, "each_async.. yields; return a list"),
        (dict, "dict has no signature; wrap it in a function"),
    ],
    ids=["property", "cached_property", "class property", "text", "generator", "async generator", "no signature"],
)
def test_what_cannot_be_cached_is_refused_with_what_to_do(cache, what, told):
    with pytest.raises(TypeError, match=told):
        cache.cached(key="k")(what)
