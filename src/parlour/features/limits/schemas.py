"""How usage and the ledger look on the wire."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from parlour.features.limits.values import Row
from parlour.vocabulary.errors import FieldError, InvalidInput

USUAL_DAYS = 30
MOST_DAYS = 366


def span(first: date | None, last: date | None, today: date) -> tuple[datetime, datetime]:
    """Return the moments between which whole days in UTC begin and end; the last 30 unless told otherwise.

    Raises InvalidInput for more than a year, or none at all.
    """
    last = last or today
    first = first or last - timedelta(days=USUAL_DAYS - 1)
    days = (last - first).days + 1
    if not 1 <= days <= MOST_DAYS:
        raise InvalidInput(FieldError("from", f"Ask for 1 to {MOST_DAYS} days; these are {days}.", "range"))
    begin = datetime.combine(first, time(), UTC)
    return begin, begin + timedelta(days=days)


def usage_json(rows: list[Row], begin: datetime, end: datetime) -> Row:
    """Return a table of usage."""
    return {
        "items": [_usage(row) for row in rows],
        "nextCursor": None,
        "from": begin.date().isoformat(),
        "to": (end - timedelta(days=1)).date().isoformat(),
    }


def _usage(row: Row) -> Row:
    return {
        "key": row["key"],
        "answers": row["answers"],
        "attempts": row["attempts"],
        "calls": int(row["calls"]),
        "failures": int(row["failures"]),
        "inputTokens": int(row["input_tokens"]),
        "outputTokens": int(row["output_tokens"]),
        "cachedTokens": int(row["cached_tokens"]),
        "costUsd": _money(row["cost_usd"]),
        "unpriced": int(row["unpriced"]),
    }


def budget_json(scope: str, period: str, limit: Decimal, standing: tuple[Decimal, Decimal] | None) -> Row:
    """Return how a budget stands."""
    spent, reserved = standing or (Decimal(0), Decimal(0))
    return {
        "scope": scope,
        "period": period,
        "limitUsd": _money(limit),
        "spentUsd": _money(spent),
        "reservedUsd": _money(reserved),
    }


def attempt_json(row: Row, *, with_cause: bool) -> Row:
    """Return one line of the ledger; its cause is for operators."""
    line = {
        "provider": row["provider"],
        "model": row["model"],
        "status": row["status"],
        "why": row["why"],
        "startedAt": _moment(row["started_at"]),
        "durationMs": row["duration_ms"],
        "ttftMs": row["ttft_ms"],
        "cached": row["cached"],
        "usage": None if row["estimated"] is None else _tokens(row),
        "costUsd": _money(row["cost_usd"]),
        "error": row["error"],
    }
    return line | {"cause": row["cause"]} if with_cause else line


def _tokens(row: Row) -> Row:
    return {
        "inputTokens": row["input_tokens"],
        "outputTokens": row["output_tokens"],
        "cachedTokens": row["cached_tokens"],
        "cacheWriteTokens": row["cache_write_tokens"],
        "estimated": row["estimated"],
    }


def _money(amount: Decimal | None) -> float | None:
    """Return money as a JSON number; unknown is null, never zero."""
    return None if amount is None else float(amount)


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
