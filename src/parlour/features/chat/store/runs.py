"""The SQL of runs: hold and renew leases, keep the event log, finish, take over.

Each function is one unit of work. Whoever writes for a run names its fencing number, and a stale one
changes nothing. What every answer runs is prepared.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import (
    Connection,
    FromClause,
    Select,
    and_,
    bindparam,
    exists,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql import ColumnElement

from parlour.features.chat.schemas import outcome_row
from parlour.features.chat.tables import messages, run_events, runs, sessions
from parlour.features.chat.values import Lease, LeaseLost, Outcome, Row, Run
from parlour.infra.storage.prepared import Prepared
from parlour.infra.storage.schema import Ids, among, now_ms, upsert
from parlour.vocabulary.attempt import Attempt
from parlour.vocabulary.errors import NotFound
from parlour.vocabulary.events import Entry, EventKind, Position
from parlour.vocabulary.messages import Status
from parlour.vocabulary.principal import Principal

Settle = Callable[[Connection, Run, Sequence[Attempt]], None]

EVENT_ROWS = 500  # rows of the log in one read: bounds a follower's memory
TAKE_AT_ONCE = 50

_RUN = select(runs, sessions.c.assistant_id).join(sessions, sessions.c.id == runs.c.session_id)


def is_active(table: FromClause = runs) -> ColumnElement[bool]:
    """Return the condition of waiting and running runs, in the very words of their index.

    SQLite uses the index for these words only, not for parameters; without it every look reads all runs.
    """
    return table.c.status.in_([literal_column("'pending'"), literal_column("'streaming'")])


_HELD = Prepared(
    select(runs.c.id, runs.c.fence)
    .where(
        among(runs.c.id, bindparam("ids", type_=Ids())),
        runs.c.owner == bindparam("owner"),
        runs.c.status == Status.STREAMING.value,
    )
    .with_for_update(read=True)
)
_KEEP_EVENTS = upsert(run_events)
_ADD_EVENTS = Prepared(_KEEP_EVENTS)
_END_REPLY = (
    update(messages)
    .where(messages.c.id == bindparam("message"))
    .values({name: bindparam(f"reply_{name}") for name in outcome_row(Outcome())})
)
_TOUCH_SESSION = (
    update(sessions)
    .where(sessions.c.id == bindparam("session"))
    .values(
        last_active_at=bindparam("now"),
        updated_at=bindparam("now"),
        token_count=sessions.c.token_count + bindparam("tokens"),
    )
)
_END_RUN = (
    update(runs)
    .where(
        runs.c.id == bindparam("run_id"),
        runs.c.fence == bindparam("fence"),
        runs.c.owner == bindparam("owner"),
        runs.c.status == Status.STREAMING.value,
    )
    .values(
        status=bindparam("reply_status"),
        error=bindparam("reply_error"),
        finished_at=bindparam("now"),
        lease_until=null(),
    )
    .returning(runs.c.id)
)
_END = Prepared(_KEEP_EVENTS, _END_REPLY, _TOUCH_SESSION, _END_RUN)
_FOLLOWING = Prepared(
    select(runs.c.id)
    .where(
        runs.c.session_id == bindparam("session"),
        is_active(),
        runs.c.status == Status.PENDING.value,
    )
    .order_by(runs.c.place)
    .limit(literal_column("1"))
    .with_for_update()  # whoever stops it at this moment comes before or after, not in between
)


def find_run(connection: Connection, *where: ColumnElement[bool]) -> Run | None:
    """Return the run that meets ``where``, if there is one."""
    row = connection.execute(_RUN.where(*where)).mappings().one_or_none()
    return _run(dict(row)) if row else None


def own_run(connection: Connection, principal: Principal, run_id: str) -> Run:
    """Return a run of this person. Raises NotFound for any other."""
    run = find_run(
        connection,
        runs.c.id == run_id,
        runs.c.person_id == principal.person_id,
        sessions.c.deleted_at.is_(None),
    )
    if run is None:
        raise NotFound
    return run


def append_events(
    connection: Connection, lease: Lease, batches: Sequence[tuple[str, int, list[Entry]]]
) -> set[str]:
    """Add to the logs of ``(run id, fence, entries)``; return the runs that are still this owner's.

    The rows of the runs are held while the events go in, so that a takeover sees either none or all of them.
    Entries may come again, with more behind them, when it was not learnt whether they had been kept.
    """
    ids = [run_id for run_id, _, _ in batches]
    held = {(row.id, row.fence) for row in _HELD.run(connection, {"ids": ids, "owner": lease.owner})}
    ours = [batch for batch in batches if batch[:2] in held]
    _ADD_EVENTS.run_many(connection, [_event_row(run_id, entries) for run_id, _, entries in ours])
    return {run_id for run_id, _, _ in ours}


def finish(
    connection: Connection,
    lease: Lease,
    run: Run,
    outcome: Outcome,
    entries: list[Entry],
    *,
    now: datetime,
    settle: Settle,
) -> Run | None:
    """Store how ``run`` came out, and return the next run of its session, which is now this owner's.

    ``entries`` ends with the last event of the run; ``settle`` writes down what its calls cost. Raises
    LeaseLost when another owner holds the run: the unit of work then leaves nothing of this.
    """
    values = {f"reply_{name}": value for name, value in outcome_row(outcome).items()}
    values |= _event_row(run.id, entries)
    values |= {
        "message": run.message_id,
        "session": run.session_id,
        "tokens": outcome.usage.total if outcome.usage else 0,
        "fence": run.fence,
        "owner": lease.owner,
        "now": now,
    }
    if not _END.run(connection, values):
        raise LeaseLost
    settle(connection, run, outcome.attempts)
    following = _FOLLOWING.run(connection, {"session": run.session_id})
    return _take(connection, lease, following[0].id) if following else None


def renew(connection: Connection, lease: Lease, run_ids: list[str]) -> dict[str, bool]:
    """Hold these runs for another while if they are this owner's; return what :func:`wishes` does."""
    connection.execute(
        update(runs)
        .where(runs.c.id.in_(run_ids), runs.c.owner == lease.owner, runs.c.status == Status.STREAMING.value)
        .values(lease_until=now_ms() + lease.milliseconds)
    )
    return wishes(connection, lease)


