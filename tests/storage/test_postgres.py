"""PostgreSQL: connections that die, a pool that is empty, and whom a transaction is for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, insert, make_url, select, text

from parlour.features.people.tables import people
from parlour.infra.storage import postgres as postgres_module
from parlour.infra.storage.database import WORKER, Actor, Database
from parlour.infra.storage.opening import open_database
from parlour.vocabulary.errors import Unavailable
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal
from tests.fakes.provider import FakeProvider
from tests.harness.serving import serving, settings
from tests.services.postgres import PostgresServer, execute

pytestmark = pytest.mark.anyio

KILL_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
def url(postgres_copy: str) -> str:
    """The URL of a migrated PostgreSQL database of this test's own."""
    return postgres_copy


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """That database, open."""
    opened = open_database(url)
    yield opened
    await opened.close()


def adding(person_id: str) -> Callable[[Connection], str]:
    """Return a unit of work that stores a row and returns its id."""

    def work(connection: Connection) -> str:
        connection.execute(insert(people).values(id=person_id, role="visitor", created_at=datetime.now(UTC)))
        return person_id

    return work


async def warm(database: Database) -> None:
    """Fill the pool."""
    pause = text("SELECT pg_sleep(0.2)")
    await asyncio.gather(*(database.read(WORKER, lambda c: c.execute(pause).all()) for _ in range(10)))


def ids_of(connection: Connection) -> set[str]:
    return set(connection.execute(select(people.c.id)).scalars())


def asking_person(connection: Connection) -> str | None:
    found: str | None = connection.execute(text("SELECT current_setting('app.person_id', true)")).scalar()
    return found


async def test_connections_that_died_in_the_pool_are_replaced_unseen(database: Database, url: str) -> None:
    """F-058"""
    await asyncio.gather(*(database.read(WORKER, ids_of) for _ in range(20)))
    execute(url, KILL_OTHERS)
    people_ids = [new_id() for _ in range(20)]
    got = await asyncio.gather(*(database.write(WORKER, adding(person)) for person in people_ids))
    assert got == people_ids
    assert await database.read(WORKER, ids_of) == set(people_ids)


async def test_a_connection_that_dies_in_the_middle_of_a_unit_is_made_good(
    database: Database, url: str
) -> None:
    """F-058: the unit runs again from the start, and counts once"""
    tries = []

    def work(connection: Connection) -> str:
        tries.append(1)
        person = adding(new_id())(connection)
        if len(tries) == 1:
            execute(url, KILL_OTHERS)
        connection.execute(select(people.c.id)).all()
        return person

    person = await database.write(WORKER, work)
    assert len(tries) == 2
    assert await database.read(WORKER, ids_of) == {person}


async def test_a_unit_whose_connection_always_dies_is_refused(database: Database, url: str) -> None:
    """F-058, P-21"""

    def work(connection: Connection) -> None:
        adding(new_id())(connection)
        execute(url, KILL_OTHERS)
        connection.execute(select(people.c.id)).all()

    with pytest.raises(Unavailable) as refused:
        await database.write(WORKER, work)
    assert (refused.value.retryable, refused.value.retry_after) == (True, 2)
    assert await database.read(WORKER, ids_of) == set()


async def test_a_lost_race_is_run_again(database: Database) -> None:
    """F-062: a unique key that somebody else was quicker with"""
    person, tries = new_id(), []

    def work(connection: Connection) -> int:
        tries.append(1)
        if len(tries) > 1 and connection.execute(select(people.c.id).where(people.c.id == person)).first():
            return len(tries)
        adding(person)(connection)
        adding(person)(connection)
        raise AssertionError("two rows with one key")

    await database.write(WORKER, adding(person))
    assert await database.write(WORKER, work) == 2


async def test_a_deadlock_is_run_again(database: Database) -> None:
    """F-062"""
    one, two = new_id(), new_id()
    for person in (one, two):
        await database.write(WORKER, adding(person))
    tries: list[str] = []

    async def cross(first: str, second: str) -> None:
        def work(connection: Connection) -> None:
            tries.append(first)
            lock(connection, first)
            if len(tries) <= 2:
                # Both hold one row before either asks for the other's.
                connection.execute(text("SELECT pg_sleep(0.3)"))
            lock(connection, second)

        await database.write(WORKER, work)

    await asyncio.gather(cross(one, two), cross(two, one))
    assert len(tries) == 3, "one of them had to begin anew"


