"""The SQL of sessions, messages and feedback. Nobody sees a row without naming the person it belongs to."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    BindParameter,
    Connection,
    Integer,
    bindparam,
    delete,
    exists,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.sql import ColumnElement

from parlour.features.chat.store.accepting import RememberPerson, new_session
from parlour.features.chat.store.cursors import decode_moment, encode_moment
from parlour.features.chat.store.runs import is_active
from parlour.features.chat.tables import feedback, messages, run_events, runs, sessions
from parlour.features.chat.values import Row, SessionQuery
from parlour.infra.storage.prepared import Prepared
from parlour.infra.storage.schema import folded
from parlour.vocabulary.errors import NotFound
from parlour.vocabulary.messages import FinishReason, MessageRole, Status
from parlour.vocabulary.principal import Principal

FORGET_AT_ONCE = 200  # logs in one transaction of the one writer


Release = Callable[[Connection, str], None]
"""Gives back what was reserved for a run that will not begin."""


def create_session(
    connection: Connection,
    principal: Principal,
    values: Row,
    *,
    assistant_id: str,
    now: datetime,
    remember: RememberPerson,
) -> Row:
    """Keep a new, empty session."""
    remember(connection, principal, now)
    row = new_session(principal, assistant_id=assistant_id, now=now) | values
    connection.execute(insert(sessions), row)
    return row | {"archived_at": None, "deleted_at": None}


def read_session(
    connection: Connection, principal: Principal, session_id: str, *, deleted: bool = False
) -> Row:
    """Return one's own session. Raises NotFound for any other, and for a deleted one unless asked for."""
    query = select(sessions).where(sessions.c.id == session_id, sessions.c.person_id == principal.person_id)
    if not deleted:
        query = query.where(sessions.c.deleted_at.is_(None))
    found = connection.execute(query).mappings().one_or_none()
    if found is None:
        raise NotFound
    return dict(found)


def list_sessions(connection: Connection, query: SessionQuery) -> tuple[list[Row], str | None]:
    """Return a page of one's sessions, newest activity first, and the cursor of the next one."""
    wanted = select(sessions).where(
        sessions.c.person_id == query.principal.person_id,
        sessions.c.deleted_at.is_(None),
        sessions.c.archived_at.is_not(None) if query.archived else sessions.c.archived_at.is_(None),
    )
    if query.text:
        pattern = folded(bindparam("pattern", _contains(query.text)))
        said = exists().where(
            messages.c.session_id == sessions.c.id, folded(messages.c.content).like(pattern, escape="\\")
        )
        wanted = wanted.where(or_(folded(sessions.c.title).like(pattern, escape="\\"), said))
    if query.page.cursor is not None:
        moment, session_id = decode_moment(query.page.cursor)
        wanted = wanted.where(
            or_(
                sessions.c.last_active_at < moment,
                (sessions.c.last_active_at == moment) & (sessions.c.id < session_id),
            )
        )
    wanted = wanted.order_by(sessions.c.last_active_at.desc(), sessions.c.id.desc())
    rows = [dict(row) for row in connection.execute(wanted.limit(query.page.limit + 1)).mappings()]
    if len(rows) <= query.page.limit:
        return rows, None
    rows.pop()
    return rows, encode_moment(rows[-1]["last_active_at"], rows[-1]["id"])


def change_session(
    connection: Connection,
    principal: Principal,
    session_id: str,
    values: Row,
    *,
    now: datetime,
    deleted: bool = False,
) -> Row:
    """Change one's own session. Raises NotFound."""
    row = read_session(connection, principal, session_id, deleted=deleted)
    connection.execute(update(sessions).where(sessions.c.id == session_id).values(updated_at=now, **values))
    return row | values | {"updated_at": now}


def suggest_title(connection: Connection, session_id: str, title: str) -> None:
    """Take a model's title, unless a person has named the session meanwhile."""
    connection.execute(
        update(sessions)
        .where(
            sessions.c.id == session_id, or_(sessions.c.title_by.is_(None), sessions.c.title_by == "words")
        )
        .values(title=title, title_by="model")
    )


