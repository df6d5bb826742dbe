"""What type checkers see: mypy --strict passes this file, and each `ignore` in
it is an error that mypy must find (an unused one is an error itself)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, TypeVar

from unstale import AsyncCache, Cache, Entry, Explanation, Item, Lookup, Outcome

cache, aio = Cache(), AsyncCache()


@dataclass
class User:
    """A user."""

    name: str


@cache.cached(key="user:{user_id}", ttl="5m")
def user(user_id: int) -> User:
    """Its arguments and result stay what they are."""
    return User(str(user_id))


@aio.cached(key="user:{user_id}", negative_ttl=30)
async def found(user_id: int) -> User | None:
    """So do those of an async one."""
    return None


class Users:
    """A class with cached methods of every kind."""

    @cache.cached(key="{self}:{user_id}")
    def find(self, user_id: int) -> User:
        """A method loses its self."""
        return User(str(user_id))

    @classmethod
    @cache.cached(key="{cls.__name__}:{page}")
    def all(cls, page: int) -> list[User]:
        """A class method loses its class."""
        return []

    @aio.cached(key="{cls.__name__}:{page}")
    @classmethod
    async def all_async(cls, page: int) -> list[User]:
        """In either order, plain and async."""
        return []

    @staticmethod
    @cache.cached(key="{text}")
    def parse(text: str) -> User:
        """A static method loses nothing."""
        return User(text)

    @aio.cached(key="{text}")
    @staticmethod
    async def parse_async(text: str) -> User:
        """The same, the other way round."""
        return User(text)

    @property
    @cache.cached(key="{self}:count")
    def count(self) -> int:
        """A property is what its getter returns."""
        return 0


class Others(Users):
    """Methods that override cached ones are cached ones."""

    @cache.cached(key="others:{user_id}")
    def find(self, user_id: int) -> User:
        """With the parent's."""
        return super().find(user_id)


T = TypeVar("T")


@cache.cached(key="{kind.__name__}:{number}")
def made(kind: type[T], number: int) -> int:
    """A function, although its first argument is a class."""
    return number


@cache.cached(key="{anything}")
def loose(anything: Any, *more: Any) -> str:
    """What takes anything goes on taking it, by its name too."""
    return ""


def add(a: int, b: int) -> int:
    """Of which there is a partial."""
    return a + b


class Adder:
    """An object that is called."""

    def __call__(self, a: int, b: int) -> int:
        return a + b


def plain() -> None:
    """Sync."""
    name: str = user(7).name
    again: User = user.refresh(user_id=7)
    key: str = user.key_for(7)
    user.invalidate(7)
    user("7")  # type: ignore[arg-type]
    user.key_for()  # type: ignore[call-arg]
    wrong: int = user(7)  # type: ignore[assignment]
    of_method: User = Users().find(7)
    Users().find.invalidate(7)
    Users().find("7")  # type: ignore[arg-type]
    typed: User | None = cache.get("k", type=User)
    untyped: Any = cache.get("k")
    lookup: Lookup[Any] = cache.lookup("k")
    entry: Entry[Any] | None = lookup.entry
    outcome: Outcome = cache.set("k", 1, ttl="5m", ack="fleet")
    outcomes: dict[str, Outcome] = cache.set_many({"a": 1, "b": Item(2, ttl="1m", if_absent=True)})
    with cache.lease_many(["a", "b"]) as leases:
        term: float | None = leases["a"].term
    pods: list[str] = [peer.pod for peer in cache.peers()]
    told: Explanation = cache.explain("a")
    judged: str | None = told.l1.judgement if told.l1 is not None else None
    asked: list[tuple[str, str]] = [(change.pod, change.trace_id) for change in told.changes]
    print(outcomes, term, pods, judged, asked)
    cache.set("k", 1, ack="all")  # type: ignore[arg-type]
    print(name, again, key, wrong, of_method, typed, untyped, entry, outcome)


def kinds() -> None:
    """What else can be decorated."""
    users: list[User] = Users.all(1) + Users().all(1) + Others.all(page=1)
    users = Users.all.refresh(1)
    Users().all.invalidate(1)
    Users.all("1")  # type: ignore[arg-type]
    one: User = Users.parse("a")
    one = Users().parse("a")
    one = Users().parse.refresh(text="a")
    Users().parse(1)  # type: ignore[arg-type]
    one = Others().find(1)
    one = Users.find(Users(), 1)
    Users.find(1)  # type: ignore[call-arg, arg-type]
    key: str = Users().find.key_for(1)
    number: int = Users().count + made(int, 1) + made(kind=int, number=1)
    key = loose(1) + loose(anything=1) + loose(1, 2)
    number = cache.cached(key="{b}")(functools.partial(add, 1))(2)
    number = cache.cached(key="{a}")(Adder())(1, 2)
    cache.cached(key="{a}")(Adder())("1", 2)  # type: ignore[arg-type]
    cache.cached(key="k")(3)  # type: ignore[call-overload]
    print(users, one, key, number)


async def tasks() -> None:
    """Asyncio."""
    users: list[User] = await Users.all_async(1) + await Others().all_async(page=1)
    one: User = await Users.parse_async("a")
    one = await Users().parse_async("a")
    await Users().parse_async.invalidate("a")
    await Users().parse_async(1)  # type: ignore[arg-type]
    print(users, one)
    maybe: User | None = await found(7)
    await found.invalidate(7)
    found(7).name  # type: ignore[attr-defined]
    async with aio.lease("k") as lease:
        outcome: Outcome = await lease.fill(1)
    async with aio.lease_many(["a"]) as leases:
        await leases["a"].fill(1, valid_for="1h", jitter=5)
    async for event in aio.watch(tags="t"):
        print(event.keys, maybe, outcome)
