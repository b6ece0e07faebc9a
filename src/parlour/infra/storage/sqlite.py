"""SQLite: one writer thread that commits in groups, and a few readers aside.

The writer takes every unit that is waiting and commits them together, so that many turns share one fsync.
When one fails, the group is rolled back and the others are run again, each in a savepoint of its own: it
harms no other. Savepoints for all of them would cost a quarter of a stored turn. Durable means
``synchronous=FULL`` in WAL mode: what was acknowledged survives a power cut. A disk that fails to keep what
it was given is not written to again before a restart.
"""

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from parlour.infra.storage.database import WORKER, Actor, T, Work
from parlour.infra.storage.migrating import ensure_current, upgrade
from parlour.vocabulary.errors import ParlourError, StorageFull, Unavailable

READERS = 3
GROUP = 256  # units of work in one commit: bounds how long the first of them waits
BUSY_SECONDS = 5.0  # how long another program (a backup, the command line) may hold the file


@dataclass(slots=True)
class _Unit:
    work: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class SqliteDatabase:
    """The embedded database in one file."""

    def __init__(self, path: Path) -> None:
        """Prepare for ``path``; nothing is opened before the first unit of work."""
        self._engine = _engine(path)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="parlour-read")
        self._local = threading.local()
        self._open: list[Connection] = []
        self._failure: str | None = None

    async def read(self, actor: Actor, work: Work[T]) -> T:  # noqa: ARG002 - one file has one owner
        """Run ``work`` in a reader thread on a snapshot."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def write(self, actor: Actor, work: Work[T]) -> T:  # noqa: ARG002
        """Queue ``work`` for the writer and wait for the commit it went into."""
        if self._writer is None:
            self._loop = asyncio.get_running_loop()
            self._writer = threading.Thread(target=self._write_forever, name="parlour-write", daemon=True)
            self._writer.start()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Unit(work, future))
        return await future

    async def migrate(self) -> None:
        """Upgrade the schema in place."""
        await asyncio.to_thread(self._with_connection, upgrade)

    async def check(self) -> None:
        """Read the schema's version; a disk that has failed counts as failed although it can be read."""
        self._refuse_after_failure()
        await self.read(WORKER, ensure_current)

    async def close(self) -> None:
        """Let the writer finish its queue, then close every connection."""
        if self._writer is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._open:
            connection.close()
        self._engine.dispose()

    def _with_connection(self, work: Work[T]) -> T:
        try:
            with _connect(self._engine) as connection, _transaction(connection, "BEGIN IMMEDIATE"):
                return work(connection)
        except (DBAPIError, sqlite3.Error) as error:
            raise _translated(error) from error

    def _read(self, work: Work[T]) -> T:
        try:
            connection = self._reader()
            with _transaction(connection, "BEGIN"):
                return work(connection)
        except (DBAPIError, sqlite3.Error) as error:
            raise _translated(error) from error

    def _reader(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = _connect(self._engine)
            _driver(connection).execute("PRAGMA query_only = ON")
            self._local.connection = connection
            self._open.append(connection)
        return connection

    def _write_forever(self) -> None:
        connection: Connection | None = None
        running = True
        while running:
            units, running = self._next_group()
            if not units:
                continue
            try:
                if connection is None:
                    connection = _connect(self._engine)
                    self._open.append(connection)
                self._refuse_after_failure()
                self._commit_group(connection, units)
            except Exception as error:  # noqa: BLE001 - the writer outlives any failure; its callers get it
                if _disk_failed(error):
                    self._failure = str(error)
                for unit in units:
                    unit.error = _translated(error)
            self._settle(units)

    def _refuse_after_failure(self) -> None:
        if self._failure is not None:
            raise Unavailable(
                "The disk failed to keep what was written. The operator needs to check it and restart.",
                cause=self._failure,
            )

    def _next_group(self) -> tuple[list[_Unit], bool]:
        first = self._queue.get()
        if first is None:
            return [], False
        units = [first]
        while len(units) < GROUP:
            try:
                unit = self._queue.get_nowait()
            except queue.Empty:
                break
            if unit is None:
                return units, False
            units.append(unit)
        return units, True

    def _commit_group(self, connection: Connection, units: list[_Unit]) -> None:
        """Commit what passes. Failures are few: only after one, the others are run again in savepoints."""
        try:
            self._commit_together(connection, units)
        except _UnitFailed:
            self._commit_apart(connection, [unit for unit in units if unit.error is None])

    @staticmethod
    def _commit_together(connection: Connection, units: list[_Unit]) -> None:
        # A deferred transaction that turns into a writer fails with "locked" whatever the timeout.
        with _transaction(connection, "BEGIN IMMEDIATE") as driver:
            for unit in units:
                _run(driver, connection, unit)
                if unit.error is not None:
                    raise _UnitFailed

    @staticmethod
    def _commit_apart(connection: Connection, units: list[_Unit]) -> None:
        if not units:
            return
        with _transaction(connection, "BEGIN IMMEDIATE") as driver:
            for unit in units:
                driver.execute("SAVEPOINT unit")
                _run(driver, connection, unit)
                if unit.error is not None:
                    driver.execute("ROLLBACK TO unit")
                driver.execute("RELEASE unit")

    def _settle(self, units: list[_Unit]) -> None:
        loop = self._loop
        if loop is None or loop.is_closed():
            return  # nobody is left to be told; what was committed is kept

        def settle_all() -> None:
            for unit in units:
                unit.settle()

        try:
            loop.call_soon_threadsafe(settle_all)
        except RuntimeError:  # the loop closed between the look and the call
            return


class _UnitFailed(Exception):
    """The way out of the transaction of a group; what failed, and how, its unit knows."""


def _run(driver: sqlite3.Connection, connection: Connection, unit: _Unit) -> None:
    try:
        unit.result = unit.work(connection)
    except Exception as error:
        if not driver.in_transaction:
            raise  # SQLite itself gave the whole transaction up: the disk is full, or broken
        unit.error = _translated(error)


def _connect(engine: Engine) -> Connection:
    """Return a connection on which SQLAlchemy believes in one transaction that never ends.

    Otherwise Alembic, which asks for that, would end ours.
    """
    connection = engine.connect()
    connection.begin()
    return connection


@contextmanager
def _transaction(connection: Connection, beginning: str) -> Iterator[sqlite3.Connection]:
    """Begin and end a transaction, on the driver itself: they come with every group and every read."""
    driver = _driver(connection)
    driver.execute(beginning)
    try:
        yield driver
        driver.execute("COMMIT")
    except BaseException:
        if driver.in_transaction:
            driver.execute("ROLLBACK")
        raise


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.dbapi_connection
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError("not an SQLite connection")
    return driver


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS, "isolation_level": None},
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
    )

    @event.listens_for(engine, "do_connect")
    def keep_private(*_: object) -> None:
        # Only where there is none: opening and closing one that is in use would drop its locks. What else
        # is wrong with the place SQLite finds, too, and says so.
        with suppress(OSError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    @event.listens_for(engine, "connect")
    def configure(driver: sqlite3.Connection, _record: object) -> None:
        driver.execute("PRAGMA journal_mode = WAL")
        driver.execute("PRAGMA synchronous = FULL")
        driver.execute("PRAGMA foreign_keys = ON")
        driver.execute("PRAGMA trusted_schema = OFF")
        driver.create_function("parlour_fold", 1, _fold, deterministic=True)

    return engine


def _fold(text: str | None) -> str | None:
    return None if text is None else text.casefold()


def _disk_failed(error: Exception) -> bool:
    """Tell whether nobody knows any more what of the last writes is on the disk.

    After a failed fsync the system may forget those pages and call the next fsync a success. A write that
    was turned down is no such case: nothing rests on what it left in the WAL, the next one overwrites it.
    """
    original = error.orig if isinstance(error, DBAPIError) else error
    code = original.sqlite_errorcode if isinstance(original, sqlite3.OperationalError) else sqlite3.SQLITE_OK
    return code & 0xFF == sqlite3.SQLITE_IOERR and code != sqlite3.SQLITE_IOERR_WRITE


def _translated(error: Exception) -> Exception:
    if isinstance(error, ParlourError):
        return error
    original = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(original, sqlite3.OperationalError):
        return error
    said = str(original)
    if "full" in said:
        return StorageFull(cause=said, retry_after=30)
    return Unavailable(cause=said, retry_after=2)
