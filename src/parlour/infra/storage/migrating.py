"""Migrations: the same steps on both databases, run inside a transaction that the caller opened."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from parlour.vocabulary.errors import Unavailable

NEEDS_UPGRADE = "The database needs an upgrade: run `parlour db upgrade`."
_LOCK = 7_269_468_617  # any number, as long as every Parlour uses the same one


class SchemaMismatch(Unavailable):
    """The database answers, but its schema is not this version's: somebody has to upgrade one of the two."""


class SchemaTooNew(SchemaMismatch):
    """A newer Parlour has upgraded the database: waiting does not help this one."""


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest version; a second process waits for the first and finds it done.

    Raises SchemaTooNew when the schema was made by a newer Parlour than this one.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    version = _version(connection)
    if version == _head():
        return
    _refuse_newer(version)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def ensure_current(connection: Connection) -> None:
    """Raise SchemaMismatch, with the remedy, unless the schema is exactly this version's."""
    version = _version(connection)
    if version == _head():
        return
    _refuse_newer(version)
    raise SchemaMismatch(NEEDS_UPGRADE)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


# What is installed does not change while we run, and reading it takes longer than every query of a look.
@cache
def _head() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


@cache
def _known() -> frozenset[str]:
    revisions = ScriptDirectory.from_config(_config()).walk_revisions()
    return frozenset(revision.revision for revision in revisions)


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(version: str | None) -> None:
    if version is not None and version not in _known():
        raise SchemaTooNew(
            f"The database was upgraded by a newer Parlour (schema {version}). Install that version or newer."
        )
