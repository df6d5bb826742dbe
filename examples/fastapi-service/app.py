"""A FastAPI service whose users are cached: reads ask the cache, writes go to
PostgreSQL and are then invalidated in the whole fleet.

It shares its entries with the axum service beside it: the same namespace, keys
and JSON. Without a sidecar it still reads and writes.
"""

import asyncio
import itertools
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel

import unstale
from unstale import AsyncCache, Loaded

log = logging.getLogger("uvicorn.error")
reads = itertools.count(1)

# The sidecar of this pod, at UNSTALE_ENDPOINT.
users = AsyncCache(namespace="shop")
pages = AsyncCache(namespace="pages")
database = AsyncConnectionPool(os.environ["DATABASE_URL"], open=False)


class NewUser(BaseModel):
    name: str


class User(BaseModel):
    """A row, and what is cached of it."""

    id: int
    name: str
    version: int


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with database:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/users/{user_id}")
async def read(user_id: int) -> User:
    async def load() -> Loaded[User] | None:
        row = await row_of(user_id)
        # The higher version wins, whoever stores it.
        return row and Loaded(row, source_version=row.version)

    # The first of the fleet to ask reads the row. The ttl bounds what changes
    # behind the services' back; None from the loader: there is no such user.
    key = f"user:{user_id}"
    user = await users.get_or_set(key, load, ttl="5m", negative_ttl="30s", type=User)
    if user is None:
        raise HTTPException(404)
    return user


@app.put("/users/{user_id}")
async def write(user_id: int, new: NewUser) -> User:
    user = await save(user_id, new.name)
    # Committed: from here on the old row must not be read as fresh. Returns when
    # every live pod obeys, those of the axum service too.
    try:
        await asyncio.gather(
            users.invalidate(f"user:{user_id}", ack="fleet", min_source_version=user.version),
            pages.invalidate(tags="users", ack="fleet"),  # the axum service's list
        )
    except unstale.Error as error:
        log.error("user %d is saved, but may be seen as it was until its ttl: %s", user_id, error)
        # PUT may be repeated, and that invalidates again.
        raise HTTPException(503, "saved, but perhaps not seen everywhere; repeat it") from error
    return user


async def row_of(user_id: int) -> User | None:
    log.info("asked PostgreSQL for user %d (read %d of this service)", user_id, next(reads))
    async with database.connection() as connection:
        cursor = connection.cursor(row_factory=class_row(User))
        await cursor.execute("SELECT id, name, version FROM users WHERE id = %s", (user_id,))
        return await cursor.fetchone()


async def save(user_id: int, name: str) -> User:
    # The connection's block commits when it ends.
    async with database.connection() as connection:
        cursor = connection.cursor(row_factory=class_row(User))
        await cursor.execute(
            "INSERT INTO users (id, name) VALUES (%s, %s) ON CONFLICT (id) "
            "DO UPDATE SET name = excluded.name, version = users.version + 1 "
            "RETURNING id, name, version",
            (user_id, name),
        )
        user = await cursor.fetchone()
    assert user is not None, "RETURNING gives the row"
    return user
