"""The SQL of accepting: one unit of work keeps a message and the run that will answer it.

The hot path of the store: what every message runs is prepared.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import (
    Connection,
    Insert,
    bindparam,
    case,
    exists,
    false,
    func,
    insert,
    null,
    select,
    type_coerce,
    update,
)

from parlour.features.chat.store.runs import find_run, is_active
from parlour.features.chat.tables import messages, runs, sessions
from parlour.features.chat.values import Accepted, Lease, Row, Run, Send
from parlour.infra.storage.prepared import Prepared
from parlour.infra.storage.schema import now_ms
from parlour.llm.model import Turn
from parlour.vocabulary.errors import Conflict, NotFound
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.messages import MessageRole, Status
from parlour.vocabulary.principal import Principal

RememberPerson = Callable[[Connection, Principal, datetime], None]


Transaction = Connection
"""What a unit of work runs on, as others hand it in."""


class Gate(Protocol):
    """What else has a say in whether a message is accepted, in the same unit of work.

    An error from it refuses the message, and leaves nothing of it.
    """

    def check_session(self, tokens_used: int) -> None:
        """Look at a session that a message comes to."""
        ...

    def reserve(self, connection: Connection, run: Run, text: str) -> None:
        """Reserve what the answer of ``run`` to ``text`` may cost."""
        ...


def _keep_message(who: str) -> Insert:
    own = ("id", "parent_id", "role", "content", "status", "client_message_id", "fingerprint")
    return insert(messages).values(
        session_id=bindparam("session"),
        person_id=bindparam("person"),
        created_at=bindparam("now"),
        **{name: bindparam(f"{who}_{name}") for name in own},
    )


def _keep_run() -> Insert:
    """Return the statement that keeps a run: it begins at once, or waits while another answers its session.

    The session is locked by then, so no run comes to it or goes meanwhile.
    """
    others = exists().where(runs.c.session_id == bindparam("session"), is_active())
    busy = select(others.label("waits")).subquery("busy")
    place = select(sessions.c.message_count).where(sessions.c.id == bindparam("session")).scalar_subquery()
    values: dict[str, Any] = {
        "id": bindparam("run"),
        "session_id": bindparam("session"),
        "person_id": bindparam("person"),
        "user_message_id": bindparam("reply_parent_id"),
        "message_id": bindparam("reply_id"),
        "place": place,
        "status": case((busy.c.waits, Status.PENDING.value), else_=Status.STREAMING.value),
        "model": bindparam("model"),
        "plan": bindparam("plan"),
        "key_id": bindparam("key"),
        "context": bindparam("context"),
        "owner": case((busy.c.waits, null()), else_=bindparam("owner")),
        "fence": case((busy.c.waits, 0), else_=1),
        "lease_until": case((busy.c.waits, null()), else_=now_ms() + bindparam("lease")),
        "stop_requested": false(),
        "created_at": bindparam("now"),
    }
    typed = [type_coerce(value, runs.c[name].type) for name, value in values.items()]
    return insert(runs).from_select(list(values), select(*typed)).returning(runs.c.status, runs.c.fence)


_KNOWN = Prepared(
    select(messages.c.id, messages.c.session_id, messages.c.role, messages.c.fingerprint).where(
        messages.c.person_id == bindparam("person"), messages.c.client_message_id == bindparam("client_id")
    )
)
_FIRST_REPLY = (
    select(messages.c.id)
    .where(messages.c.session_id == bindparam("session"), messages.c.parent_id == bindparam("asked"))
    .order_by(messages.c.id)
    .limit(1)
)
_GIVEN = [column.name for column in sessions.c if column.name not in ("archived_at", "deleted_at")]
_ADD_SESSION = Prepared(insert(sessions).values({name: bindparam(name) for name in _GIVEN}))
_SESSION = Prepared(
    select(
        sessions.c.id, sessions.c.assistant_id, sessions.c.leaf_id, sessions.c.model, sessions.c.token_count
    )
    .where(
        sessions.c.id == bindparam("session"),
        sessions.c.person_id == bindparam("person"),
        sessions.c.deleted_at.is_(None),
    )
    .with_for_update()
)
_ADVANCE_SESSION = (
    update(sessions)
    .where(sessions.c.id == bindparam("session"))
    .values(
        title=func.coalesce(sessions.c.title, bindparam("first_words")),
        title_by=case((sessions.c.title.is_(None), bindparam("named_by")), else_=sessions.c.title_by),
        leaf_id=bindparam("reply_id"),
        message_count=sessions.c.message_count + bindparam("more"),
        updated_at=bindparam("now"),
        last_active_at=bindparam("now"),
    )
)
_BEGIN_TURN = Prepared(_keep_message("user"), _keep_message("reply"), _ADVANCE_SESSION, _keep_run())
_BEGIN_REPLY = Prepared(_keep_message("reply"), _ADVANCE_SESSION, _keep_run())


def accept(
    connection: Connection,
    principal: Principal,
    send: Send,
    *,
    lease: Lease,
    title: str,
    now: datetime,
    remember: RememberPerson,
    gate: Gate,
) -> Accepted:
    """Keep a message and the run that will answer it, or return what was kept for it before.

    Raises NotFound for a session or parent that is not this person's, Conflict for a client message id that
    was used for something else.
    """
    if send.client_message_id is not None:
        known = replayed(connection, principal, send)
        if known is not None:
            return known
    session = _session_of(connection, principal, send, now=now, remember=remember)
    gate.check_session(session["token_count"])
    if send.session_id is None:
        session["leaf_id"] = _keep_earlier(connection, session, principal, send.earlier, now)
    user_id = new_id()
    values = {
        "user_id": user_id,
        "user_parent_id": _parent_of(connection, session, send),
        "user_role": MessageRole.USER.value,
        "user_content": send.text,
        "user_status": Status.COMPLETED.value,
        "user_client_message_id": send.client_message_id,
        "user_fingerprint": send.fingerprint,
        "first_words": title,
        "named_by": "words",
        "more": 2 + len(send.earlier),
    }
    values |= _reply(user_id)
    accepted = _begin(connection, _BEGIN_TURN, values, session, principal, send, lease=lease, now=now)
    gate.reserve(connection, accepted.run, send.text)
    return accepted


def accept_again(
    connection: Connection,
    principal: Principal,
    message_id: str,
    send: Send,
    *,
    lease: Lease,
    now: datetime,
    gate: Gate,
) -> Accepted:
    """Begin another reply beside ``message_id``. Raises NotFound and Conflict as :func:`accept`."""
    if send.client_message_id is not None:
        known = replayed(connection, principal, send)
        if known is not None:
            return known
    asked = messages.alias("asked")
    found = connection.execute(
        select(messages.c.session_id, messages.c.parent_id, asked.c.content)
        .join(asked, asked.c.id == messages.c.parent_id)
        .where(
            messages.c.id == message_id,
            messages.c.person_id == principal.person_id,
            messages.c.role == MessageRole.ASSISTANT.value,
        )
    ).one_or_none()
    if found is None:
        raise NotFound
    session = _own_session(connection, principal, found.session_id)
    gate.check_session(session["token_count"])
    values = _reply(found.parent_id, send) | {"first_words": None, "named_by": None, "more": 1}
    accepted = _begin(connection, _BEGIN_REPLY, values, session, principal, send, lease=lease, now=now)
    gate.reserve(connection, accepted.run, found.content)
    return replace(accepted, run=replace(accepted.run, again=True))


def replayed(connection: Connection, principal: Principal, send: Send) -> Accepted | None:
    """Return what was kept for a client message id before; None when it is new.

    Raises Conflict when it was used for something else.
    """
    found = _KNOWN.run(connection, {"person": principal.person_id, "client_id": send.client_message_id})
    if not found:
        return None
    known = found[0]
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
    connection: Connection, principal: Principal, send: Send, *, now: datetime, remember: RememberPerson
) -> Row:
    if send.session_id is not None:
        return _own_session(connection, principal, send.session_id)
    remember(connection, principal, now)
    row = new_session(principal, assistant_id=send.assistant_id, now=now)
    _ADD_SESSION.run(connection, row)
    return row


def _keep_earlier(
    connection: Connection, session: Row, principal: Principal, earlier: Sequence[Turn], now: datetime
) -> str | None:
    """Begin a new session with what was said elsewhere; return its leaf."""
    leaf: str | None = None
    rows = []
    for turn in earlier:
        row = {
            "id": new_id(),
            "session_id": session["id"],
            "person_id": principal.person_id,
            "parent_id": leaf,
            "role": turn.role,
            "content": turn.content,
            "status": Status.COMPLETED.value,
            "created_at": now,
        }
        rows.append(row)
        leaf = row["id"]
    if rows:
        connection.execute(insert(messages), rows)
    return leaf


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
        "token_count": 0,
        "created_at": now,
        "updated_at": now,
        "last_active_at": now,
    }


def _own_session(connection: Connection, principal: Principal, session_id: str) -> Row:
    found = _SESSION.run(connection, {"session": session_id, "person": principal.person_id})
    if not found:
        raise NotFound
    row: Row = found[0]._asdict()
    return row


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


def _reply(asked: str, send: Send | None = None) -> Row:
    """Return the values of a reply that is still empty; ``send`` names it when it is what was asked for."""
    return {
        "reply_id": new_id(),
        "reply_parent_id": asked,
        "reply_role": MessageRole.ASSISTANT.value,
        "reply_content": "",
        "reply_status": Status.PENDING.value,
        "reply_client_message_id": send and send.client_message_id,
        "reply_fingerprint": send and send.fingerprint,
    }


def _begin(
    connection: Connection,
    statements: Prepared,
    values: Row,
    session: Row,
    principal: Principal,
    send: Send,
    *,
    lease: Lease,
    now: datetime,
) -> Accepted:
    values |= {
        "session": session["id"],
        "person": principal.person_id,
        "run": new_id(),
        "model": send.model or session["model"],
        "plan": principal.plan,
        "key": principal.key_id,
        "context": send.context,
        "owner": lease.owner,
        "lease": lease.milliseconds,
        "now": now,
    }
    (kept,) = statements.run(connection, values)
    run = Run(
        id=values["run"],
        session_id=session["id"],
        person_id=principal.person_id,
        user_message_id=values["reply_parent_id"],
        message_id=values["reply_id"],
        assistant_id=session["assistant_id"],
        status=Status(kept.status),
        fence=kept.fence,
        created_at=now,
        model=send.model or session["model"],
        plan=principal.plan,
        key_id=principal.key_id,
    )
    return Accepted(run, owned=run.status is Status.STREAMING)
