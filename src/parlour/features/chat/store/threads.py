"""The SQL of threads: which session goes on with a conversation that somebody outside has a name for."""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from parlour.features.chat.store.accepting import RememberPerson
from parlour.features.chat.store.sessions import create_session
from parlour.features.chat.tables import sessions, threads
from parlour.features.chat.values import Row
from parlour.vocabulary.principal import Principal


def session_of(
    connection: Connection,
    principal: Principal,
    assistant_id: str,
    name: str,
    *,
    now: datetime,
    remember: RememberPerson,
) -> str:
    """Return the session of a thread: a new one for the first time, and after it was deleted."""
    found = _found(connection, principal, assistant_id, name)
    if found is not None:
        return found
    key = {"person_id": principal.person_id, "assistant_id": assistant_id, "name": name}
    remember(connection, principal, now)
    try:
        with connection.begin_nested():
            connection.execute(delete(threads).where(*(threads.c[each] == key[each] for each in key)))
            values: Row = {"model": None, "metadata": {"thread": name}}
            row = create_session(
                connection, principal, values, assistant_id=assistant_id, now=now, remember=remember
            )
            connection.execute(insert(threads).values(session_id=row["id"], **key))
            session_id: str = row["id"]
            return session_id
    except IntegrityError:
        # Another unit of work was quicker with the same thread: its session it is.
        found = _found(connection, principal, assistant_id, name)
        if found is None:
            raise
        return found


def _found(connection: Connection, principal: Principal, assistant_id: str, name: str) -> str | None:
    return connection.execute(
        select(sessions.c.id)
        .join(threads, threads.c.session_id == sessions.c.id)
        .where(
            threads.c.person_id == principal.person_id,
            threads.c.assistant_id == assistant_id,
            threads.c.name == name,
            sessions.c.deleted_at.is_(None),
        )
    ).scalar()
