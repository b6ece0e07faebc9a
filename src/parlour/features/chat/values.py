"""Frozen values that the room's store, turn and routes hand to each other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from parlour.features.limits.rates import Admission
from parlour.llm.model import Chosen, Prompt, Turn
from parlour.vocabulary.attempt import Attempt
from parlour.vocabulary.citation import Citation
from parlour.vocabulary.errors import ParlourError
from parlour.vocabulary.messages import FinishReason, Status
from parlour.vocabulary.principal import Principal
from parlour.vocabulary.usage import Usage

Row = dict[str, Any]
"""A stored row by column name."""


@dataclass(frozen=True, slots=True)
class Send:
    """A message on its way in, already validated. Without ``parent_id`` it follows the leaf in view."""

    text: str
    assistant_id: str
    session_id: str | None = None
    parent_id: str | None = None
    model: str | None = None
    client_message_id: str | None = None
    fingerprint: str | None = None
    context: dict[str, Any] | None = None
    earlier: tuple[Turn, ...] = ()  # what was said elsewhere before; a new session begins with it


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt to produce an assistant message, as its owner or a reader needs to know it."""

    id: str
    session_id: str
    person_id: str
    user_message_id: str
    message_id: str
    assistant_id: str
    status: Status
    fence: int
    created_at: datetime
    model: str | None = None
    plan: str | None = None
    key_id: str | None = None
    again: bool = False  # asked for beside an answer that is there; known where it was accepted only
    error: dict[str, Any] | None = None
    finished_at: datetime | None = None


class Said(NamedTuple):
    """What of a stored message the answer to it, or to a later one, needs."""

    id: str
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that is kept, with the run that answers it. ``replayed``: it was kept before.

    ``said`` is what the run has to answer, where that was read in the same unit of work.
    """

    run: Run
    replayed: bool = False
    owned: bool = False
    said: Sequence[Said] | None = None
    admission: Admission | None = None  # how its limits stood when it came in


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds runs here: this process's name and how long a hold lasts without renewal."""

    owner: str
    milliseconds: int = 10_000


@dataclass(slots=True)
class Outcome:
    """How a reply came out; gathered while it streams, stored at its end."""

    status: Status = Status.COMPLETED
    finish_reason: FinishReason | None = None
    content: str = ""
    agent: str | None = None
    model: str | None = None
    provider: str | None = None
    why: str | None = None
    citations: list[Citation] = field(default_factory=list)
    prompt: Prompt | None = None  # what the model was told, once it was
    lost: list[Chosen] = field(default_factory=list)  # whom earlier owners were asking when they died
    attempts: list[Attempt] = field(default_factory=list)  # every call that was made for it
    usage: Usage | None = None
    cost_usd: Decimal | None = None
    latency_ms: int | None = None
    ttft_ms: int | None = None
    error: dict[str, Any] | None = None


class LeaseLost(ParlourError):
    """Another process owns the run now; nothing was written."""

    code = "lease_lost"


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted."""

    limit: int
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """Which sessions are wanted."""

    principal: Principal
    page: Page
    text: str | None = None
    archived: bool = False


def milliseconds_since(moment: datetime) -> int:
    """Return how long ago a moment was, never less than nothing: clocks may be set."""
    return max(0, round((datetime.now(UTC) - moment).total_seconds() * 1000))
