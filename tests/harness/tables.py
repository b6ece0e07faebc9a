"""Looks into a running server's tables: what was stored, and how many statements that took."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, event, func, select

from parlour.features.chat.store import sessions
from parlour.infra.storage.database import WORKER
from parlour.infra.storage.schema import metadata
from tests.harness.serving import Served

# Also filled beside the requests: a title, and its line in the ledger, come when the answer is long read.
BESIDE = {"attempts", "servers"}


async def counts(served: Served) -> dict[str, int]:
    """Return how many rows each table has, of those that only requests fill."""

    def count(connection: Connection) -> dict[str, int]:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in metadata.tables.items()
            if name not in BESIDE
        }

    return await served.parlour.database.read(WORKER, count)


async def rows(served: Served, table: str, **where: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return the rows of a table whose columns have these values."""
    columns = metadata.tables[table].c

    def find(connection: Connection) -> list[dict[str, Any]]:
        query = select(metadata.tables[table]).where(*(columns[name] == want for name, want in where.items()))
        return [dict(row) for row in connection.execute(query).mappings()]

    return await served.parlour.database.read(WORKER, find)


async def forget_logs(served: Served) -> None:
    """Do at once what the sweep does an hour after the end of a run."""
    later = datetime.now(UTC) + timedelta(minutes=1)
    while await served.parlour.database.write(WORKER, lambda c: sessions.forget_events(c, later)):
        pass


@contextmanager
def statements() -> Generator[list[str], None, None]:
    """Collect the statements that databases opened from now on are sent, without BEGIN, COMMIT and the like.

    The drivers tell, so that nothing can run past it.
    """
    seen: list[str] = []

    def note(statement: str) -> None:
        if statement.split(maxsplit=1)[0].upper() in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"):
            seen.append(statement)

    def listen(connection: Any, _record: object) -> None:  # noqa: ANN401 - one of two drivers'
        if isinstance(connection, sqlite3.Connection):
            connection.set_trace_callback(note)
        else:
            connection.driver_connection.add_query_logger(lambda record: note(record.query))

    def prepared(
        connection: Connection,
        _cursor: object,
        statement: str,
        _values: object,
        _context: object,
        many: bool,  # noqa: FBT001
    ) -> None:
        # asyncpg tells everything but prepared statements, which are what SQLAlchemy makes of single ones.
        if connection.dialect.name == "postgresql" and not many:
            note(statement)

    event.listen(Engine, "connect", listen)
    event.listen(Engine, "before_cursor_execute", prepared)
    try:
        yield seen
    finally:
        event.remove(Engine, "connect", listen)
        event.remove(Engine, "before_cursor_execute", prepared)
