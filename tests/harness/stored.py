"""What the database really holds, read past the server."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import make_url

_MESSAGES = (
    "SELECT CAST(id AS TEXT) AS id, CAST(session_id AS TEXT) AS session_id, "
    "CAST(parent_id AS TEXT) AS parent_id, CAST(person_id AS TEXT) AS person_id, "
    "role, content, status, client_message_id FROM messages ORDER BY id"
)
_RUNS = (
    "SELECT CAST(id AS TEXT) AS id, CAST(session_id AS TEXT) AS session_id, "
    "CAST(user_message_id AS TEXT) AS user_message_id, CAST(message_id AS TEXT) AS message_id, "
    "status, fence, owner, CAST(finished_at AS TEXT) AS finished_at FROM runs ORDER BY id"
)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A row of messages."""

    id: str
    session_id: str
    parent_id: str | None
    person_id: str
    role: str
    content: str
    status: str
    client_message_id: str | None


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A row of runs. ``finished_at`` is a Unix time."""

    id: str
    session_id: str
    user_message_id: str
    message_id: str
    status: str
    fence: int
    owner: str | None
    finished_at: float | None


@dataclass(frozen=True, slots=True)
class Stored:
    """All messages and runs, in the order they were accepted."""

    messages: list[StoredMessage]
    runs: list[StoredRun]

    def run(self, run_id: str) -> StoredRun:
        """Return the run with this id."""
        return next(run for run in self.runs if run.id == run_id)

    def message(self, message_id: str) -> StoredMessage:
        """Return the message with this id."""
        return next(message for message in self.messages if message.id == message_id)


async def read_stored(url: str) -> Stored:
    """Read everything in one snapshot."""
    messages, runs = await _snapshot(url, _MESSAGES, _RUNS)
    return Stored(
        [StoredMessage(**row) for row in messages],
        [StoredRun(**{**row, "finished_at": _unix(row["finished_at"])}) for row in runs],
    )


async def integrity(url: str) -> str:
    """Return what SQLite says about its file: ``ok``. PostgreSQL looks after itself."""
    file = database_file(url)
    if file is None:
        return "ok"
    ((row,),) = await _snapshot(url, "PRAGMA integrity_check")
    return str(row["integrity_check"])


def database_file(url: str) -> Path | None:
    """Return the file of an SQLite database."""
    parsed = make_url(url)
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


async def _snapshot(url: str, *queries: str) -> list[list[dict[str, Any]]]:
    file = database_file(url)
    if file is not None:
        return await asyncio.to_thread(_from_file, file, queries)
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        async with connection.transaction(isolation="repeatable_read"):
            return [[dict(row) for row in await connection.fetch(query)] for query in queries]
    finally:
        await connection.close()


def _from_file(file: Path, queries: tuple[str, ...]) -> list[list[dict[str, Any]]]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")
        return [[dict(row) for row in connection.execute(query)] for query in queries]


def _unix(text: str | None) -> float | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