def wishes(connection: Connection, lease: Lease) -> dict[str, bool]:
    """Return the runs of this owner, each with whether its stop was asked for."""
    rows = connection.execute(
        select(runs.c.id, runs.c.stop_requested).where(
            is_active(), runs.c.owner == lease.owner, runs.c.status == Status.STREAMING.value
        )
    )
    return {row.id: row.stop_requested for row in rows}


def release(connection: Connection, lease: Lease) -> None:
    """Let go of all this owner's runs, so that any other may take them up at once."""
    connection.execute(
        update(runs)
        .where(runs.c.owner == lease.owner, runs.c.status == Status.STREAMING.value)
        .values(lease_until=0)
    )


def find_orphans(connection: Connection, lease: Lease, *, alone: bool, besides: list[str]) -> list[str]:
    """Return runs whose lease ran out, and waiting ones that nobody started, ``besides`` some.

    ``alone`` says that no other process can be alive on this database: then every foreign lease is void.
    """
    return list(connection.execute(_orphans(lease, alone=alone, besides=besides)).scalars())


def take_over(connection: Connection, lease: Lease, *, alone: bool, besides: list[str]) -> list[Run]:
    """Make the runs of :func:`find_orphans` this owner's, unless another was faster."""
    orphans = _orphans(lease, alone=alone, besides=besides).with_for_update(skip_locked=True)
    return [_take(connection, lease, run_id) for run_id in list(connection.execute(orphans).scalars())]


def _orphans(lease: Lease, *, alone: bool, besides: list[str]) -> Select[Any]:
    void = runs.c.lease_until < now_ms()
    if alone:
        void = or_(void, runs.c.owner != lease.owner)
    earlier = runs.alias("earlier")
    first_in_line = ~exists().where(
        earlier.c.session_id == runs.c.session_id,
        is_active(earlier),
        earlier.c.place < runs.c.place,
    )
    return (
        select(runs.c.id)
        .where(
            is_active(),
            runs.c.id.not_in(besides),
            or_(
                and_(runs.c.status == Status.STREAMING.value, void),
                and_(runs.c.status == Status.PENDING.value, first_in_line),
            ),
        )
        .order_by(runs.c.id)
        .limit(TAKE_AT_ONCE)
    )


def events_after(
    connection: Connection, run_id: str, after: Position, *, below_fence: int | None = None
) -> tuple[list[Entry], Status]:
    """Return the stored events after a position (a bounded part of them), and the run's status.

    The status is read first: when it is final, the events that follow are all there will be.
    """
    status = Status(connection.execute(select(runs.c.status).where(runs.c.id == run_id)).scalar_one())
    beyond = or_(
        run_events.c.fence > after.fence,
        and_(run_events.c.fence == after.fence, run_events.c.last_seq > after.seq),
    )
    query = select(run_events).where(run_events.c.run_id == run_id, beyond)
    if below_fence is not None:
        query = query.where(run_events.c.fence < below_fence)
    rows = connection.execute(
        query.order_by(run_events.c.fence, run_events.c.first_seq).limit(EVENT_ROWS)
    ).all()
    return [entry for row in rows for entry in _entries(row) if entry.position > after], status


def last_position(connection: Connection, run_id: str) -> Position | None:
    """Return where the stored log ends; None when there is none, or none any more."""
    row = connection.execute(
        select(run_events.c.fence, run_events.c.last_seq)
        .where(run_events.c.run_id == run_id)
        .order_by(run_events.c.fence.desc(), run_events.c.first_seq.desc())
        .limit(1)
    ).one_or_none()
    return Position(row.fence, row.last_seq) if row else None


def _take(connection: Connection, lease: Lease, run_id: str) -> Run:
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(
            owner=lease.owner,
            fence=runs.c.fence + 1,
            status=Status.STREAMING.value,
            lease_until=now_ms() + lease.milliseconds,
        )
    )
    run = find_run(connection, runs.c.id == run_id)
    if run is None:
        raise NotFound
    return run


def _run(row: Row) -> Run:
    return Run(
        id=row["id"],
        session_id=row["session_id"],
        person_id=row["person_id"],
        user_message_id=row["user_message_id"],
        message_id=row["message_id"],
        assistant_id=row["assistant_id"],
        status=Status(row["status"]),
        fence=row["fence"],
        created_at=row["created_at"],
        model=row["model"],
        plan=row["plan"],
        key_id=row["key_id"],
        error=row["error"],
        finished_at=row["finished_at"],
    )


def _event_row(run_id: str, entries: list[Entry]) -> Row:
    parts = (b'["%b",%b]' % (entry.kind.encode(), entry.data) for entry in entries)
    first, last = entries[0].position, entries[-1].position
    return {
        "run_id": run_id,
        "fence": first.fence,
        "first_seq": first.seq,
        "last_seq": last.seq,
        "entries": (b"[" + b",".join(parts) + b"]").decode(),
    }


def _entries(row: Any) -> Iterable[Entry]:  # noqa: ANN401 - a row of run_events
    for offset, (kind, data) in enumerate(orjson.loads(row.entries)):
        yield Entry(Position(row.fence, row.first_seq + offset), EventKind(kind), orjson.dumps(data))