def lock(connection: Connection, person: str) -> None:
    connection.execute(select(people.c.id).where(people.c.id == person).with_for_update())


async def test_a_transaction_knows_who_is_asking_and_the_connection_forgets_it(database: Database) -> None:
    """D18: set for the transaction, empty in the next one on the same connection"""
    mine, theirs = Principal(new_id()), Principal(new_id())
    actors: list[Actor] = [mine, WORKER, theirs, WORKER, WORKER, mine]
    for actor in actors * 4:
        expected = "" if actor is WORKER else actor.person_id
        assert (await database.read(actor, asking_person) or "") == expected
        assert (await database.write(actor, asking_person) or "") == expected


async def test_the_asker_is_forgotten_after_an_error_as_well(database: Database) -> None:
    """D18"""

    def fail(_connection: Connection) -> None:
        raise Unavailable

    for _ in range(12):
        with pytest.raises(Unavailable):
            await database.write(Principal(new_id()), fail)
    for _ in range(12):
        assert (await database.read(WORKER, asking_person) or "") == ""


async def test_an_empty_pool_is_said_in_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-061, P-21: refused as retryable, and served again when there is room"""
    await warm(database)
    monkeypatch.setattr(postgres_module, "POOL_WAIT_SECONDS", 0.2)
    holding = [
        asyncio.create_task(database.read(WORKER, lambda c: c.execute(text("SELECT pg_sleep(1)")).all()))
        for _ in range(postgres_module.POOL)
    ]
    await asyncio.sleep(0.05)  # they are on their way; what follows holds whether or not all have arrived
    refused = await asyncio.gather(*(database.read(WORKER, ids_of) for _ in range(5)), return_exceptions=True)
    assert {type(each) for each in refused} == {Unavailable}
    await asyncio.gather(*holding)
    assert await database.read(WORKER, ids_of) == set()


async def test_readers_of_a_stream_hold_no_connection(
    url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """F-061: more streams than connections, and still room for a message"""
    async with (
        FakeProvider() as provider,
        serving(settings(tmp_path_factory.mktemp("parlour"), url=url, provider=provider)) as served,
    ):
        visitor = await served.visitor()
        streams = [visitor.stream(f"Quiet {n} [[n=2;stall@1]]") for n in range(postgres_module.POOL * 2)]
        for stream in streams:
            await stream.__aenter__()
        for stream in streams:
            await stream.begun()
        reply = await visitor.send("And me? [[n=2]]")
        assert reply["message"]["status"] == "completed"
        for stream in streams:
            await stream.__aexit__(None, None, None)


async def test_a_turn_survives_the_death_of_every_connection(
    url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """F-058, C-3: in the middle of an answer"""
    async with (
        FakeProvider() as provider,
        serving(settings(tmp_path_factory.mktemp("parlour"), url=url, provider=provider)) as served,
    ):
        visitor = await served.visitor()
        async with visitor.stream("Hold on [[n=40;dt=0.02]]") as stream:
            start = await stream.begun()
            for _ in range(3):
                execute(url, KILL_OTHERS)
                await stream.more()
            reader = await stream.rest()
        stored = await visitor.message(start["sessionId"], start["messageId"])
        assert stored["status"] == "completed"
        assert stored["content"] == reader.text
        assert len(reader.text.split()) == 40


async def test_a_server_waits_for_its_database_and_then_serves(
    url: str, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """F-057: alive meanwhile, and not ready"""
    name = make_url(url).database
    execute(postgres.url, f'ALTER DATABASE "{name}" RENAME TO "{name}_away"')
    async with serving(settings(tmp_path_factory.mktemp("parlour"), url=url), wait=False) as served:
        assert (await served.request("GET", "/livez")).status == 200
        assert (await served.request("GET", "/readyz")).status == 503
        execute(postgres.url, f'ALTER DATABASE "{name}_away" RENAME TO "{name}"')
        await served.ready()
        visitor = await served.visitor()
        assert (await visitor.send("Hello"))["message"]["status"] == "completed"
