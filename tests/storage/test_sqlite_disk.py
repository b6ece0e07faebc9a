"""A disk that fails under the embedded database: nothing is acknowledged that may not be there."""

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import Connection, event, insert, select

from parlour.features.people.tables import people
from parlour.infra.storage import sqlite
from parlour.infra.storage.database import WORKER, Database
from parlour.infra.storage.opening import open_database
from parlour.vocabulary.errors import Unavailable
from parlour.vocabulary.ids import new_id

pytestmark = pytest.mark.anyio


class Driver(sqlite3.Connection):
    """Commits as SQLite does on a disk that may fail to sync."""

    failing: ClassVar[bool] = False

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:  # noqa: ANN401
        """Fail at a commit, as SQLite would."""
        if Driver.failing and sql == "COMMIT":
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error
        return super().execute(sql, *parameters)


@pytest.fixture
async def database(file_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """An open, migrated embedded database on such a disk."""
    opened = open_database(file_url)
    assert isinstance(opened, sqlite.SqliteDatabase)

    @event.listens_for(opened._engine, "do_connect")
    def use_ours(_dialect: object, _record: object, _arguments: object, options: dict[str, Any]) -> None:
        options["factory"] = Driver

    await opened.migrate()
    yield opened
    monkeypatch.undo()
    await opened.close()


def adding(connection: Connection) -> str:
    person = new_id()
    row = {"id": person, "role": "visitor", "display_name": "x" * 9_000, "created_at": datetime.now(UTC)}
    connection.execute(insert(people), row)
    return person


def ids_of(connection: Connection) -> set[str]:
    return set(connection.execute(select(people.c.id)).scalars())


@contextmanager
def no_file_may_grow_over(size: int) -> Iterator[None]:
    """Let the system turn writes down, of this process: SQLite calls that a disk I/O error, too."""
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_after_a_failed_sync_nothing_more_is_acknowledged(
    database: Database, file_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-068, D17: not even when the disk says it is well again; only a new start knows what is there"""
    kept = {await database.write(WORKER, adding) for _ in range(3)}
    await database.check()
    monkeypatch.setattr(Driver, "failing", True)
    refused = await asyncio.gather(
        *(database.write(WORKER, adding) for _ in range(3)), return_exceptions=True
    )
    assert {type(each) for each in refused} == {Unavailable}
    monkeypatch.setattr(Driver, "failing", False)
    with pytest.raises(Unavailable, match="restart") as refusal:
        await database.write(WORKER, adding)
    assert "disk I/O error" in str(refusal.value.cause)
    with pytest.raises(Unavailable, match="restart"):
        await database.check()
    assert await database.read(WORKER, ids_of) == kept, "it can still be read"
    restarted = open_database(file_url)
    await restarted.check()
    kept.add(await restarted.write(WORKER, adding))
    assert await restarted.read(WORKER, ids_of) == kept
    await restarted.close()


async def test_a_write_that_is_turned_down_is_no_reason_to_stop(database: Database, file: Path) -> None:
    """P-27: nothing is acknowledged, and when writes are taken again it goes on by itself"""
    kept = {await database.write(WORKER, adding) for _ in range(3)}
    with no_file_may_grow_over(file.with_name(file.name + "-wal").stat().st_size):
        with pytest.raises(Unavailable) as refusal:
            await database.write(WORKER, adding)
        assert "disk I/O error" in str(refusal.value.cause)
        assert await database.read(WORKER, ids_of) == kept
    kept.add(await database.write(WORKER, adding))
    await database.check()
    assert await database.read(WORKER, ids_of) == kept
    check = await database.read(WORKER, lambda c: c.exec_driver_sql("PRAGMA integrity_check").scalar())
    assert check == "ok"
