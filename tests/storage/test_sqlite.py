"""The embedded database: durable, grouped commits that survive whatever happens to them; kept private."""

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text

from parlour.features.people.tables import people
from parlour.infra.storage import sqlite
from parlour.infra.storage.database import WORKER, Database
from parlour.infra.storage.opening import ServerLock, open_database
from parlour.infra.storage.prepared import driver_of
from parlour.vocabulary.errors import Conflict, StorageFull, Unavailable
from parlour.vocabulary.ids import new_id
from tests.harness.serving import serving, settings
from tests.harness.tables import counts

pytestmark = pytest.mark.anyio

PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0}
HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.rollback()
"""


@pytest.fixture
async def database(file_url: str) -> AsyncIterator[Database]:
    """An open, migrated embedded database."""
    opened = open_database(file_url)
    await opened.migrate()
    yield opened
    await opened.close()


def adding(person_id: str, *, name: str | None = None) -> Callable[[Connection], str]:
    """Return a unit of work that stores a row and returns its id."""

    def work(connection: Connection) -> str:
        row = {"id": person_id, "role": "visitor", "display_name": name, "created_at": datetime.now(UTC)}
        connection.execute(insert(people), row)
        return person_id

    return work


def ids_of(connection: Connection) -> set[str]:
    return set(connection.execute(select(people.c.id)).scalars())


def pragmas(connection: Connection) -> dict[str, Any]:
    return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in PRAGMAS}


@contextmanager
def held_by_another_process(file: Path) -> Iterator[None]:
    """Let another program hold the database's write lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.stdin.write("\n")
        holder.stdin.flush()


async def test_every_connection_keeps_what_it_acknowledges_through_a_power_cut(database: Database) -> None:
    """P-01: WAL with synchronous=FULL, for the writer and each reader"""
    assert await database.write(WORKER, pragmas) == PRAGMAS
    for told in await asyncio.gather(*(database.read(WORKER, pragmas) for _ in range(6))):
        assert told == PRAGMAS


async def test_readers_cannot_write(database: Database) -> None:
    insert_by_driver = "INSERT INTO people (id, role, created_at) VALUES ('x', 'visitor', '2026-01-01')"
    for work in (adding(new_id()), lambda c: str(driver_of(c).execute(insert_by_driver))):
        with pytest.raises(Unavailable) as refused:
            await database.read(WORKER, work)
        assert "readonly" in str(refused.value.cause)
    assert await database.read(WORKER, ids_of) == set()


async def test_waiting_units_are_committed_together(database: Database, file: Path) -> None:
    """Many turns share one fsync: the writer is held up, and what waits goes in with one commit"""
    entered, leave = threading.Event(), threading.Event()

    def hold_up(_connection: Connection) -> None:
        entered.set()
        assert leave.wait(20)

    first = asyncio.create_task(database.write(WORKER, hold_up))
    await asyncio.to_thread(entered.wait, 20)
    waiting = [asyncio.create_task(database.write(WORKER, adding(new_id()))) for _ in range(50)]
    await asyncio.sleep(0)
    before = changes_of(file)
    leave.set()
    await asyncio.gather(first, *waiting)
    assert len(await database.read(WORKER, ids_of)) == 50
    assert changes_of(file) - before == 1


async def test_a_unit_that_fails_is_run_once_and_the_others_still_share_a_commit(
    database: Database, file: Path
) -> None:
    entered, leave, tries = threading.Event(), threading.Event(), []

    def hold_up(_connection: Connection) -> None:
        entered.set()
        assert leave.wait(20)

    def fail(connection: Connection) -> None:
        tries.append(1)
        adding(new_id())(connection)
        raise Conflict

    first = asyncio.create_task(database.write(WORKER, hold_up))
    await asyncio.to_thread(entered.wait, 20)
    persons = [new_id() for _ in range(20)]
    works = [*map(adding, persons[:10]), fail, *map(adding, persons[10:])]
    waiting = [asyncio.create_task(database.write(WORKER, work)) for work in works]
    await asyncio.sleep(0)
    before = changes_of(file)
    leave.set()
    told = await asyncio.gather(first, *waiting, return_exceptions=True)
    assert [type(each) for each in told if isinstance(each, Exception)] == [Conflict]
    assert tries == [1]
    assert await database.read(WORKER, ids_of) == set(persons)
    assert changes_of(file) - before == 1


