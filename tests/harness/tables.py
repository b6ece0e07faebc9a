"""Looks into a running server's tables: what was stored, and how many statements that took."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, event, func, select

from parlour.features.chat import store
from parlour.infra.storage.database import WORKER
from parlour.infra.storage.schema import metadata
from tests.harness.serving import Served


async def counts(served: Served) -> dict[str, int]:
    """Return how many rows each table has."""

    def count(connection: Connection) -> dict[str, int]:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in metadata.tables.items()
        }

    return await served.parlour.database.read(WORKER, count)


async def rows(served: Served, table: str, **where: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return the rows of a table whose columns have these values."""
    columns = metadata.tables[table].c

    def find(connection: Connection) -> list[dict[str, Any]]:
        query = select(metadata.tables[table]).where(*(columns[name] == want for name, want in where.items()))
        return [dict(row) for row in connection.execute(query).mappings()]

    return await served.parlour.database.read(WORKER, find)


async def forget_logs(served: Served) -> int:
    """Do at once what the sweep does an hour after the end of a run; return how many rows went."""
    later = datetime.now(UTC) + timedelta(minutes=1)
    return await served.parlour.database.write(WORKER, lambda c: store.forget_events(c, later))


@dataclass
class Statements:
    """SQL that was sent, without what opens and closes transactions."""

    texts: list[str] = field(default_factory=list)


@contextmanager
def statements_of(person_id: str) -> Generator[Statements, None, None]:
    """Collect the statements that carry ``person_id``'s work; background work may go on beside it."""
    seen = Statements()

    def note(
        connection: Connection, _cursor: object, statement: str, _parameters: object, *_rest: object
    ) -> None:
        if connection.info.get("parlour_test_person") == person_id:
            seen.texts.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)
