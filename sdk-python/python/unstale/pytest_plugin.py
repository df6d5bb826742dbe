"""pytest fixtures: one sidecar for the whole run, an empty cache for each test.

`pip install 'unstale[pytest]'` is all that it takes.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from .aio import AsyncCache
from .cache import Cache
from .testing import Sidecar


@pytest.fixture(scope="session")
def unstale_sidecar() -> Iterator[Sidecar]:
    """A running sidecar, memory only."""
    with Sidecar() as sidecar:
        yield sidecar


@pytest.fixture
def unstale_namespace() -> str:
    """A namespace that no other test uses."""
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
def unstale_cache(unstale_sidecar: Sidecar, unstale_namespace: str) -> Cache:
    """An empty cache that raises what fails."""
    return Cache(unstale_sidecar.endpoint, namespace=unstale_namespace, strict=True)


@pytest.fixture
def unstale_async_cache(unstale_cache: Cache) -> AsyncCache:
    """The same cache for asyncio."""
    return unstale_cache.aio