def changes_of(file: Path) -> int:
    """Return how many commits the WAL holds: frames that end one carry the database's size."""
    wal = file.with_name(file.name + "-wal").read_bytes()
    page = int.from_bytes(wal[8:12], "big") if len(wal) >= 32 else 1
    salt = wal[16:24]
    frames = (wal[at : at + 24] for at in range(32, len(wal), 24 + page))
    return sum(1 for frame in frames if frame[8:16] == salt and int.from_bytes(frame[4:8], "big"))


async def test_a_copy_taken_at_any_moment_has_every_acknowledged_row(
    database: Database, file: Path, tmp_path: Path
) -> None:
    """P-01, F-069: what a power cut would leave"""
    acknowledged: set[str] = set()
    for number in range(8):
        got = await asyncio.gather(*(database.write(WORKER, adding(new_id())) for _ in range(3)))
        acknowledged.update(got)
        copy = tmp_path / f"copy-{number}"
        copy.mkdir()
        for part in file.parent.glob("parlour.db*"):
            shutil.copy(part, copy / part.name)
        with sqlite3.connect(copy / file.name) as connection:
            assert {row[0] for row in connection.execute("SELECT id FROM people")} == acknowledged
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()


async def test_the_writer_survives_any_error(database: Database) -> None:
    """P-03"""

    def end_the_transaction(connection: Connection) -> None:
        connection.exec_driver_sql("ROLLBACK")
        raise ZeroDivisionError

    for broken in (end_the_transaction, lambda c: c.execute(text("no such statement"))):
        with pytest.raises((ZeroDivisionError, Unavailable)):
            await database.write(WORKER, broken)
        person = await database.write(WORKER, adding(new_id()))
        assert person in await database.read(WORKER, ids_of)


