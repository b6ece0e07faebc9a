"""The SQL of what servers tell each other: that they are there, and what they know about models.

All times are by the database's clock, since those of servers differ.
"""

from typing import Any

from sqlalchemy import Connection, Dialect, Insert, bindparam, delete, func, null, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from parlour.features.limits.tables import breakers, servers
from parlour.features.limits.values import Row
from parlour.infra.storage.prepared import Prepared
from parlour.infra.storage.schema import now_ms

SEEN_MS = 20_000  # a server that was not heard of for so long is gone
FORGOTTEN_MS = 3_600_000  # a word on a model that nobody has repeated: every pause is long over
MOST_WORDS = 500


def _insert(dialect: Dialect, table: Any) -> Any:  # noqa: ANN401 - of either dialect
    return (postgresql.insert if dialect.name == "postgresql" else sqlite.insert)(table)


def _appear(dialect: Dialect) -> Insert:
    statement = _insert(dialect, servers).values(id=bindparam("id"), seen_at=now_ms())
    made: Insert = statement.on_conflict_do_update(
        index_elements=[servers.c.id], set_={"seen_at": statement.excluded.seen_at}
    )
    return made


def _tell(dialect: Dialect) -> Insert:
    statement = _insert(dialect, breakers).values(
        provider=bindparam("provider"),
        model=bindparam("model"),
        state=bindparam("state"),
        until=now_ms() + bindparam("milliseconds"),
        openings=bindparam("openings"),
        claimed_until=null(),
        changed_at=now_ms(),
    )
    new = statement.excluded
    names = ("state", "until", "openings", "claimed_until", "changed_at")
    made: Insert = statement.on_conflict_do_update(
        index_elements=[breakers.c.provider, breakers.c.model], set_={name: new[name] for name in names}
    )
    return made


def _claim(dialect: Dialect) -> Insert:
    statement = _insert(dialect, breakers).values(
        provider=bindparam("provider"),
        model=bindparam("model"),
        state="open",
        until=now_ms(),
        openings=1,
        claimed_until=now_ms() + bindparam("milliseconds"),
        changed_at=now_ms(),
    )
    made: Insert = statement.on_conflict_do_update(
        index_elements=[breakers.c.provider, breakers.c.model],
        set_={"claimed_until": statement.excluded.claimed_until},
        where=or_(breakers.c.claimed_until.is_(None), breakers.c.claimed_until < now_ms()),
    ).returning(breakers.c.model)
    return made


_APPEAR, _TELL, _CLAIM = Prepared(_appear), Prepared(_tell), Prepared(_claim)


def appear(connection: Connection, server: str) -> int:
    """Note that a server is there; return how many are, itself among them."""
    _APPEAR.run(connection, {"id": server})
    connection.execute(delete(servers).where(servers.c.seen_at < now_ms() - SEEN_MS))
    return connection.execute(select(func.count()).select_from(servers)).scalar_one()


def disappear(connection: Connection, server: str) -> None:
    """Note that a server goes away."""
    connection.execute(delete(servers).where(servers.c.id == server))


def tell(connection: Connection, word: Row) -> None:
    """Keep the newest word on a model, for so many ``milliseconds``; it ends a claim."""
    _TELL.run(connection, word)


def words(connection: Connection) -> list[Row]:
    """Return the newest word on every model, with the milliseconds that are left."""
    left = (breakers.c.until - now_ms()).label("milliseconds")
    rows = connection.execute(
        select(breakers.c.provider, breakers.c.model, breakers.c.state, breakers.c.openings, left)
        .where(breakers.c.changed_at > now_ms() - FORGOTTEN_MS)
        .order_by(breakers.c.changed_at.desc())
        .limit(MOST_WORDS)
    )
    return [dict(row) for row in rows.mappings()]


def claim(connection: Connection, provider: str, model: str, milliseconds: int) -> bool:
    """Take the right to try a model; False while somebody else has it."""
    values = {"provider": provider, "model": model, "milliseconds": milliseconds}
    return bool(_CLAIM.run(connection, values))
