"""The SQL of accepting: one unit of work keeps a message and the run that will answer it."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update

from parlour.features.chat.store_runs import ACTIVE, find_run
from parlour.features.chat.tables import messages, runs, sessions
from parlour.features.chat.values import Accepted, Lease, Row, Run, Send
from parlour.infra.storage.schema import now_ms
from parlour.vocabulary.errors import Conflict, NotFound
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.messages import MessageRole, Status
from parlour.vocabulary.principal import Principal

RememberPerson = Callable[[Connection, Principal, datetime], None]

_KNOWN = select(messages.c.id, messages.c.session_id, messages.c.role, messages.c.fingerprint).where(
    messages.c.person_id == bindparam("person"), messages.c.client_message_id == bindparam("client_id")
)
_FIRST_REPLY = (
    select(messages.c.id)
    .where(messages.c.session_id == bindparam("session"), messages.c.parent_id == bindparam("asked"))
    .order_by(messages.c.id)
    .limit(1)
)
_SESSION = (
    select(sessions)
    .where(
        sessions.c.id == bindparam("session"),
        sessions.c.person_id == bindparam("person"),
        sessions.c.deleted_at.is_(None),
    )
    .with_for_update()
)
_BUSY = select(runs.c.id).where(runs.c.session_id == bindparam("session"), runs.c.status.in_(ACTIVE)).limit(1)
_ADVANCE_SESSION = (
    update(sessions)
    .where(sessions.c.id == bindparam("session"))
    .values(
        leaf_id=bindparam("leaf"),
        message_count=sessions.c.message_count + bindparam("more"),
        updated_at=bindparam("now"),
        last_active_at=bindparam("now"),
    )
)


def accept(
    connection: Connection,
    principal: Principal,
    send: Send,
    *,
    lease: Lease,
    title: str,
    now: datetime,
    remember: RememberPerson,
) -> Accepted:
    """Keep a message and the run that will answer it, or return what was kept for it before.

    Raises NotFound for a session or parent that is not this person's, Conflict for a client message id that
    was used for something else.
    """
    if send.client_message_id is not None:
        known = _replayed(connection, principal, send)
        if known is not None:
            return known
    session = _session_of(connection, principal, send, title=title, now=now, remember=remember)
    user_id, reply_id = new_id(), new_id()
    asked = _message(session["id"], principal, user_id, _parent_of(connection, session, send), now)
    asked |= {
        "role": MessageRole.USER.value,
        "content": send.text,
        "status": Status.COMPLETED.value,
        "client_message_id": send.client_message_id,
        "fingerprint": send.fingerprint,
    }
    reply = _message(session["id"], principal, reply_id, user_id, now)
    connection.execute(insert(messages), [asked, reply])
    return _begin_run(connection, session, principal, reply, send, lease=lease, now=now, more=2)


def accept_again(
    connection: Connection, principal: Principal, message_id: str, send: Send, *, lease: Lease, now: datetime
) -> Accepted:
    """Begin another reply beside ``message_id``. Raises NotFound and Conflict as :func:`accept`."""
    if send.client_message_id is not None:
        known = _replayed(connection, principal, send)
        if known is not None:
            return known
    found = connection.execute(
        select(messages.c.session_id, messages.c.parent_id).where(
            messages.c.id == message_id,
            messages.c.person_id == principal.person_id,
            messages.c.role == MessageRole.ASSISTANT.value,
        )
    ).one_or_none()
    if found is None or found.parent_id is None:
        raise NotFound
    session = _own_session(connection, principal, found.session_id)
    reply = _message(session["id"], principal, new_id(), found.parent_id, now)
    reply |= {"client_message_id": send.client_message_id, "fingerprint": send.fingerprint}
    connection.execute(insert(messages), [reply])
    return _begin_run(connection, session, principal, reply, send, lease=lease, now=now, more=1)


def _replayed(connection: Connection, principal: Principal, send: Send) -> Accepted | None:
    known = connection.execute(
        _KNOWN, {"person": principal.person_id, "client_id": send.client_message_id}
    ).one_or_none()
    if known is None:
        return None
    if known.fingerprint != send.fingerprint or send.session_id not in (None, known.session_id):
        raise Conflict("This client message id was already used for another message. Use a new one.")
    reply_id = known.id
    if known.role == MessageRole.USER.value:
        reply_id = connection.execute(_FIRST_REPLY, {"session": known.session_id, "asked": known.id}).scalar()
    run = find_run(connection, runs.c.message_id == reply_id, sessions.c.deleted_at.is_(None))
    if run is None:
        raise NotFound
    return Accepted(run, replayed=True)


def _session_of(
    connection: Connection,
    principal: Principal,
    send: Send,
    *,
    title: str,
    now: datetime,
    remember: RememberPerson,
) -> Row:
    if send.session_id is not None:
        session = _own_session(connection, principal, send.session_id)
        if session["title"] is None:
            connection.execute(
                update(sessions).where(sessions.c.id == session["id"]).values(title=title, title_by="words")
            )
        return session
    remember(connection, principal, now)
    row = new_session(principal, assistant_id=send.assistant_id, now=now) | {
        "title": title,
        "title_by": "words",
    }
    connection.execute(insert(sessions), row)
    return row


def new_session(principal: Principal, *, assistant_id: str, now: datetime) -> Row:
    """Return the row of an empty session."""
    return {
        "id": new_id(),
        "person_id": principal.person_id,
        "assistant_id": assistant_id,
        "title": None,
        "title_by": None,
        "model": None,
        "metadata": {},
        "leaf_id": None,
        "message_count": 0,
        "created_at": now,
        "updated_at": now,
        "last_active_at": now,
    }


def _own_session(connection: Connection, principal: Principal, session_id: str) -> Row:
    found = (
        connection.execute(_SESSION, {"session": session_id, "person": principal.person_id})
        .mappings()
        .one_or_none()
    )
    if found is None:
        raise NotFound
    return dict(found)


def _parent_of(connection: Connection, session: Row, send: Send) -> str | None:
    if send.parent_id is None:
        leaf: str | None = session["leaf_id"]
        return leaf
    found = connection.execute(
        select(messages.c.id).where(
            messages.c.id == send.parent_id,
            messages.c.session_id == session["id"],
            messages.c.role == MessageRole.ASSISTANT.value,
        )
    ).scalar()
    if found is None:
        raise NotFound
    return send.parent_id


def _message(
    session_id: str, principal: Principal, message_id: str, parent_id: str | None, now: datetime
) -> Row:
    return {
        "id": message_id,
        "session_id": session_id,
        "person_id": principal.person_id,
        "parent_id": parent_id,
        "role": MessageRole.ASSISTANT.value,
        "content": "",
        "status": Status.PENDING.value,
        "client_message_id": None,
        "fingerprint": None,
        "created_at": now,
    }


def _begin_run(
    connection: Connection,
    session: Row,
    principal: Principal,
    reply: Row,
    send: Send,
    *,
    lease: Lease,
    now: datetime,
    more: int,
) -> Accepted:
    waits = connection.execute(_BUSY, {"session": session["id"]}).scalar() is not None
    run = Run(
        id=new_id(),
        session_id=session["id"],
        person_id=principal.person_id,
        user_message_id=reply["parent_id"],
        message_id=reply["id"],
        assistant_id=session["assistant_id"],
        status=Status.PENDING if waits else Status.STREAMING,
        fence=0 if waits else 1,
        created_at=now,
        model=send.model,
    )
    connection.execute(
        insert(runs).values(
            {
                "id": run.id,
                "session_id": run.session_id,
                "person_id": run.person_id,
                "user_message_id": run.user_message_id,
                "message_id": run.message_id,
                "status": run.status.value,
                "model": run.model,
                "context": send.context,
                "owner": None if waits else lease.owner,
                "fence": run.fence,
                "lease_until": None if waits else now_ms() + lease.milliseconds,
                "stop_requested": False,
                "created_at": now,
            }
        )
    )
    connection.execute(
        _ADVANCE_SESSION, {"session": session["id"], "leaf": reply["id"], "more": more, "now": now}
    )
    return Accepted(run, owned=not waits)