async def test_a_file_that_another_program_holds_makes_writers_wait_and_then_say_so(
    database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-064: retryable, nothing acknowledged, and it goes on as soon as the file is free"""
    await database.write(WORKER, adding(new_id()))
    await set_patience(database, 200)
    with held_by_another_process(file):
        with pytest.raises(Unavailable) as refused:
            await database.write(WORKER, adding("refused"))
        assert (refused.value.retryable, refused.value.retry_after) == (True, 2)
        assert len(await database.read(WORKER, ids_of)) == 1, "readers read on"
        await set_patience(database, 20_000)
        waiting = asyncio.create_task(database.write(WORKER, adding(new_id())))
        await asyncio.sleep(0)
    await waiting
    stored = await database.read(WORKER, ids_of)
    assert len(stored) == 2
    assert "refused" not in stored
    assert sqlite.BUSY_SECONDS == 5.0, "what is promised"


async def set_patience(database: Database, milliseconds: int) -> None:
    """Let the writer wait so long for the file; told to the driver itself, as no transaction can be had."""
    assert isinstance(database, sqlite.SqliteDatabase)
    for connection in database._open:
        sqlite._driver(connection).execute(f"PRAGMA busy_timeout = {milliseconds}")


async def test_a_full_disk_is_said_and_nothing_is_acknowledged(database: Database) -> None:
    """D17: what was kept before stays whole, and with new room it goes on"""
    kept = {await database.write(WORKER, adding(new_id())) for _ in range(5)}
    pages = await database.write(WORKER, lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one())
    await database.write(WORKER, lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}").scalar())
    refused = 0
    for _ in range(4):
        try:
            kept.add(await database.write(WORKER, adding(new_id(), name="x" * 20_000)))
        except StorageFull:
            refused += 1
    assert refused > 0
    assert await database.read(WORKER, ids_of) == kept
    check = await database.read(WORKER, lambda c: c.exec_driver_sql("PRAGMA integrity_check").scalar())
    assert check == "ok"
    await database.write(WORKER, lambda c: c.exec_driver_sql("PRAGMA max_page_count = 100000").scalar())
    assert await database.write(WORKER, adding(new_id(), name="x" * 20_000))


async def test_units_that_wait_together_are_told_the_truth_when_the_disk_is_full(database: Database) -> None:
    """D17: what is acknowledged is kept, and what is refused is not"""
    pages = await database.write(WORKER, lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one())
    await database.write(WORKER, lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {pages + 3}").scalar())
    wanted = [new_id() for _ in range(12)]
    got: list[str | BaseException] = []
    for start in (0, 6):
        got += await asyncio.gather(
            *(
                database.write(WORKER, adding(person, name="x" * (15_000 if start else 10)))
                for person in wanted[start : start + 6]
            ),
            return_exceptions=True,
        )
    acknowledged = {each for each in got if isinstance(each, str)}
    assert {type(each) for each in got} == {str, StorageFull}
    assert await database.read(WORKER, ids_of) == acknowledged


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a disk of 40 MB at a folder."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("this container may not mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounts a disk of its own")
async def test_a_message_for_which_there_is_no_room_is_answered_with_507(tmp_path: Path) -> None:
    """D17: on a real disk that is full; nothing is stored, and with new room the server goes on"""
    with small_disk(tmp_path):
        async with serving(settings(tmp_path)) as served:
            await served.owner_invited()
            visitor = await served.visitor()
            await visitor.send("Room enough")
            before = await counts(served)
            ballast = tmp_path / "ballast"
            fill(ballast)
            answer = await visitor.request("POST", "/api/chat", body={"message": "No room " * 1000})
            assert (answer.status, answer.json["code"], answer.json["retryable"]) == (
                507,
                "storage_full",
                True,
            )
            assert int(answer.headers["Retry-After"]) > 0
            assert await counts(served) == before
            assert len(await visitor.sessions()) == 1, "it can still be read"
            ballast.unlink()
            reply = await visitor.send("Room again")
            assert reply["message"]["status"] == "completed"


def fill(ballast: Path) -> None:
    """Take all room that is left."""
    with ballast.open("wb", buffering=0) as opened:
        for size in (65_536, 4096, 1):
            try:
                while True:
                    opened.write(b"\0" * size)
            except OSError:
                continue


async def test_a_message_while_another_program_holds_the_file_is_answered_with_503(
    tmp_path: Path,
) -> None:
    """F-064: retryable, and the same message goes through afterwards"""
    async with serving(settings(tmp_path)) as served:
        await served.owner_invited()
        visitor = await served.visitor()
        await visitor.send("Before")
        await set_patience(served.parlour.database, 100)
        body = {"message": "Held up", "clientMessageId": "one"}
        with held_by_another_process(tmp_path / "parlour.db"):
            answer = await visitor.request("POST", "/api/chat", body=body)
            assert (answer.status, answer.json["code"], answer.json["retryable"]) == (
                503,
                "unavailable",
                True,
            )
            assert answer.headers["Retry-After"] == "2"
        reply = await visitor.send(**body)
        assert reply["message"]["status"] == "completed"
        assert len(await visitor.sessions()) == 2


async def test_nobody_else_can_read_what_is_kept(tmp_path: Path) -> None:
    """S-3: also where the folder itself is open to others"""
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    old = os.umask(0o022)
    try:
        database = open_database(f"sqlite:///{folder / 'parlour.db'}")
        await database.migrate()
        await database.write(WORKER, adding(new_id()))
        await database.read(WORKER, ids_of)
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}
        await database.close()
    finally:
        os.umask(old)
    assert set(modes) == {"parlour.db", "parlour.db-wal", "parlour.db-shm"}
    assert set(modes.values()) == {0o600}


async def test_one_embedded_database_has_one_server(tmp_path: Path) -> None:
    """The second one is told who has it; the lock goes with its holder."""
    file = tmp_path / "parlour.db"
    first = ServerLock(file)
    with pytest.raises(Unavailable, match=f"process {os.getpid()}"):
        ServerLock(file)
    first.release()
    ServerLock(file).release()
    assert stat.S_IMODE((tmp_path / "parlour.db.lock").stat().st_mode) == 0o600


def test_a_file_that_is_no_database_is_left_as_it_is(file: Path, file_url: str) -> None:
    """F-070"""
    file.write_bytes(b"These are my holiday notes. " * 100)
    before = file.read_bytes()
    with pytest.raises(Exception, match="not a database"):
        asyncio.run(open_database(file_url).migrate())
    assert file.read_bytes() == before
