"""The SQL of threads: which session goes on with a conversation that somebody outside has a name for."""

from datetime import datetime
from typing import Any

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
    known = _known(connection, principal, assistant_id, name)
    if known is not None and known.deleted_at is None:
        return str(known.session_id)
    key = {"person_id": principal.person_id, "assistant_id": assistant_id, "name": name}
    remember(connection, principal, now)
    try:
        with connection.begin_nested():
            if known is not None:
                # The one that was deleted, and no other: somebody may have put a new one there meanwhile.
                connection.execute(delete(threads).where(threads.c.session_id == known.session_id))
            values: Row = {"model": None, "metadata": {"thread": name}}
            row = create_session(
                connection, principal, values, assistant_id=assistant_id, now=now, remember=remember
            )
            connection.execute(insert(threads).values(session_id=row["id"], **key))
            return str(row["id"])
    except IntegrityError:
        # Another unit of work was quicker with the same thread: its session it is.
        known = _known(connection, principal, assistant_id, name)
        if known is None:
            raise
        return str(known.session_id)


def _known(connection: Connection, principal: Principal, assistant_id: str, name: str) -> Any:  # noqa: ANN401
    return connection.execute(
        select(threads.c.session_id, sessions.c.deleted_at)
        .join(sessions, sessions.c.id == threads.c.session_id)
        .where(
            threads.c.person_id == principal.person_id,
            threads.c.assistant_id == assistant_id,
            threads.c.name == name,
        )
    ).one_or_none()
