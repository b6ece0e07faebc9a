"""What the tests of limits share: counters of both kinds, and clocks that are set by hand."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from parlour.features.limits.counting.memory import Memory
from parlour.features.limits.counting.shared import Shared
from parlour.features.limits.counting.tally import Counting
from parlour.infra.storage.database import Database
from parlour.infra.storage.opening import open_database
from parlour.infra.storage.redis import open_redis
from tests.services.redis import RedisServer

PATIENT = 10.0  # seconds for a Redis that is meant to answer, on a machine that is busy


class Clock:
    """A clock that goes only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Counted:
    """Counters, and how to let time pass for them."""

    counting: Counting
    wait: Callable[[float], Awaitable[None]]


@pytest.fixture(params=["memory", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    """Where is counted."""
    found: str = request.param
    return found


@asynccontextmanager
async def counting(kind: str, window: int, request: pytest.FixtureRequest) -> AsyncIterator[Counted]:
    """Lend empty counters. Redis goes by its own clock: there time really passes."""
    if kind == "memory":
        clock = Clock()

        async def go(seconds: float) -> None:
            clock.now += seconds

        yield Counted(Memory(window, clock=clock), go)
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    client = open_redis(server.url, patience=PATIENT)
    shared = Shared(client, Memory(window), patience=PATIENT)
    yield Counted(shared, asyncio.sleep)
    await shared.close()
    await client.aclose()


@pytest.fixture
async def counted(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[Counted]:
    """Counters with a window of a minute."""
    async with counting(kind, 60, request) as counters:
        yield counters


@pytest.fixture
async def brief(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[Counted]:
    """Counters with a window of two seconds, for tests that wait."""
    async with counting(kind, 2, request) as counters:
        yield counters


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open, migrated database of each kind."""
    opened = open_database(database_url)
    yield opened
    await opened.close()
