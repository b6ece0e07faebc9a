"""Two servers on one PostgreSQL hold one limit, with Redis and without it (M-8, A-250)."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr

from parlour.features.limits.counting import shared
from parlour.infra.storage import redis
from parlour.settings.limits import LimitSettings
from parlour.vocabulary.principal import Role
from tests.fakes.provider import FakeProvider
from tests.harness.databases import MakeUrl
from tests.harness.serving import PATIENCE, Person, Served, serving, settings
from tests.harness.waiting import until
from tests.limits.conftest import PATIENT
from tests.services.redis import RedisServer

pytestmark = pytest.mark.anyio

LIMIT = 20


@pytest.fixture
async def pair(
    tmp_path: Path, make_url: MakeUrl, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Served, Served]]:
    """Two servers that share a database and a Redis, know of each other, and have patience."""
    monkeypatch.setattr(redis, "open_redis", partial(redis.open_redis, patience=PATIENT))
    monkeypatch.setattr(shared, "Shared", partial(shared.Shared, patience=PATIENT))
    url, limits = make_url("postgres"), LimitSettings(requests_per_minute=LIMIT)
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(FakeProvider())
        wanted = settings(tmp_path, url=url, provider=provider, limits=limits)
        wanted = wanted.model_copy(update={"redis_url": SecretStr(redis_server.url)})
        one = await stack.enter_async_context(serving(wanted))
        other = await stack.enter_async_context(serving(wanted))
        for server in (one, other, one):  # whoever appears first does not see the other yet
            await server.parlour._limit_parts.servers.appear()
        yield one, other


async def passed(pair: tuple[Served, Served], person: Person, asking: int) -> int:
    """Ask the servers in turn; return how many messages they took."""
    count = 0
    for number in range(asking):
        there = Person(pair[number % 2], person.id, person.token)
        answer = await there.request("POST", "/api/chat", body={"message": f"Number {number}?"})
        assert answer.status in (200, 429), answer.body
        count += answer.status == 200
    return count


async def somebody(served: Served) -> Person:
    entrance = await served.parlour.people.token_for_script(Role.USER, "a@example.org")
    return Person(served, entrance.principal.person_id, entrance.token.text)


async def health(served: Served) -> str:
    """How Redis is, as an operator sees it."""
    entrance = await served.parlour.people.token_for_script(Role.OPERATOR, "o@example.org")
    answer = await served.request(
        "GET", "/health", headers={"Authorization": f"Bearer {entrance.token.text}"}
    )
    assert answer.status == 200
    found: dict[str, str] = {part["name"]: part["status"] for part in answer.json["checks"]}
    return found["redis"]


async def test_two_servers_hold_one_limit_with_redis_and_without(
    pair: tuple[Served, Served], redis_server: RedisServer
) -> None:
    assert await passed(pair, await somebody(pair[0]), LIMIT * 2) == LIMIT
    assert await health(pair[0]) == "healthy"

    redis_server.stop()
    visitor = await pair[0].visitor()
    assert LIMIT <= await passed(pair, visitor, LIMIT * 3) <= LIMIT * 1.2

    async def is_degraded() -> bool:
        return await health(pair[0]) == "degraded"

    await until(is_degraded, PATIENCE, "the health says so")
