"""PostgreSQL: a bounded pool, short transactions, and the asking person known to every one of them.

The person's id is set for the transaction only (``app.person_id``), so that row-level security sees it and
no pooled connection carries it to the next caller.

Transactions are begun and ended here, on the driver, in as few round trips as there can be; to SQLAlchemy
the connections are in autocommit, and what it executes falls into the transaction that is open.

Nobody waits for ever. A unit has ``POOL_WAIT_SECONDS`` to get a connection that answers, and after that its
``Limits``: the server ends a statement that is too slow, and we end a connection over which nothing comes.
A connection that was ended is never asked for anything more, not for a rollback either.
"""

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import asyncpg
import orjson
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only, greenlet_spawn

from parlour.infra.storage.database import WORKER, Actor, T, Work
from parlour.infra.storage.migrating import NEEDS_UPGRADE, SchemaMismatch, ensure_current, upgrade
from parlour.infra.storage.prepared import driver_of
from parlour.vocabulary.errors import ParlourError, StorageFull, Unavailable
from parlour.vocabulary.ids import is_id

POOL = 10
POOL_WAIT_SECONDS = 2.0  # P-21: a write that cannot be served is refused within 2 s, it does not hang
CLOSE_SECONDS = 2.0
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """How long work may take, in seconds, once it has a connection that answers."""

    statement: float
    """One statement, or the pause between two; kept by the server, which then rolls back."""
    unit: float
    """Everything, with what is tried again; kept here, for a server that is not heard any more."""


# Somebody waits for the answer; the system's own work can afford more; a migration takes what it takes, and
# the wait for another process that is at it counts as part of it.
REQUEST, WORK, MIGRATION = Limits(5, 6), Limits(10, 12), Limits(3600, 3660)

# https://www.postgresql.org/docs/current/errcodes-appendix.html
SERIALIZATION_FAILURE, DEADLOCK_DETECTED, UNIQUE_VIOLATION = "40001", "40P01", "23505"
LOST_RACES = (SERIALIZATION_FAILURE, DEADLOCK_DETECTED, UNIQUE_VIOLATION)
DISK_FULL = "53100"
READ_ONLY = "25006"  # the server we are connected to has become a standby
UNDEFINED_TABLE, UNDEFINED_COLUMN = "42P01", "42703"
OTHER_SCHEMA = (UNDEFINED_TABLE, UNDEFINED_COLUMN)
# Classes of errors that trying again will not mend: wrong data, a broken rule, a wrong statement.
MISTAKES = ("22", "23", "42")

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
                "server_settings": {"application_name": "parlour", "timezone": "UTC"},
            },
        )
        self._drivers: WeakSet[Any] = WeakSet()
        self._distrusted = 0.0  # connections made up to then are not used any more
        event.listen(self._engine.sync_engine, "connect", self._on_connect)
        event.listen(self._engine.sync_engine, "checkout", self._on_checkout)

    async def read(self, actor: Actor, work: Work[T]) -> T:
        """Run ``work`` in a transaction of its own."""
        return await self._run(actor, work)

    async def write(self, actor: Actor, work: Work[T]) -> T:
        """Run ``work`` in a transaction of its own; committed when it returns."""
        return await self._run(actor, work)

    async def migrate(self) -> None:
        """Upgrade the schema under a lock that makes other processes wait."""
        await self._run(WORKER, upgrade, MIGRATION)

    async def check(self) -> None:
        """Read the schema's version."""
        await self._run(WORKER, ensure_current)

    async def close(self) -> None:
        """Close the pool; what does not answer is let go of all the same."""
        open_still = [driver for driver in self._drivers if not driver.is_closed()]
        # All at once, and each only so long: the pool would wait for one after the other.
        goodbyes = (driver.close(timeout=CLOSE_SECONDS) for driver in open_still)
        await asyncio.gather(*goodbyes, return_exceptions=True)
        await self._engine.dispose()

    def _on_connect(self, adapted: Any, record: Any) -> None:  # noqa: ANN401 - SQLAlchemy's pool
        self._drivers.add(adapted.driver_connection)
        record.info["since"] = time.monotonic()

    def _on_checkout(self, adapted: Any, record: Any, _proxy: object) -> None:  # noqa: ANN401
        """Let the pool replace what is known or suspected to be dead; that counts as no attempt."""
        driver = adapted.driver_connection
        if driver.is_closed() or record.info["since"] <= self._distrusted:
            driver.terminate()  # at once: saying goodbye over a dead connection takes seconds
            raise DisconnectionError

    def _distrust(self, since: float) -> None:
        """Use none of the connections again that were open when the one made at ``since`` broke.

        After a failover all of them are dead, and each would cost somebody an attempt.
        """
        if since > self._distrusted:  # else it is one of those, and its successors are good
            self._distrusted = time.monotonic()

    async def _run(self, actor: Actor, work: Work[T], limits: Limits | None = None) -> T:
        limits = limits or (WORK if actor is WORKER else REQUEST)
        clock = asyncio.get_running_loop().time
        reach = clock() + POOL_WAIT_SECONDS
        end = reach + limits.unit
        attempt = 1
        while True:
            unit = _Unit(_beginning(actor, limits), reach, end)
            try:
                async with asyncio.timeout_at(reach):
                    await self._turnstile.acquire()
                try:
                    async with asyncio.timeout_at(reach) as patience:
                        return await greenlet_spawn(unit.run, self._engine, work, patience)
                finally:
                    self._turnstile.release()
            except ParlourError:
                raise
            except _FAILURES as error:
                if unit.broken:
                    self._distrust(unit.since)
                if attempt >= ATTEMPTS or not unit.worth_again(error):
                    raise _translated(error, overdue=unit.overdue) from error
            attempt += 1
            await asyncio.sleep(random.uniform(0.005, 0.05) * attempt)  # noqa: S311 - jitter, no secret
            reach = min(clock() + POOL_WAIT_SECONDS, end)


