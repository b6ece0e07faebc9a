"""PostgreSQL: a bounded pool, short transactions, and the asking person known to every one of them.

The person's id is set for the transaction only (``app.person_id``), so that row-level security sees it and
no pooled connection carries it to the next caller.
"""

import asyncio
import random

import orjson
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from parlour.infra.storage.database import WORKER, Actor, T, Work
from parlour.infra.storage.migrating import ensure_current, upgrade
from parlour.vocabulary.errors import ParlourError, StorageFull, Unavailable

POOL = 10
POOL_WAIT_SECONDS = 2.0  # P-21: a write that cannot be served is refused within 2 s, it does not hang
STATEMENT_SECONDS = 10
ATTEMPTS = 3

# https://www.postgresql.org/docs/current/errcodes-appendix.html
SERIALIZATION_FAILURE, DEADLOCK_DETECTED, UNIQUE_VIOLATION = "40001", "40P01", "23505"
LOST_RACES = (SERIALIZATION_FAILURE, DEADLOCK_DETECTED, UNIQUE_VIOLATION)
DISK_FULL = "53100"

_SET_PERSON = text("select set_config('app.person_id', :person_id, true)")


class PostgresDatabase:
    """A PostgreSQL database that any number of Parlours share."""

    def __init__(self, url: str) -> None:
        """Prepare for ``postgresql+asyncpg://…``; nothing is opened before the first unit of work."""
        self._engine: AsyncEngine = create_async_engine(
            url,
            pool_size=POOL,
            max_overflow=0,
            pool_timeout=POOL_WAIT_SECONDS,
            pool_pre_ping=False,
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
            try:
                async with self._engine.begin() as connection:
                    await _introduce(connection, actor)
                    return await connection.run_sync(work)
            except ParlourError:
                raise
            except (DBAPIError, PoolTimeout, OSError, TimeoutError) as error:
                if attempt >= ATTEMPTS or not _worth_again(error):
                    raise _translated(error) from error
            attempt += 1
            await asyncio.sleep(random.uniform(0.005, 0.05) * attempt)  # noqa: S311 - jitter, no secret


async def _introduce(connection: AsyncConnection, actor: Actor) -> None:
    if actor is not WORKER:
        await connection.execute(_SET_PERSON, {"person_id": actor.person_id})


def _sqlstate(error: Exception) -> str | None:
    original = error.orig if isinstance(error, DBAPIError) else None
    return getattr(original, "sqlstate", None)


def _worth_again(error: Exception) -> bool:
    """Tell whether the same work may pass now: a lost race, or a connection that had died in the pool."""
    if _sqlstate(error) in LOST_RACES:
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def _translated(error: Exception) -> Exception:
    if isinstance(error, IntegrityError | ProgrammingError):
        return error
    cause = f"{type(error).__name__}: {error}"
    if _sqlstate(error) == DISK_FULL:
        return StorageFull(cause=cause, retry_after=30)
    return Unavailable(cause=cause, retry_after=2)
