"""Frozen values that the room's rules and its store hand to each other."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple, Protocol

Row = dict[str, Any]
"""A stored row by column name."""

Grouping = Literal["day", "provider", "model", "assistant", "person", "session"]


class Answered(Protocol):
    """What was answered, as its ledger needs to know it: a run, or a completion without a session."""

    @property
    def id(self) -> str:
        """Return the run's id; the reservation was made for it."""
        ...

    @property
    def person_id(self) -> str:
        """Return whose it is."""
        ...

    @property
    def session_id(self) -> str | None:
        """Return its session, if it has one."""
        ...

    @property
    def message_id(self) -> str | None:
        """Return the message that the answer became, if it is kept."""
        ...

    @property
    def assistant_id(self) -> str | None:
        """Return who answered, unless a model was asked by itself."""
        ...

    @property
    def key_id(self) -> str | None:
        """Return the API key that asked, if one did."""
        ...


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer that no run makes: of a model asked by itself, or small work for the run with this id."""

    id: str
    person_id: str
    assistant_id: str | None = None
    key_id: str | None = None
    session_id: str | None = None
    message_id: str | None = None
    reservation_id: str | None = None  # where it is not the id


class Place(NamedTuple):
    """One budget that a reservation is a part of: whose, for which day or month, and how much it allows."""

    scope: str
    subject: str
    period: str
    limit: Decimal
    person_id: str | None = None


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Which usage is wanted: grouped by what, of attempts that began between two moments."""

    by: Grouping
    begin: datetime
    end: datetime
    person_id: str | None = None