class _Unit:
    """One try at a unit of work, run in a greenlet: there synchronous code can wait for the driver."""

    def __init__(self, beginning: str, reach: float, end: float) -> None:
        """Begin with a statement that is answered until ``reach``, and be done at ``end``."""
        self._beginning = beginning
        self._reach = reach
        self._end = end
        self._committing = False
        self.since = 0.0
        self.broken = False
        self.overdue = False

    def run(self, engine: AsyncEngine, work: Work[T], patience: asyncio.Timeout) -> T:
        with engine.sync_engine.connect() as connection:
            driver = driver_of(connection)
            self.since = connection.info["since"]
            # From here on it is the connection that is ended, not we: whoever waits for it is told at once,
            # whereas after a cancellation driver and pool would still try to part in a friendly way.
            patience.reschedule(None)
            timer = self._end_at(self._reach, driver)
            try:
                await_only(driver.execute(self._beginning))
                timer.cancel()
                timer = self._end_at(self._end, driver)
                result = work(connection)
                self._committing = True
                await_only(driver.execute("COMMIT"))
            except BaseException as error:
                self.broken = not _rolled_back(driver, error)
                if self.broken:
                    driver.terminate()
                    connection.invalidate()  # nobody knows what it is in: the pool makes another
                raise
            finally:
                timer.cancel()
            return result

    def _end_at(self, when: float, driver: Any) -> asyncio.TimerHandle:  # noqa: ANN401 - asyncpg has no types
        def end() -> None:
            self.overdue = True
            driver.terminate()

        return asyncio.get_running_loop().call_at(when, end)

    def worth_again(self, error: Exception) -> bool:
        """Tell whether the same work may pass now: a lost race, or a connection that had died in the pool.

        A commit whose answer got lost may have been kept, so it is never tried again; and where nothing was
        heard for so long, nothing will be.
        """
        if self.overdue:
            return False
        if _sqlstate(error) in LOST_RACES:
            return True
        return self.broken and not self._committing


def _beginning(actor: Actor, limits: Limits) -> str:
    milliseconds = int(limits.statement * 1000)
    beginning = (
        # Without them a server whose client has vanished keeps the transaction, and its locks, for hours.
        f"BEGIN; SET LOCAL statement_timeout = {milliseconds}; "
        f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds}"
    )
    if actor is WORKER:
        return beginning
    if not is_id(actor.person_id):
        raise ValueError("a person's id is a UUID")
    # SET takes no parameters; a canonical UUID holds nothing that could end the quotes.
    return f"{beginning}; SET LOCAL app.person_id = '{actor.person_id}'"


def _rolled_back(driver: Any, error: BaseException) -> bool:  # noqa: ANN401 - asyncpg has no types
    """End what was begun; tell whether the connection can be used again."""
    if isinstance(error, asyncio.CancelledError) or driver.is_closed():
        return False  # a statement may be under way still, and nobody is left to wait for its end
    if isinstance(error, Exception) and _sqlstate(error) == READ_ONLY:
        return False
    try:
        await_only(driver.execute("ROLLBACK"))
    except (*_FAILURES, asyncio.CancelledError):
        return False
    return True


def _sqlstate(error: Exception) -> str | None:
    return getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)


def _translated(error: Exception, *, overdue: bool) -> Exception:
    cause = f"{type(error).__name__}: {error}"
    if overdue:
        return Unavailable(cause=f"PostgreSQL did not answer in time. {cause}", retry_after=2)
    state = _sqlstate(error)
    if state in OTHER_SCHEMA:
        return SchemaMismatch(NEEDS_UPGRADE, cause=cause)
    if state is not None and state.startswith(MISTAKES):
        return error
    if state == DISK_FULL:
        return StorageFull(cause=cause, retry_after=30)
    return Unavailable(cause=cause, retry_after=2)
