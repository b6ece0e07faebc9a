"""The SQL of the ledger: a line for every call to a model, and sums over the lines."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, bindparam, case, cast, func, insert, select

from parlour.features.limits.tables import attempts
from parlour.features.limits.values import Answered, Grouping, Row, UsageQuery
from parlour.infra.storage.prepared import Prepared
from parlour.infra.storage.schema import Dollars
from parlour.vocabulary.attempt import Attempt, AttemptStatus
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.usage import Usage

LONGEST_LEDGER = 200  # lines of one answer
MOST_GROUPS = 1000
LONGEST_CAUSE = 2000  # characters; a provider may answer with a whole page

_GROUPS: Mapping[Grouping, ColumnElement[Any]] = {
    # Both databases write a moment as 2026-11-21 …, in UTC.
    "day": func.substr(cast(attempts.c.started_at, Text), 1, 10),
    "provider": attempts.c.provider,
    "model": attempts.c.provider + "/" + attempts.c.model,
    "assistant": attempts.c.assistant_id,
    "person": cast(attempts.c.person_id, Text),
    "session": cast(attempts.c.session_id, Text),
}
_UNPRICED = attempts.c.cost_usd.is_(None) & attempts.c.status.in_(
    [AttemptStatus.ANSWERED.value, AttemptStatus.STOPPED.value]
)
# Who was passed over was never called, nor was anybody for an answer that was kept from before.
_CALLED = (attempts.c.status != AttemptStatus.SKIPPED.value) & attempts.c.cached.is_(False)
_FAILED = attempts.c.status.in_([AttemptStatus.FAILED.value, AttemptStatus.LOST.value])
_ADD = Prepared(insert(attempts).values({column.name: bindparam(column.name) for column in attempts.c}))


def add(connection: Connection, answered: Answered, lines: Sequence[Attempt]) -> None:
    """Write the attempts of one answer, in the order in which they were made."""
    if lines:
        _ADD.run_many(connection, [_row(answered, number, line) for number, line in enumerate(lines, 1)])


def of_message(connection: Connection, message_id: str, *, person_id: str | None) -> list[Row]:
    """Return the lines of one answer, of this person's only unless that is None."""
    query = select(attempts).where(attempts.c.message_id == message_id)
    if person_id is not None:
        query = query.where(attempts.c.person_id == person_id)
    rows = connection.execute(query.order_by(attempts.c.number, attempts.c.id).limit(LONGEST_LEDGER))
    return [dict(row) for row in rows.mappings()]


def usage(connection: Connection, query: UsageQuery) -> list[Row]:
    """Return sums over the attempts of a time, the most expensive groups first (days in their order)."""
    group = _GROUPS[query.by].label("key")
    cost = func.sum(attempts.c.cost_usd, type_=Dollars()).label("cost_usd")
    chosen = (
        select(
            group,
            func.count().label("attempts"),
            func.sum(case((_CALLED, 1), else_=0)).label("calls"),
            func.sum(case((_FAILED, 1), else_=0)).label("failures"),
            func.count(attempts.c.run_id.distinct()).label("answers"),
            func.sum(attempts.c.input_tokens).label("input_tokens"),
            func.sum(attempts.c.output_tokens).label("output_tokens"),
            func.sum(attempts.c.cached_tokens).label("cached_tokens"),
            cost,
            func.sum(case((_UNPRICED, 1), else_=0)).label("unpriced"),
        )
        .where(attempts.c.started_at >= query.begin, attempts.c.started_at < query.end)
        .group_by(group)
        .order_by(group if query.by == "day" else cost.desc().nulls_last(), group)
        .limit(MOST_GROUPS)
    )
    if query.person_id is not None:
        chosen = chosen.where(attempts.c.person_id == query.person_id)
    return [dict(row) for row in connection.execute(chosen).mappings()]


def _row(answered: Answered, number: int, line: Attempt) -> Row:
    used = line.usage or Usage()
    return {
        "id": new_id(),
        "person_id": answered.person_id,
        "session_id": answered.session_id,
        "message_id": answered.message_id,
        "run_id": answered.id,
        "assistant_id": answered.assistant_id,
        "key_id": answered.key_id,
        "number": number,
        "provider": line.provider,
        "model": line.model,
        "status": line.status.value,
        "why": line.why,
        "error": line.error,
        "cause": line.cause[:LONGEST_CAUSE].replace("\x00", "") if line.cause is not None else None,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cached_tokens": used.cached_tokens,
        "cache_write_tokens": used.cache_write_tokens,
        "estimated": line.usage.estimated if line.usage is not None else None,
        "cached": line.cached,
        "cost_usd": line.cost_usd,
        "started_at": line.started_at,
        "ttft_ms": line.ttft_ms,
        "duration_ms": line.duration_ms,
    }
