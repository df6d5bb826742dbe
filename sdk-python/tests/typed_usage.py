"""What type checkers see: mypy --strict passes this file, and each `ignore` in
it is an error that mypy must find (an unused one is an error itself)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unstale import AsyncCache, Cache, Entry, Item, Lookup, Outcome

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
    """A class with a cached method."""

    @cache.cached(key="{self}:{user_id}")
    def find(self, user_id: int) -> User:
        """A method loses its self."""
        return User(str(user_id))


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
    print(outcomes, term, pods)
    cache.set("k", 1, ack="all")  # type: ignore[arg-type]
    print(name, again, key, wrong, of_method, typed, untyped, entry, outcome)


async def tasks() -> None:
    """Asyncio."""
    maybe: User | None = await found(7)
    await found.invalidate(7)
    found(7).name  # type: ignore[attr-defined]
    async with aio.lease("k") as lease:
        outcome: Outcome = await lease.fill(1)
    async with aio.lease_many(["a"]) as leases:
        await leases["a"].fill(1, valid_for="1h", jitter=5)
    async for event in aio.watch(tags="t"):
        print(event.keys, maybe, outcome)
