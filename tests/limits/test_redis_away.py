"""Redis that dies, hangs, forgets or comes back: no errors, and hardly more than is allowed (A-250)."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from parlour.features.limits.counting.memory import Memory
from parlour.features.limits.counting.shared import Shared
from parlour.features.limits.plans import Plans
from parlour.features.limits.rates import Admission, Rates
from parlour.features.limits.sharing import share_of
from parlour.infra.observability.health import HealthState
from parlour.infra.storage.redis import CALL_SECONDS, RedisCheck, open_redis
from parlour.vocabulary.errors import TooMany
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal, Role
from tests.limits.conftest import PATIENT
from tests.services.redis import RedisServer

pytestmark = pytest.mark.anyio

LIMIT = 50


@asynccontextmanager
async def replica(
    server: RedisServer, *, share: Callable[[], float] = lambda: 1.0, patience: float = PATIENT
) -> AsyncIterator[Shared]:
    """The counters of one server."""
    client = open_redis(server.url, patience=patience)
    shared = Shared(client, Memory(60), share=share, patience=patience)
    yield shared
    await shared.close()
    await client.aclose()


def rates(shared: Shared) -> Rates:
    return Rates(shared, Plans(LIMIT, 1_000_000))


async def passed(person: Principal, *servers: Rates, asking: int) -> int:
    """Ask the servers in turn; return how often one said yes. Nothing but TooMany may be raised."""
    count = 0
    for number in range(asking):
        try:
            await servers[number % len(servers)].admit(person, session_id=None, tokens=1)
        except TooMany:
            continue
        count += 1
    return count


def somebody() -> Principal:
    return Principal(new_id(), Role.USER)


async def back(shared: Shared) -> None:
    """Wait until Redis is used again."""
    async with asyncio.timeout(20):
        while shared.away:  # noqa: ASYNC110 - there is nothing to be told by
            await asyncio.sleep(0.01)


async def test_servers_share_one_limit(redis_server: RedisServer) -> None:
    async with replica(redis_server) as one, replica(redis_server) as other:
        assert await passed(somebody(), rates(one), rates(other), asking=LIMIT * 2) == LIMIT


async def test_what_redis_forgot_is_remembered_here(redis_server: RedisServer) -> None:
    """Flushed, in the middle: the limit holds within 20 %"""
    async with replica(redis_server) as one, replica(redis_server) as other:
        person = somebody()
        assert await passed(person, rates(one), rates(other), asking=LIMIT - 10) == LIMIT - 10
        assert redis_server.command("FLUSHALL") == b"+OK\r\n"
        assert redis_server.command("SCRIPT FLUSH") == b"+OK\r\n"
        assert await passed(person, rates(one), rates(other), asking=LIMIT * 2) <= 10 + LIMIT * 0.2


async def test_without_redis_this_server_counts_on_and_says_so_once(redis_server: RedisServer) -> None:
    async with replica(redis_server) as shared:
        person, check = somebody(), RedisCheck(shared._client)
        assert await passed(person, rates(shared), asking=30) == 30
        assert (await check.check()).state is HealthState.HEALTHY
        redis_server.stop()
        with capture_logs() as logs:
            assert await passed(person, rates(shared), asking=LIMIT * 2) == LIMIT - 30
        assert [line["event"] for line in logs] == ["redis_away"]
        assert (await check.check()).state is HealthState.DEGRADED
        redis_server.start()
        await back(shared)
        assert await passed(person, rates(shared), asking=LIMIT) == 0
        assert await passed(somebody(), rates(shared), asking=LIMIT * 2) == LIMIT


async def test_servers_without_redis_hold_the_limit_together(redis_server: RedisServer) -> None:
    """Two servers, each with its part: no more than 20 % above"""

    def two() -> float:
        return share_of(2)

    async with replica(redis_server, share=two) as one, replica(redis_server, share=two) as other:
        redis_server.stop()
        assert LIMIT <= await passed(somebody(), rates(one), rates(other), asking=LIMIT * 4) <= LIMIT * 1.2


async def test_a_redis_that_hangs_holds_nobody_up(redis_server: RedisServer) -> None:
    async with replica(redis_server, patience=CALL_SECONDS) as shared:
        assert await passed(somebody(), rates(shared), asking=1) == 1
        with redis_server.frozen():
            begun = time.monotonic()
            assert await passed(somebody(), rates(shared), asking=LIMIT * 2) == LIMIT
            assert time.monotonic() - begun < 3.0  # a tenth of a second once, on a machine that is busy
        await back(shared)
        assert await passed(somebody(), rates(shared), asking=LIMIT * 2) == LIMIT


async def test_many_at_once_are_held_up_together(redis_server: RedisServer) -> None:
    async with replica(redis_server, patience=CALL_SECONDS) as shared:
        with redis_server.frozen():
            begun = time.monotonic()
            admitted = await asyncio.gather(
                *(rates(shared).admit(somebody(), session_id=None, tokens=1) for _ in range(100))
            )
            assert time.monotonic() - begun < 3.0
        assert all(isinstance(each, Admission) for each in admitted)


async def test_a_redis_that_was_never_there_is_no_error(redis_server: RedisServer) -> None:
    redis_server.stop()
    async with replica(redis_server) as shared:
        assert await passed(somebody(), rates(shared), asking=LIMIT * 2) == LIMIT
