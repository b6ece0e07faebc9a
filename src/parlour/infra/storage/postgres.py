"""PostgreSQL: a bounded pool, short transactions, and the asking person known to every one of them.

The person's id is set for the transaction only (``app.person_id``), so that row-level security sees it and
no pooled connection carries it to the next caller.

Transactions are begun and ended here, on the driver, in as few round trips as there can be; to SQLAlchemy
the connections are in autocommit, and what it executes falls into the transaction that is open.
"""

import asyncio
import random
from typing import Any

import asyncpg
import orjson
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only, greenlet_spawn

from parlour.infra.storage.database import WORKER, Actor, T, Work
from parlour.infra.storage.migrating import ensure_current, upgrade
from parlour.infra.storage.prepared import driver_of
from parlour.vocabulary.errors import ParlourError, StorageFull, Unavailable
from parlour.vocabulary.ids import is_id

POOL = 10
POOL_WAIT_SECONDS = 2.0  # P-21: a write that cannot be served is refused within 2 s, it does not hang
STATEMENT_SECONDS = 10
ATTEMPTS = 3

# https://www.postgresql.org/docs/current/errcodes-appendix.html
SERIALIZATION_FAILURE, DEADLOCK_DETECTED, UNIQUE_VIOLATION = "40001", "40P01", "23505"
LOST_RACES = (SERIALIZATION_FAILURE, DEADLOCK_DETECTED, UNIQUE_VIOLATION)
DISK_FULL = "53100"

# From SQLAlchemy, or from the driver itself for what ran past it.
_FAILURES = (
    DBAPIError,
    PoolTimeout,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that the server ended between two statements
    OSError,
    TimeoutError,
)
_MISTAKES = (
    IntegrityError,
    ProgrammingError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.SyntaxOrAccessError,
)


class PostgresDatabase:
    """A PostgreSQL database that any number of Parlours share."""

    def __init__(self, url: str) -> None:
        """Prepare for ``postgresql+asyncpg://…``; nothing is opened before the first unit of work."""
        # The pool gives a free connection to whoever asks next and lets those who wait go on waiting.
        self._turnstile = asyncio.Semaphore(POOL)
        self._engine: AsyncEngine = create_async_engine(
            url,
            pool_size=POOL,
            max_overflow=0,
            pool_timeout=POOL_WAIT_SECONDS,
            pool_pre_ping=False,
            isolation_level="AUTOCOMMIT",
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            connect_args={
                "timeout": POOL_WAIT_SECONDS,
                "command_timeout": STATEMENT_SECONDS,
                "server_settings": {"application_name": "parlour", "timezone": "UTC"},
            },
        )

    async def read(self, actor: Actor, work: Work[T]) -> T:
        """Run ``work`` in a transaction of its own."""
        return await self._run(actor, work)

    async def write(self, actor: Actor, work: Work[T]) -> T:
        """Run ``work`` in a transaction of its own; committed when it returns."""
        return await self._run(actor, work)

    async def migrate(self) -> None:
        """Upgrade the schema under a lock that makes other processes wait."""
        await self._run(WORKER, upgrade)

    async def check(self) -> None:
        """Read the schema's version."""
        await self._run(WORKER, ensure_current)

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()

    async def _run(self, actor: Actor, work: Work[T]) -> T:
        attempt = 1
        while True:
            unit = _Unit()
            try:
                async with asyncio.timeout(POOL_WAIT_SECONDS):
                    await self._turnstile.acquire()
                try:
                    return await greenlet_spawn(unit.run, self._engine, actor, work)
                finally:
                    self._turnstile.release()
            except ParlourError:
                raise
            except _FAILURES as error:
                if attempt >= ATTEMPTS or not unit.worth_again(error):
                    raise _translated(error) from error
            attempt += 1
            await asyncio.sleep(random.uniform(0.005, 0.05) * attempt)  # noqa: S311 - jitter, no secret


class _Unit:
    """One try at a unit of work, run in a greenlet: there synchronous code can wait for the driver."""

    def __init__(self) -> None:
        self._broken = False
        self._committing = False

    def run(self, engine: AsyncEngine, actor: Actor, work: Work[T]) -> T:
        with engine.sync_engine.connect() as connection:
            driver = driver_of(connection)
            try:
                await_only(driver.execute(_beginning(actor)))
                result = work(connection)
                self._committing = True
                await_only(driver.execute("COMMIT"))
            except BaseException:
                self._broken = not _rolled_back(driver)
                if self._broken:
                    connection.invalidate()  # nobody knows what it is in: the pool makes another
                raise
            return result

    def worth_again(self, error: Exception) -> bool:
        """Tell whether the same work may pass now: a lost race, or a connection that had died in the pool.

        A commit whose answer got lost may have been kept, so it is never tried again.
        """
        if _sqlstate(error) in LOST_RACES:
            return True
        return self._broken and not self._committing


def _beginning(actor: Actor) -> str:
    if actor is WORKER:
        return "BEGIN"
    if not is_id(actor.person_id):
        raise ValueError("a person's id is a UUID")
    # SET takes no parameters; a canonical UUID holds nothing that could end the quotes.
    return f"BEGIN; SET LOCAL app.person_id = '{actor.person_id}'"


def _rolled_back(driver: Any) -> bool:  # noqa: ANN401 - asyncpg has no types
    """End what was begun; tell whether the connection can be used again."""
    try:
        await_only(driver.execute("ROLLBACK"))
    except (*_FAILURES, asyncio.CancelledError):
        return False
    return True


def _sqlstate(error: Exception) -> str | None:
    return getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)


def _translated(error: Exception) -> Exception:
    if isinstance(error, _MISTAKES):
        return error
    cause = f"{type(error).__name__}: {error}"
    if _sqlstate(error) == DISK_FULL:
        return StorageFull(cause=cause, retry_after=30)
    return Unavailable(cause=cause, retry_after=2)
