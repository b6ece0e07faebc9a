"""What servers on one database tell each other: that they are there, and which models fail (M-5)."""

import asyncio

import pytest
from sqlalchemy import Column, Connection, Table, update

from parlour.features.limits.sharing import BreakerWords, Servers, share_of
from parlour.features.limits.tables import breakers, servers
from parlour.infra.storage.database import WORKER, Database
from parlour.llm.orchestra.breaker import State, Transition
from parlour.llm.orchestra.breakers import Breakers
from parlour.vocabulary.errors import Overloaded
from tests.limits.conftest import Clock

pytestmark = pytest.mark.anyio

OPEN = Transition("openai", "gpt", State.OPEN, 10.0, 2)


async def let_pass(database: Database, seconds: float) -> None:
    """Turn every moment in the database back, as if time had passed."""

    earlier = round(seconds * 1000)
    changes: list[tuple[Table, list[Column[int]]]] = [
        (servers, [servers.c.seen_at]),
        (breakers, [breakers.c.until, breakers.c.claimed_until, breakers.c.changed_at]),
    ]

    def work(connection: Connection) -> None:
        for table, columns in changes:
            connection.execute(update(table).values({column.name: column - earlier for column in columns}))

    await database.write(WORKER, work)


async def test_servers_count_each_other(database: Database) -> None:
    one, two, three = (Servers(database, name) for name in ("one", "two", "three"))
    for server in (one, two, three, one):
        await server.appear()
    assert (one.count, two.count, three.count) == (3, 2, 3)
    assert one.share == pytest.approx(0.4)
    await two.leave()
    await one.appear()
    assert one.count == 2


async def test_a_server_that_is_not_heard_of_is_gone(database: Database) -> None:
    one, two = Servers(database, "one"), Servers(database, "two")
    await two.appear()
    await let_pass(database, 15)
    await one.appear()
    assert one.count == 2
    await let_pass(database, 15)
    await one.appear()
    assert (one.count, one.share) == (1, 1.0)


def test_all_servers_together_allow_at_most_a_fifth_more() -> None:
    assert share_of(1) == 1.0
    assert all(share_of(count) * count <= 1.2 + 1e-9 for count in range(1, 50))


async def test_a_word_on_a_model_reaches_the_others_with_the_time_that_is_left(database: Database) -> None:
    here, there = BreakerWords(database), BreakerWords(database)
    assert await there.fetch() == []
    await here.publish(OPEN)
    await let_pass(database, 4)
    (heard,) = await there.fetch()
    assert (heard.provider, heard.model, heard.state, heard.openings) == ("openai", "gpt", State.OPEN, 2)
    assert heard.seconds == pytest.approx(6, abs=1)
    await there.publish(Transition("openai", "gpt", State.CLOSED, 0.0, 0))
    (heard,) = await here.fetch()
    assert (heard.state, heard.seconds) == (State.CLOSED, 0.0)


async def test_a_word_that_nobody_repeats_is_forgotten(database: Database) -> None:
    words = BreakerWords(database)
    await words.publish(OPEN)
    await let_pass(database, 3601)
    assert await words.fetch() == []


async def test_one_of_many_may_try(database: Database) -> None:
    """P-16: one probe, over all servers"""
    words = BreakerWords(database)
    await words.publish(OPEN)
    tries = await asyncio.gather(*(words.claim("openai", "gpt", 90) for _ in range(20)))
    assert tries.count(True) == 1
    assert await words.claim("openai", "gpt-mini", 90)


async def test_a_claim_ends_with_a_word_or_with_its_time(database: Database) -> None:
    words = BreakerWords(database)
    assert await words.claim("openai", "gpt", 90)
    assert not await words.claim("openai", "gpt", 90)
    await words.publish(OPEN)
    assert await words.claim("openai", "gpt", 90)
    await let_pass(database, 91)
    assert await words.claim("openai", "gpt", 90)


async def test_what_one_server_learnt_spares_the_others_and_one_of_them_tries(database: Database) -> None:
    """M-5, P-16: over the very breakers that calls go by"""
    clock = Clock()
    here, there = (Breakers(clock=clock, shared=BreakerWords(database)) for _ in range(2))
    breaker = here.of("openai", "gpt")
    for _ in range(5):
        breaker.failed(breaker.enter(), Overloaded())
    await here.synchronise()
    await there.synchronise()
    assert there.of("openai", "gpt").state is State.OPEN

    clock.now += 11
    rights = [await each.may_try(each.of("openai", "gpt")) for each in (here, there, here)]
    assert rights == [True, False, False]
    entry = breaker.enter()
    breaker.spoke(entry, 0.2)
    await here.synchronise()
    await there.synchronise()
    assert [each.of("openai", "gpt").state for each in (here, there)] == [State.CLOSED] * 2
