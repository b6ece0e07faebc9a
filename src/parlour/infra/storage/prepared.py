"""Statements of the hot path: Core, compiled once for each kind of database, handed to the driver itself.

What Core does at every execution (a context, a cursor, a look into a cache) costs many times what such a
statement costs in the database. Here its SQL and its types' conversions are kept, and nothing else stands
between a store and the driver. Errors are therefore the driver's own.
"""

import sqlite3
import threading
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update
from sqlalchemy.util import await_only

Statement = Select[Any] | Insert | Update | Delete
Values = Mapping[str, Any]

_Convert = Callable[[Any], Any] | None

# Core completes parts of a statement when they are first used; two threads at once would each make their own.
_COMPILING = threading.Lock()


class Prepared:
    """One statement, or several changes of which none needs to see what the others did.

    Several are one round trip to PostgreSQL (common table expressions), and one after the other in SQLite.
    They share their parameters' names. ``IN`` takes no list: its SQL would change with every length.
    """

    def __init__(self, *statements: Statement | Callable[[Dialect], Statement]) -> None:
        """Take statements, or what makes one where the dialects differ; they are compiled when first run."""
        self._statements = statements
        self._compiled: dict[str, list[_Compiled]] = {}

    def run(self, connection: Connection, values: Values) -> list[Any]:
        """Run with ``values`` by parameter name; return the last statement's rows as named tuples."""
        rows: list[Any] = []
        for compiled in self._for(connection.dialect):
            rows = compiled.run(connection, values)
        return rows

    def run_many(self, connection: Connection, rows: Iterable[Values]) -> None:
        """Run once with each of ``rows``, without reading what comes back."""
        for compiled in self._for(connection.dialect):
            compiled.run_many(connection, rows)

    def _for(self, dialect: Dialect) -> "list[_Compiled]":
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            with _COMPILING:
                compiled = [_Compiled(statement, dialect) for statement in self._in_trips(dialect)]
            self._compiled[dialect.name] = compiled
        return compiled

    def _in_trips(self, dialect: Dialect) -> list[Statement]:
        statements = [each(dialect) if callable(each) else each for each in self._statements]
        if dialect.name != "postgresql" or len(statements) == 1:
            return statements
        *others, last = statements
        parts = [other.cte(f"part_{number}") for number, other in enumerate(others)]
        return [last.add_cte(*parts)]


class _Compiled:
    """One statement for one dialect."""

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        self._sql = str(compiled)
        self._parameters: list[tuple[str, Any, bool, _Convert]] = []
        for name in compiled.positiontup or ():
            bind = binds[name]
            convert = bind.type.dialect_impl(dialect).bind_processor(dialect)
            constant = convert(bind.value) if convert and not bind.required else bind.value
            self._parameters.append((name, constant, bind.required, convert))
        columns = list(statement.exported_columns)
        self._row: Any = namedtuple("Row", [column.name for column in columns])  # type: ignore[misc]
        self._converts: list[_Convert] = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        ]
        self._converting = any(self._converts)

    def run(self, connection: Connection, values: Values) -> list[Any]:
        arguments = self._arguments(values)
        driver = driver_of(connection)
        if isinstance(driver, sqlite3.Connection):
            found = driver.execute(self._sql, arguments).fetchall()
        else:
            found = await_only(driver.fetch(self._sql, *arguments))
        return [self._read(row) for row in found] if self._row._fields else []

    def run_many(self, connection: Connection, rows: Iterable[Values]) -> None:
        arguments = [self._arguments(values) for values in rows]
        driver = driver_of(connection)
        if isinstance(driver, sqlite3.Connection):
            driver.executemany(self._sql, arguments)
        else:
            await_only(driver.executemany(self._sql, arguments))

    def _arguments(self, values: Values) -> list[Any]:
        return [
            (convert(values[name]) if convert else values[name]) if required else constant
            for name, constant, required, convert in self._parameters
        ]

    def _read(self, row: Any) -> Any:  # noqa: ANN401 - a driver's row
        if not self._converting:
            return self._row._make(row)
        return self._row._make(
            convert(value) if convert else value for convert, value in zip(self._converts, row, strict=True)
        )


def driver_of(connection: Connection) -> Any:  # noqa: ANN401 - sqlite3's or asyncpg's, which has no types
    """Return the driver's own connection."""
    return connection.connection.driver_connection
