"""The one metadata that all rooms' tables hang on, and column types that mean the same on both databases."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Insert,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    bindparam,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement, GenericFunction
from sqlalchemy.types import CHAR, TypeDecorator, TypeEngine

DOLLAR = 10**10
"""How many units of :class:`Dollars` make one."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def Id() -> TypeEngine[str]:  # noqa: N802 - reads as a type in table declarations
    """Return a column type for ids: ``uuid`` in PostgreSQL, text in SQLite, canonical ``str`` in Python."""
    return Uuid(as_uuid=False).with_variant(CHAR(36), "sqlite")


def Json() -> TypeEngine[Any]:  # noqa: N802
    """Return a column type for JSON values."""
    return JSON().with_variant(JSONB(), "postgresql")


class Utc(TypeDecorator[datetime]):
    """Moments in UTC: always aware in Python, whatever the database keeps."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse moments without a zone: they are a mistake that storage would hide."""
        return None if value is None else _in_utc(value)

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any] | None:
        """Write SQLite's text in one go: SQLAlchemy's own way took a tenth of what a stored turn costs."""
        return _sqlite_moment if dialect.name == "sqlite" else super().bind_processor(dialect)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back the zone that SQLite drops."""
        return value.replace(tzinfo=UTC) if value is not None and dialect.name == "sqlite" else value


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _sqlite_moment(moment: datetime | None) -> str | None:
    """Return the form that SQLAlchemy keeps moments in, and reads them from."""
    return None if moment is None else _in_utc(moment).replace(tzinfo=None).isoformat(" ", "microseconds")


class Money(TypeDecorator[Decimal]):
    """US dollars as exact decimals; text in SQLite, which has no decimals."""

    impl = Numeric(20, 10)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose text on SQLite."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Numeric(20, 10))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | Decimal | None:
        """Write SQLite's decimals in plain notation."""
        return format(value, "f") if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: str | Decimal | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """Read both kinds as decimals."""
        return None if value is None else Decimal(value)


class Dollars(TypeDecorator[Decimal]):
    """US dollars that the database adds up and compares: whole numbers of a ten-billionth of a dollar."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Write the number of units; a smaller part is rounded to the nearest of them."""
        return None if value is None else int((value * DOLLAR).to_integral_value())

    def process_result_value(self, value: int | Decimal | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """Read units, also those of a sum, which PostgreSQL gives as a decimal."""
        return None if value is None else Decimal(value) / DOLLAR


class now_ms(GenericFunction[int]):  # noqa: N801 - a function of the database
    """The database's own clock in milliseconds since 1970: the only clock that leases go by."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_ms, "postgresql")
def _now_ms_postgresql(_element: now_ms, _compiler: SQLCompiler, **_options: object) -> str:
    return "(extract(epoch from clock_timestamp()) * 1000)::bigint"


@compiles(now_ms, "sqlite")
def _now_ms_sqlite(_element: now_ms, _compiler: SQLCompiler, **_options: object) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


class folded(GenericFunction[str]):  # noqa: N801
    """Text without case, for searching: every script, not only ASCII as SQLite's own ``lower`` does."""

    type = Text()
    inherit_cache = True


@compiles(folded, "postgresql")
def _folded_postgresql(element: folded, compiler: SQLCompiler, **options: object) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(folded, "sqlite")
def _folded_sqlite(element: folded, compiler: SQLCompiler, **options: object) -> str:
    return f"parlour_fold({compiler.process(element.clauses, **options)})"


class Ids(TypeDecorator[list[str]]):
    """A list of ids that travels as one parameter, for :class:`among`."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose an array on PostgreSQL, JSON text on SQLite."""
        postgresql_ids = ARRAY(Uuid(as_uuid=False))
        return dialect.type_descriptor(postgresql_ids if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: list[str] | None, dialect: Dialect) -> Any:  # noqa: ANN401
        """Write SQLite's list."""
        return value if dialect.name == "postgresql" else orjson.dumps(value).decode()


class among(FunctionElement[bool]):  # noqa: N801 - reads as a condition
    """``among(column, ids)``: a column's value is in a list whose length is not part of the SQL."""

    type = Boolean()
    inherit_cache = True


@compiles(among, "postgresql")
def _among_postgresql(element: among, compiler: SQLCompiler, **options: object) -> str:
    column, ids = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY ({ids})"


@compiles(among, "sqlite")
def _among_sqlite(element: among, compiler: SQLCompiler, **options: object) -> str:
    column, ids = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({ids}))"  # noqa: S608 - compiled names and parameters


def upsert(table: Table) -> Callable[[Dialect], Insert]:
    """Return what makes the statement that inserts a row; one with its primary key is replaced."""

    def make(dialect: Dialect) -> Insert:
        insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
        statement: Any = insert(table).values({column.name: bindparam(column.name) for column in table.c})
        keys = {column.name for column in table.primary_key}
        rest = {column.name for column in table.c} - keys
        made: Insert = statement.on_conflict_do_update(
            index_elements=[table.c[key] for key in sorted(keys)],
            set_={name: statement.excluded[name] for name in sorted(rest)},
        )
        return made

    return make