def delete_session(
    connection: Connection, principal: Principal, session_id: str, *, now: datetime, release: Release
) -> None:
    """Hide one's own session (it can be restored) and ask its runs to stop. Raises NotFound."""
    read_session(connection, principal, session_id)
    _stop_runs(connection, runs.c.session_id == session_id, now=now, release=release)
    change_session(connection, principal, session_id, {"deleted_at": now}, now=now)


def delete_sessions(connection: Connection, principal: Principal, *, now: datetime, release: Release) -> int:
    """Hide all of one's sessions; return how many."""
    _stop_runs(connection, runs.c.person_id == principal.person_id, now=now, release=release)
    return connection.execute(
        update(sessions)
        .where(sessions.c.person_id == principal.person_id, sessions.c.deleted_at.is_(None))
        .values(deleted_at=now, updated_at=now)
    ).rowcount


def ask_to_stop(
    connection: Connection, principal: Principal, run_id: str, *, now: datetime, release: Release
) -> None:
    """Write down that a run shall stop; one that has not begun is stopped here and now."""
    mine = (runs.c.id == run_id, runs.c.person_id == principal.person_id)
    _stop_runs(connection, *mine, now=now, release=release)


def read_message(connection: Connection, principal: Principal, message_id: str) -> Row:
    """Return one's own message with its run, feedback and siblings. Raises NotFound."""
    found = connection.execute(
        select(messages)
        .join(sessions, sessions.c.id == messages.c.session_id)
        .where(
            messages.c.id == message_id,
            messages.c.person_id == principal.person_id,
            sessions.c.deleted_at.is_(None),
        )
    ).mappings()
    row = found.one_or_none()
    if row is None:
        raise NotFound
    return _completed(connection, [dict(row)])[0]


def plain_message(connection: Connection, message_id: str) -> Row:
    """Return a message for the system's own use."""
    return dict(connection.execute(select(messages).where(messages.c.id == message_id)).mappings().one())


def branch(
    connection: Connection, session: Row, *, before: str | None, limit: int
) -> tuple[list[Row], str | None]:
    """Return the newest ``limit`` messages of the branch in view, in the order they were said.

    ``before`` is the message that the page ends just before; the second value is that of the next page. The
    way goes from the leaf by parents, so its cost is that of the page and not of the session.
    """
    rows = ancestors(connection, session["id"], before or session["leaf_id"], limit + (2 if before else 1))
    if before:
        if not rows:
            raise NotFound
        rows = rows[:-1]
    more = len(rows) > limit
    page = rows[-limit:]
    return _completed(connection, page), page[0]["id"] if more else None


def ancestors(connection: Connection, session_id: str, message_id: str | None, limit: int) -> list[Row]:
    """Return a message and those before it on its branch, at most ``limit``, oldest first."""
    if message_id is None:
        return []
    # Not shared: an alias makes its columns when it is first used, and two threads would make two sets.
    way = _way(session_id, message_id, limit)
    found = connection.execute(
        select(messages).join(way, way.c.id == messages.c.id).order_by(way.c.depth.desc())
    ).mappings()
    return [dict(row) for row in found]


def history(connection: Connection, session_id: str, message_id: str, limit: int) -> list[Any]:
    """Return ``id``, ``role`` and ``content`` of what :func:`ancestors` returns: all that a model is told."""
    return _HISTORY.run(connection, {"session": session_id, "message": message_id, "limit": limit})


def _way(
    session: str | BindParameter[str], message: str | BindParameter[str], limit: int | BindParameter[int]
) -> CTE:
    """Return the ids from a message back to the first of its branch, with the distance of each."""
    step = messages.alias("step")
    start = (
        select(messages.c.id, messages.c.parent_id, literal_column("1", Integer).label("depth"))
        .where(messages.c.id == message, messages.c.session_id == session)
        .cte("way", recursive=True)
    )
    return start.union_all(
        select(step.c.id, step.c.parent_id, start.c.depth + literal_column("1", Integer))
        .join(start, step.c.id == start.c.parent_id)
        .where(start.c.depth < limit)
    )


