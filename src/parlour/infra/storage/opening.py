"""From a database's URL to the database, and the lock that keeps an embedded one to one server."""

import fcntl
import os
from pathlib import Path

from sqlalchemy import make_url

from parlour.infra.storage.database import Database
from parlour.infra.storage.sqlite import SqliteDatabase
from parlour.vocabulary.errors import Unavailable


def embedded_file(url: str) -> Path | None:
    """Return the file of an SQLite URL; None for a database server."""
    parsed = make_url(url)
    return Path(parsed.database or "parlour.db") if parsed.get_backend_name() == "sqlite" else None


def open_database(url: str) -> Database:
    """Return the database behind ``sqlite:///…`` or ``postgresql://…``; nothing is connected yet."""
    file = embedded_file(url)
    if file is not None:
        return SqliteDatabase(file)
    return _postgres(url)


def _postgres(url: str) -> Database:
    """Return the database of a server; only then its driver is loaded, 11 MB and 100 ms."""
    from parlour.infra.storage.postgres import PostgresDatabase

    return PostgresDatabase(
        make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
    )


class ServerLock:
    """Held by the one server of an embedded database; let go by the system when the process dies.

    Whoever holds it knows that no other server is alive on this file, so runs of others can be taken up at
    once after a crash.
    """

    def __init__(self, database_file: Path) -> None:
        """Take the lock beside ``database_file``. Raises Unavailable when another server has it."""
        path = database_file.with_name(database_file.name + ".lock")
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._descriptor, 20).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise Unavailable(
                f"Another Parlour (process {holder or 'unknown'}) already serves {database_file}. "
                "Stop it, or give this one a data folder of its own with PARLOUR_DATA_DIR."
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, str(os.getpid()).encode())

    def release(self) -> None:
        """Let go."""
        os.close(self._descriptor)
