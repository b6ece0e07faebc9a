"""Fixtures that every test may use."""

import pytest

pytest_plugins = ["tests.services.postgres", "tests.services.redis", "tests.harness.databases"]


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, as the server does."""
    return "asyncio"
