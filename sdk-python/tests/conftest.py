"""What every test shares: the package's own fixtures, with the binary at hand."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
os.environ.setdefault("UNSTALE_BIN", str(ROOT / "target" / "debug" / "unstale"))
pytest_plugins = ["pytester"]


@pytest.fixture
def cache(unstale_cache):
    """An empty cache that raises what fails."""
    return unstale_cache


@pytest.fixture
def aio(unstale_async_cache):
    """The same for asyncio."""
    return unstale_async_cache
