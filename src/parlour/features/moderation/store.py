"""The only SQL about flags. Each function is one step of a unit of work."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from parlour.features.moderation.tables import flags
from parlour.features.moderation.values import About, Action, Finding, Stage
from parlour.vocabulary.errors import NotFound
from parlour.vocabulary.ids import new_id

Row = dict[str, Any]

# Flags go with their conversation. Those without one must go by themselves: they hold what somebody wrote.
KEPT_ALONE: Final = timedelta(days=90)


def record(connection: Connection, about: About, findings: Sequence[Finding], *, now: datetime) -> None:
    """Keep what was found in a message and its answer; the same run keeps each rule once."""
    known: set[tuple[str, str]] = set()
    if about.run_id is not None:
        wanted = select(flags.c.stage, flags.c.rule).where(flags.c.run_id == about.run_id)
        known = {(row.stage, row.rule) for row in connection.execute(wanted)}
    if about.session_id is None:
        connection.execute(
            delete(flags).where(flags.c.session_id.is_(None), flags.c.created_at < now - KEPT_ALONE)
        )
    new = {
        (finding.stage.value, finding.rule): finding
        for finding in findings
        if (finding.stage.value, finding.rule) not in known
    }
    for finding in new.values():
        connection.execute(
            insert(flags),
            {
                "id": new_id(),
                "person_id": about.person_id,
                "session_id": about.session_id,
                "message_id": about.message_id,
                "run_id": about.run_id,
                "key_id": about.key_id,
                "excerpt": about.excerpt,
                "stage": finding.stage.value,
                "rule": finding.rule,
                "action": finding.action.value,
                "detail": dict(finding.detail),
                "created_at": now,
            },
        )


def listed(
    connection: Connection,
    *,
    before: str | None,
    limit: int,
    stage: Stage | None,
    action: Action | None,
    reviewed: bool | None,
) -> tuple[list[Row], str | None]:
    """Return a page of flags, newest first, and the id after which the next one begins."""
    wanted = select(flags)
    if before is not None:
        wanted = wanted.where(flags.c.id < before)
    if stage is not None:
        wanted = wanted.where(flags.c.stage == stage.value)
    if action is not None:
        wanted = wanted.where(flags.c.action == action.value)
    if reviewed is not None:
        at = flags.c.reviewed_at
        wanted = wanted.where(at.is_not(None) if reviewed else at.is_(None))
    found = connection.execute(wanted.order_by(flags.c.id.desc()).limit(limit + 1)).mappings()
    rows = [dict(row) for row in found]
    return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None


def review(connection: Connection, flag_id: str, *, by: str | None, at: datetime | None) -> Row:
    """Say that somebody has looked at a flag, or with None that nobody has. Raises NotFound."""
    changed = connection.execute(
        update(flags).where(flags.c.id == flag_id).values(reviewed_at=at, reviewed_by=by)
    )
    if changed.rowcount == 0:
        raise NotFound
    return dict(connection.execute(select(flags).where(flags.c.id == flag_id)).mappings().one())


def blocked_messages(connection: Connection, session_id: str) -> frozenset[str]:
    """Return the messages of a session that went no further than to us."""
    wanted = select(flags.c.message_id).where(
        flags.c.session_id == session_id,
        flags.c.action == Action.BLOCK.value,
        flags.c.stage == Stage.INPUT.value,
    )
    return frozenset(connection.execute(wanted).scalars())
