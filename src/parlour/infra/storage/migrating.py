"""Migrations: the same steps on both databases, run inside a transaction that the caller opened."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from parlour.vocabulary.errors import Unavailable

_LOCK = 7_269_468_617  # any number, as long as every Parlour uses the same one


class SchemaTooNew(Unavailable):
    """A newer Parlour has upgraded the database: waiting does not help this one."""


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest version; a second process waits for the first and finds it done.

    Raises SchemaTooNew when the schema was made by a newer Parlour than this one.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = _config()
    if _version(connection) == _head(config):
        return
    _refuse_newer(connection, config)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def ensure_current(connection: Connection) -> None:
    """Raise Unavailable, with the remedy, unless the schema is exactly this version's."""
    config = _config()
    if _version(connection) == _head(config):
        return
    _refuse_newer(connection, config)
    raise Unavailable("The database needs an upgrade: run `parlour db upgrade`.")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def _head(config: Config) -> str | None:
    return ScriptDirectory.from_config(config).get_current_head()


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(connection: Connection, config: Config) -> None:
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    version = _version(connection)
    if version is not None and version not in known:
        raise SchemaTooNew(
            f"The database was upgraded by a newer Parlour (schema {version}). Install that version or newer."
        )
