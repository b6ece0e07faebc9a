"""PostgreSQL that fails over, falls silent, or is slow: who asks is told in time, and it goes on after."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, make_url, select, text
from sqlalchemy.exc import DBAPIError

from parlour.features.people.tables import people
from parlour.infra.storage import migrating
from parlour.infra.storage import postgres as postgres_module
from parlour.infra.storage.database import WORKER, Database
from parlour.infra.storage.migrating import SchemaMismatch
from parlour.infra.storage.opening import open_database
from parlour.infra.storage.postgres import POOL, POOL_WAIT_SECONDS, Limits
from parlour.vocabulary.errors import Unavailable
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal
from tests.harness.databases import MakeUrl
from tests.harness.proxy import Proxy
from tests.services.postgres import execute

pytestmark = pytest.mark.anyio

SOMEBODY = Principal(new_id())
SLACK = 1.0  # for a machine where many tests run
SESSION = text("SELECT pg_backend_pid()")


@pytest.fixture
def url(make_url: MakeUrl) -> str:
    """The URL of a migrated PostgreSQL database of this test's own."""
    return make_url("postgres")


@pytest.fixture
async def proxy(url: str) -> AsyncIterator[Proxy]:
    """What stands before that database."""
    direct = make_url(url)
    assert direct.host is not None
    assert direct.port is not None
    async with Proxy(direct.host, direct.port) as proxy:
        await proxy.up()
        yield proxy


@pytest.fixture
async def database(url: str, proxy: Proxy) -> AsyncIterator[Database]:
    """That database through the proxy, with every connection of the pool open."""
    through = make_url(url).set(host="127.0.0.1", port=proxy.port)
    opened = open_database(through.render_as_string(hide_password=False))
    await asyncio.gather(*(opened.read(WORKER, sleeping(0.2)) for _ in range(POOL)))
    yield opened
    await opened.close()


def adding(connection: Connection) -> str:
    person = new_id()
    connection.execute(insert(people).values(id=person, role="visitor", created_at=datetime.now(UTC)))
    return person


def ids_of(connection: Connection) -> set[str]:
    return set(connection.execute(select(people.c.id)).scalars())


def session_of(connection: Connection) -> int:
    return int(connection.execute(SESSION).scalar_one())


def sleeping(seconds: float) -> Callable[[Connection], None]:
    """Return a unit of work of one slow statement."""

    def work(connection: Connection) -> None:
        connection.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})

    return work


async def test_the_first_writes_after_a_failover_are_kept(database: Database, proxy: Proxy) -> None:
    """F-058: every pooled connection is dead, and nobody has noticed yet"""
    proxy.cut()
    stored = [await database.write(SOMEBODY, adding) for _ in range(3)]
    assert await database.read(SOMEBODY, ids_of) == set(stored)


async def test_writes_that_come_together_after_a_failover_are_kept(database: Database, proxy: Proxy) -> None:
    """F-058"""
    proxy.cut()
    stored = await asyncio.gather(*(database.write(SOMEBODY, adding) for _ in range(POOL * 2)))
    assert await database.read(SOMEBODY, ids_of) == set(stored)


async def test_a_server_that_has_become_a_standby_is_left(database: Database) -> None:
    """P-21: what its name leads to now takes writes"""

    def demote(connection: Connection) -> None:
        connection.exec_driver_sql("SET default_transaction_read_only = on")

    for _ in range(POOL):
        await database.read(WORKER, demote)
    stored = {await database.write(SOMEBODY, adding) for _ in range(3)}
    assert await database.read(SOMEBODY, ids_of) == stored


async def test_a_silent_network_is_said_in_time_and_forgotten(database: Database, proxy: Proxy) -> None:
    """P-21: no request hangs, whether it has an old connection, a new one, or none"""
    proxy.mute()
    begun = time.monotonic()
    refused = await asyncio.gather(
        *(database.write(SOMEBODY, adding) for _ in range(POOL * 2)), return_exceptions=True
    )
    assert {type(each) for each in refused} == {Unavailable}
    assert time.monotonic() - begun < POOL_WAIT_SECONDS + SLACK
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        await database.write(SOMEBODY, adding)
    assert time.monotonic() - begun < POOL_WAIT_SECONDS + SLACK
    proxy.unmute()
    begun = time.monotonic()
    person = await database.write(SOMEBODY, adding)
    assert time.monotonic() - begun < SLACK
    assert await database.read(SOMEBODY, ids_of) == {person}