def _history() -> Prepared:
    way = _way(bindparam("session"), bindparam("message"), bindparam("limit", type_=Integer))
    said = select(messages.c.id, messages.c.role, messages.c.content).join(way, way.c.id == messages.c.id)
    return Prepared(said.order_by(way.c.depth.desc()))


_HISTORY = _history()


def set_feedback(
    connection: Connection, principal: Principal, message_id: str, values: Row, *, now: datetime
) -> Row:
    """Keep one's feedback on a reply. Raises NotFound for what is no reply of one's own."""
    row = read_message(connection, principal, message_id)
    if row["role"] != MessageRole.ASSISTANT.value:
        raise NotFound
    changed = connection.execute(
        update(feedback).where(feedback.c.message_id == message_id).values(updated_at=now, **values)
    )
    if changed.rowcount == 0:
        connection.execute(
            insert(feedback),
            {
                "message_id": message_id,
                "person_id": principal.person_id,
                "created_at": now,
                "updated_at": now,
                **values,
            },
        )
    return row | {"rating": values["rating"], "feedback_text": values["text"]}


def forget_events(connection: Connection, before: datetime) -> int:
    """Drop the logs of some runs that ended before a moment, and return of how many.

    There may be more until it is 0. Their messages stay. It begins at the logs, which are few, and not at the
    runs, which only grow.
    """
    old = (
        select(run_events.c.run_id)
        .join(runs, runs.c.id == run_events.c.run_id)
        .where(runs.c.finished_at < before)
        .distinct()
        .limit(FORGET_AT_ONCE)
    )
    ended = list(connection.execute(old).scalars())
    connection.execute(delete(run_events).where(run_events.c.run_id.in_(ended)))
    return len(ended)


def _stop_runs(connection: Connection, *which: ColumnElement[bool], now: datetime, release: Release) -> None:
    """Stop waiting runs and ask running ones to: in this order, for a run may begin in between.

    Runs are touched before their session, as whoever ends a run does: two that meet must not wait for each
    other.
    """
    stopped = connection.execute(
        update(runs)
        .where(*which, is_active(), runs.c.status == Status.PENDING.value)
        .values(status=Status.STOPPED.value, stop_requested=True, finished_at=now)
        .returning(runs.c.id, runs.c.message_id)
    ).all()
    connection.execute(
        update(runs)
        .where(*which, is_active(), runs.c.status == Status.STREAMING.value)
        .values(stop_requested=True)
    )
    connection.execute(
        update(messages)
        .where(messages.c.id.in_([row.message_id for row in stopped]))
        .values(status=Status.STOPPED.value, finish_reason=FinishReason.STOPPED.value)
    )
    for row in stopped:
        release(connection, row.id)


def _completed(connection: Connection, rows: list[Row]) -> list[Row]:
    """Add to messages what other tables know of them: run, feedback, and siblings in the tree."""
    if not rows:
        return rows
    ids = [row["id"] for row in rows]
    known: dict[str, Row] = {
        row.message_id: {"run_id": row.id, "rating": row.rating, "feedback_text": row.text}
        for row in connection.execute(
            select(runs.c.id, runs.c.message_id, feedback.c.rating, feedback.c.text)
            .outerjoin(feedback, feedback.c.message_id == runs.c.message_id)
            .where(runs.c.message_id.in_(ids))
        )
    }
    families = _families(connection, rows)
    for row in rows:
        row.update(known.get(row["id"], {"run_id": None, "rating": None, "feedback_text": None}))
        row["siblings"] = families.get(row["parent_id"], [row["id"]])
    return rows


def _families(connection: Connection, rows: list[Row]) -> dict[str | None, list[str]]:
    parents = {row["parent_id"] for row in rows}
    session_id = rows[0]["session_id"]
    among: Any = messages.c.parent_id.in_([parent for parent in parents if parent])
    if None in parents:
        among = or_(among, messages.c.parent_id.is_(None))
    found = connection.execute(
        select(messages.c.id, messages.c.parent_id)
        .where(messages.c.session_id == session_id, among)
        .order_by(messages.c.id)
    )
    families: dict[str | None, list[str]] = {}
    for row in found:
        families.setdefault(row.parent_id, []).append(row.id)
    return families


def _contains(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
