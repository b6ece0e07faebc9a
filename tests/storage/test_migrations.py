"""Migrations: the schema they make is the one the code declares; up, down, up, twice at once, never back."""

import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from parlour.features.chat import tables as chat_tables
from parlour.features.limits.tables import attempts
from parlour.features.moderation.tables import flags
from parlour.features.people.tables import people
from parlour.infra.storage import migrating, sqlite
from parlour.infra.storage import postgres as postgres_module
from parlour.infra.storage.database import WORKER, Database
from parlour.infra.storage.migrating import SchemaMismatch, SchemaTooNew
from parlour.infra.storage.opening import open_database
from parlour.infra.storage.schema import metadata
from parlour.vocabulary.errors import Unavailable
from tests.harness.databases import BACKENDS, MakeUrl
from tests.services.postgres import PostgresServer

pytestmark = pytest.mark.anyio

# Importing them declares their rooms' tables.
DECLARED = [attempts, chat_tables.sessions, chat_tables.runs, flags, people]
INDEXES = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
}
MIGRATE = """
import asyncio, sys
from parlour.infra.storage.opening import open_database

async def work() -> None:
    database = open_database(sys.argv[1])
    sys.stdin.readline()  # so that all begin at once
    await database.migrate()
    await database.check()
    await database.close()

print("ready", flush=True)
asyncio.run(work())
"""


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """A kind of database."""
    found: str = request.param
    return found


@pytest.fixture
def database_url(backend: str, make_url: MakeUrl) -> str:
    """The URL of a migrated database of this kind."""
    return make_url(backend)


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of this kind without any table."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path / 'parlour.db'}"
    url: str = request.getfixturevalue("postgres_database")
    return url


Change = Callable[[Connection], None]


def revise(direction: str, revision: str) -> Change:
    """Return the change that goes to a revision."""

    def work(connection: Connection) -> None:
        config = migrating._config()
        config.attributes["connection"] = connection
        getattr(command, direction)(config, revision)

    return work


@pytest.fixture
def migrate_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[Database, Change], Awaitable[None]]:
    """Run another change in place of the upgrade, with the transaction that the upgrade would have."""

    async def migrate(database: Database, change: Change) -> None:
        with monkeypatch.context() as patch:
            for module in (sqlite, postgres_module):
                patch.setattr(module, "upgrade", change)
            await database.migrate()

    return migrate


def tables_of(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {"alembic_version"}


async def test_migrations_make_exactly_the_declared_schema(database: Database) -> None:
    """O-5"""

    def differences(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        found = compare_metadata(context, metadata)
        # SQLite does not tell in which order an index runs; the next test looks at that itself.
        return [each for each in found if not str(each[0]).endswith("_index")]

    assert await database.read(WORKER, differences) == []
    assert await database.read(WORKER, tables_of) == set(metadata.tables)
    assert {table.name for table in DECLARED} < set(metadata.tables)


async def test_indexes_and_keys_are_the_declared_ones(database: Database, empty_url: str) -> None:
    """O-5: with their order, their conditions, and what they do on delete"""

    def described(connection: Connection) -> tuple[set[str], list[Any]]:
        rows = connection.execute(text(INDEXES[connection.dialect.name]))
        indexes = {" ".join(row[1].split()) for row in rows if row[0] != "alembic_version_pkc"}
        inspector = inspect(connection)
        keys = [
            (table, key["constrained_columns"], key["referred_table"], key["options"])
            for table in sorted(metadata.tables)
            for key in inspector.get_foreign_keys(table)
        ]
        return indexes, sorted(keys, key=str)

    def declare(connection: Connection) -> tuple[set[str], list[Any]]:
        metadata.create_all(connection)
        return described(connection)

    plain = open_database(empty_url)
    declared = await plain.write(WORKER, declare)
    await plain.close()
    assert await database.read(WORKER, described) == declared


async def test_migrations_go_up_and_down_and_up_again(
    empty_url: str, migrate_by: Callable[[Database, Change], Awaitable[None]]
) -> None:
    """B-13"""
    database = open_database(empty_url)
    await database.migrate()
    before = await database.read(WORKER, tables_of)
    await migrate_by(database, revise("downgrade", "base"))
    assert await database.read(WORKER, tables_of) == set()
    with pytest.raises(SchemaMismatch, match="parlour db upgrade"):
        await database.check()
    await database.migrate()
    await database.check()
    assert await database.read(WORKER, tables_of) == before == set(metadata.tables)
    await database.close()


async def test_migrating_again_changes_nothing(database: Database) -> None:
    """O-5"""
    await database.migrate()
    await database.check()


def test_processes_that_migrate_at_once_do_it_once(empty_url: str) -> None:
    """O-5: replicas that start together"""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, empty_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    said = [worker.communicate(timeout=60) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], said


async def test_a_schema_of_a_newer_version_is_refused_and_left_alone(database: Database) -> None:
    """F-072, O-5"""

    def pretend(connection: Connection) -> None:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    await database.write(WORKER, pretend)
    for call in (database.migrate, database.check):
        with pytest.raises(SchemaTooNew, match="newer Parlour"):
            await call()
    versions = await database.read(
        WORKER, lambda c: c.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    )
    assert versions == ["9999"]


async def test_a_migration_that_breaks_half_way_leaves_nothing(
    empty_url: str, migrate_by: Callable[[Database, Change], Awaitable[None]]
) -> None:
    """F-072"""
    database = open_database(empty_url)

    def break_off(connection: Connection) -> None:
        revise("upgrade", "head")(connection)
        raise Unavailable

    with pytest.raises(Unavailable):
        await migrate_by(database, break_off)
    assert await database.read(WORKER, lambda c: inspect(c).get_table_names()) == []
    await database.migrate()
    await database.check()
    await database.close()


async def test_a_database_that_nobody_migrated_says_how(postgres: PostgresServer) -> None:
    """O-5: by command on PostgreSQL"""
    with postgres.database() as url:
        database = open_database(url)
        with pytest.raises(SchemaMismatch, match="parlour db upgrade"):
            await database.check()
        await database.close()
