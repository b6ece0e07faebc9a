"""One call to a model, as the ledger keeps it: who was asked, why, how it went, what it cost."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from parlour.vocabulary.usage import Usage


class AttemptStatus(StrEnum):
    """How a call to a model ended. ``skipped`` was not made; ``lost`` died with its process."""

    ANSWERED = "answered"
    FAILED = "failed"
    STOPPED = "stopped"
    SKIPPED = "skipped"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the ledger.

    ``why`` says in words why this model was asked (or passed over). ``error`` is a stable code of
    :mod:`parlour.vocabulary.errors`; ``cause`` is for the operator only. ``cost_usd`` None means that the
    price is unknown, not that it was free.
    """

    provider: str
    model: str
    status: AttemptStatus
    why: str
    started_at: datetime
    duration_ms: int = 0
    ttft_ms: int | None = None
    usage: Usage | None = None
    cost_usd: Decimal | None = None
    error: str | None = None
    cause: str | None = None
    cached: bool = False