@pytest.mark.parametrize("at_commit", [False, True])
async def test_a_network_that_falls_silent_in_the_middle_of_a_unit_ends_it(
    database: Database, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, *, at_commit: bool
) -> None:
    """P-21: it is not tried again, nor is a rollback, and the server lets its locks go"""
    monkeypatch.setattr(postgres_module, "REQUEST", Limits(statement=0.5, unit=1))
    monkeypatch.setattr(postgres_module, "POOL_WAIT_SECONDS", 0.5)
    person = await database.write(WORKER, adding)
    tries = []

    def work(connection: Connection) -> None:
        tries.append(1)
        connection.execute(select(people.c.id).where(people.c.id == person).with_for_update())
        proxy.mute()
        if not at_commit:
            adding(connection)

    begun = time.monotonic()
    with pytest.raises(Unavailable):
        await database.write(SOMEBODY, work)
    assert time.monotonic() - begun < 1.5 + SLACK
    assert len(tries) == 1
    proxy.unmute()
    await database.write(WORKER, lambda c: c.execute(people.delete().where(people.c.id == person)))
    assert await database.read(WORKER, ids_of) == set()


async def test_closing_does_not_wait_for_a_silent_network(database: Database, proxy: Proxy) -> None:
    """P-21: a shutdown ends"""
    proxy.mute()
    begun = time.monotonic()
    await database.close()
    assert time.monotonic() - begun < postgres_module.CLOSE_SECONDS + SLACK


async def test_who_gives_up_waiting_waits_for_nothing_more(database: Database) -> None:
    """A request that is cancelled in the middle of a statement leaves a pool that works."""
    slow = asyncio.create_task(database.write(SOMEBODY, sleeping(4)))
    await asyncio.sleep(0.2)
    begun = time.monotonic()
    slow.cancel()
    with suppress(asyncio.CancelledError):
        await slow
    assert time.monotonic() - begun < SLACK
    stored = {await database.write(SOMEBODY, adding) for _ in range(POOL + 1)}
    assert await database.read(SOMEBODY, ids_of) == stored


async def test_a_slow_statement_is_ended_by_the_server(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is as good as before, and the system's own work may take longer than a request."""
    monkeypatch.setattr(postgres_module, "REQUEST", Limits(statement=0.3, unit=5))
    sessions = {await database.read(WORKER, session_of) for _ in range(POOL)}
    for _ in range(POOL):
        with pytest.raises(Unavailable) as refused:
            await database.write(SOMEBODY, sleeping(2))
        assert "statement timeout" in str(refused.value.cause)
    assert {await database.read(WORKER, session_of) for _ in range(POOL)} == sessions
    await database.write(WORKER, sleeping(0.5))


async def test_wrong_data_is_a_mistake_and_no_outage(database: Database) -> None:
    """Trying again would not mend it"""

    def named(name: str) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            row = {"id": new_id(), "role": "visitor", "display_name": name, "created_at": datetime.now(UTC)}
            connection.execute(insert(people), row)

        return work

    def divide(connection: Connection) -> None:
        connection.execute(text("SELECT 1 / 0"))

    def too_large(connection: Connection) -> None:
        connection.execute(text("SELECT CAST(:number AS integer)"), {"number": 2**40})

    for work in (named("a\x00b"), named("\ud800"), divide, too_large):
        with pytest.raises((DBAPIError, ValueError)):
            await database.write(SOMEBODY, work)
    assert await database.read(SOMEBODY, ids_of) == set()


@pytest.mark.parametrize(
    "change", ["ALTER TABLE people RENAME TO persons", "ALTER TABLE people RENAME display_name TO name"]
)
async def test_another_schema_is_said_with_the_remedy(database: Database, url: str, change: str) -> None:
    execute(url, change)
    with pytest.raises(SchemaMismatch, match="parlour db upgrade"):
        await database.read(SOMEBODY, lambda c: c.execute(select(people)).all())


async def test_who_comes_second_waits_for_a_migration_however_long_it_takes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-042"""
    held = asyncio.Event()

    async def hold() -> None:
        def work(connection: Connection) -> None:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": migrating._LOCK})
            held.set()
            connection.execute(text("SELECT pg_sleep(1.5)"))

        await database.write(WORKER, work)

    holding = asyncio.create_task(hold())
    await held.wait()
    for limits in ("REQUEST", "WORK"):
        monkeypatch.setattr(postgres_module, limits, Limits(statement=0.2, unit=0.3))
    monkeypatch.setattr(postgres_module, "POOL_WAIT_SECONDS", 0.5)
    begun = time.monotonic()
    await database.migrate()
    assert time.monotonic() - begun > 1
    await holding


async def test_a_look_at_the_schema_reads_no_files_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Health is looked at all the time, on the loop that answers people"""
    await database.check()

    def read_files(*_: object) -> None:
        raise AssertionError("the migrations were read again")

    monkeypatch.setattr(ScriptDirectory, "from_config", read_files)
    await database.check()
