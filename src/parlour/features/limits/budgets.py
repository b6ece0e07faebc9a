"""Money for a day and a month: reserved before a call for its worst case, settled after it (B-4, P-17).

Both happen inside units of work of others, the one that accepts a message and the one that ends its answer,
so a kill at any moment leaves a reservation that belongs to a run which somebody will take up. Days and
months are those of UTC.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog

from parlour.features.limits.plans import Plans
from parlour.features.limits.store import ledger, money
from parlour.features.limits.store.money import Transaction
from parlour.features.limits.values import Answered, Place
from parlour.infra.web.addresses import group_of
from parlour.vocabulary.attempt import Attempt, AttemptStatus
from parlour.vocabulary.errors import OverBudget
from parlour.vocabulary.principal import Principal, Role

_log = structlog.get_logger(__name__)

# Calls of which nobody knows the price although they were made are taken for the worst case.
_MADE: Final = (
    AttemptStatus.ANSWERED,
    AttemptStatus.STOPPED,
    AttemptStatus.LOST,
)
_WHOSE: Final = {
    "server": "The budget for all answers",
    "person": "Your budget for answers",
    "visitor": "Your share of answers",
    "address": "The share of answers for your network",
    "key": "The budget of this API key",
    "assistant": "The budget of this assistant",
}
MOST_TOLD: Final = 10_000  # budgets of which is remembered that somebody was told
SOON_SECONDS: Final = 20.0  # an answer takes about so long, and gives back what it did not need
_MONTH_LETTERS: Final = len("2026-11")


@dataclass(frozen=True, slots=True)
class Ceilings:
    """US dollars a day and a month; None: no limit. ``visitor_day`` also holds for all of one address."""

    day: Decimal | None = None
    month: Decimal | None = None
    person_day: Decimal | None = None
    person_month: Decimal | None = None
    visitor_day: Decimal | None = None
    key_day: Decimal | None = None
    key_month: Decimal | None = None
    assistant_day: Decimal | None = None
    assistant_month: Decimal | None = None


class Budgets:
    """The budgets, and the ledger of what was spent."""

    def __init__(
        self, ceilings: Ceilings, plans: Plans, *, used_up: Callable[[str], None] = lambda _: None
    ) -> None:
        """Hold to ``ceilings`` and to those of ``plans``; ``used_up`` counts refusals by scope."""
        self._ceilings = ceilings
        self._plans = plans
        self._used_up = used_up
        self._told: set[tuple[str, str, str]] = set()
        self._any = ceilings != Ceilings() or any(
            plan.budget_day is not None or plan.budget_month is not None for plan in plans.named.values()
        )

    def apply(self, principal: Principal, assistant_id: str | None) -> bool:
        """Tell whether any budget holds here: only then is a worst case worth computing."""
        return self._any and bool(self.places(principal, assistant_id, datetime.now(UTC)))

    def reserve(
        self,
        connection: Transaction,
        principal: Principal,
        run_id: str,
        assistant_id: str | None,
        amount: Decimal,
        now: datetime,
        *,
        expires_at: datetime | None = None,
    ) -> None:
        """Reserve the worst case of a run in every budget that it falls under, or raise OverBudget.

        The person must have a row by then, and the caller's unit of work must end with the error. Without
        a budget nothing is written. ``expires_at``: what was reserved is taken as spent from then on.
        """
        places = self.places(principal, assistant_id, now) if self._any else []
        if not places:
            return
        full = money.reserve(
            connection,
            places,
            reservation_id=run_id,
            person_id=principal.person_id,
            amount=amount,
            now=now,
            expires_at=expires_at,
        )
        if full is not None:
            spent, _ = money.standing(connection, [full]).get(full[:3], (Decimal(0), Decimal(0)))
            self._tell(full, amount, spent)
            if amount > full.limit:
                raise OverBudget(f"{_WHOSE[full.scope]} is smaller than what one answer may cost.")
            if spent + amount <= full.limit:
                raise OverBudget(
                    f"What is left of {_within(_WHOSE[full.scope])} is set aside for answers that are being "
                    "written. Try again in a moment.",
                    retry_after=SOON_SECONDS,
                )
            raise _over(full, principal, now)

    def settle(
        self,
        connection: Transaction,
        answered: Answered,
        attempts: Sequence[Attempt],
        *,
        reservation_id: str | None = None,
    ) -> None:
        """Write the ledger of an answer, and put its cost in the place of what was reserved for it."""
        ledger.add(connection, answered, attempts)
        if self._any:
            money.settle(connection, reservation_id or answered.id, _cost(attempts))

    def release(self, connection: Transaction, run_id: str) -> None:
        """Give back what was reserved for a run that ended before anybody was called."""
        if self._any:
            money.settle(connection, run_id, Decimal(0))

    def places(self, principal: Principal, assistant_id: str | None, now: datetime) -> list[Place]:
        """Return the budgets that a call falls under at a moment."""
        return [
            Place(scope, subject, period, limit, person_id)
            for scope, subject, day, month, person_id in self._scopes(principal, assistant_id)
            for period, limit in (
                (now.strftime("%Y-%m-%d"), day),
                (now.strftime("%Y-%m"), month),
            )
            if limit is not None
        ]

    def _scopes(
        self, principal: Principal, assistant_id: str | None
    ) -> Iterator[tuple[str, str, Decimal | None, Decimal | None, str | None]]:
        limits, plan, person = self._ceilings, self._plans.of(principal), principal.person_id
        yield "server", "", limits.day, limits.month, None
        yield (
            "person",
            person,
            plan.budget_day or limits.person_day,
            plan.budget_month or limits.person_month,
            person,
        )
        if principal.role is Role.VISITOR:
            yield "visitor", person, limits.visitor_day, None, person
            yield "address", group_of(principal.address), limits.visitor_day, None, None
        if principal.key_id is not None:
            yield "key", principal.key_id, limits.key_day, limits.key_month, person
        if assistant_id is not None:
            yield "assistant", assistant_id, limits.assistant_day, limits.assistant_month, None

    def _tell(self, place: Place, amount: Decimal, spent: Decimal) -> None:
        """Tell the operator, once for each budget and period, what did not fit in any more."""
        self._used_up(place.scope)
        if amount <= place.limit and spent + amount <= place.limit:
            return  # only for as long as others are answered
        if place[:3] in self._told:
            return
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told.add(place[:3])
        subject = "" if place.scope == "address" else place.subject
        _log.warning(
            "budget_too_small" if amount > place.limit else "budget_used_up",
            scope=place.scope,
            subject=subject,
            period=place.period,
            limit_usd=str(place.limit),
            spent_usd=str(spent),
            worst_usd=str(amount),
        )


def _cost(attempts: Sequence[Attempt]) -> Decimal | None:
    """Return what all attempts cost; None when that is unknown of one that was made."""
    if any(each.cost_usd is None and (each.status in _MADE or each.usage) for each in attempts):
        return None
    return sum((each.cost_usd for each in attempts if each.cost_usd is not None), Decimal(0))


def _within(words: str) -> str:
    """Return words as they stand within a sentence."""
    return words[0].lower() + words[1:]


def _over(place: Place, principal: Principal, now: datetime) -> OverBudget:
    monthly = len(place.period) == _MONTH_LETTERS
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if monthly:
        again = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    else:
        again = midnight + timedelta(days=1)
    figure = "" if principal.role is Role.VISITOR else f" of ${place.limit.normalize():f}"
    when = "this month. It goes on next month." if monthly else "today. It goes on tomorrow."
    return OverBudget(
        f"{_WHOSE[place.scope]}{figure} is used up for {when}",
        retry_after=(again - now).total_seconds(),
    )
