"""Budgets: nothing is overspent, nothing is forgotten, and everybody is told in words (B-4, P-17, A-190)."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from parlour.features.limits.budgets import Budgets, Ceilings
from parlour.features.limits.plans import Plan, Plans
from parlour.features.limits.store import ledger, money
from parlour.features.limits.tables import attempts, reservations, spendings
from parlour.features.limits.values import Completion, UsageQuery
from parlour.features.people.store import remember
from parlour.infra.storage.database import WORKER, Database
from parlour.infra.storage.opening import open_database
from parlour.vocabulary.attempt import Attempt, AttemptStatus
from parlour.vocabulary.errors import OverBudget
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal, Role
from parlour.vocabulary.usage import Usage

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)
RATES = Plans(60, 100_000, {"gold": Plan(budget_day=Decimal(100))})


def visitor(address: str = "203.0.113.7") -> Principal:
    return Principal(new_id(), address=address)


def user() -> Principal:
    return Principal(new_id(), Role.USER)


def attempt(cost: str | None = "0.01", status: AttemptStatus = AttemptStatus.ANSWERED) -> Attempt:
    usage = Usage(100, 20, 10) if status is AttemptStatus.ANSWERED else None
    money = None if cost is None else Decimal(cost)
    return Attempt("openai", "gpt", status, "It was there.", NOW, 900, 300, usage, money)


class Till:
    """Budgets over a database, as a turn uses them."""

    def __init__(self, database: Database, **ceilings: str) -> None:
        self.database = database
        self.refused: list[str] = []
        limits = Ceilings(**{name: Decimal(value) for name, value in ceilings.items()})
        self.budgets = Budgets(limits, RATES, used_up=self.refused.append)

    async def reserve(
        self,
        principal: Principal,
        amount: str,
        *,
        assistant: str = "default",
        now: datetime = NOW,
        expires_at: datetime | None = None,
    ) -> Completion:
        run = Completion(new_id(), principal.person_id, assistant, principal.key_id)

        def work(connection: money.Transaction) -> None:
            remember(connection, principal, now)
            self.budgets.reserve(
                connection, principal, run.id, assistant, Decimal(amount), now, expires_at=expires_at
            )

        await self.database.write(principal, work)
        return run

    async def settle(self, run: Completion, *made: Attempt) -> None:
        await self.database.write(WORKER, lambda c: self.budgets.settle(c, run, made))

    async def standing(self) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
        """What is spent and reserved, by scope and period."""
        rows = await self.database.read(WORKER, lambda c: c.execute(spendings.select()).all())
        return {(row.scope, row.period): (row.spent, row.reserved) for row in rows}


async def test_of_fifty_at_once_exactly_those_pass_for_whom_there_is_money(database: Database) -> None:
    """B-4"""
    till, person = Till(database, day="1.00"), user()
    await till.reserve(person, "0.05")
    results = await asyncio.gather(
        *(till.reserve(user(), "0.095") for _ in range(50)), return_exceptions=True
    )
    passed = [each for each in results if isinstance(each, Completion)]
    refused = [each for each in results if isinstance(each, OverBudget)]
    assert len(passed) == 10
    assert len(refused) == 40
    assert await till.standing() == {("server", "2026-11-21"): (Decimal(0), Decimal("1.00"))}


async def test_several_budgets_at_once_do_not_wait_for_each_other(database: Database) -> None:
    till, address = Till(database, day="9", month="9", person_day="1", visitor_day="1"), "2001:db8::"
    people = [visitor(f"{address}{number:x}") for number in range(20)]
    results = await asyncio.gather(
        *(till.reserve(person, "0.1", assistant=f"a{n % 3}") for n, person in enumerate(people * 2)),
        return_exceptions=True,
    )
    # They all come from one /64, which counts as one visitor.
    assert sum(isinstance(each, Completion) for each in results) == 10
    standing = await till.standing()
    assert standing["address", "2026-11-21"] == (Decimal(0), Decimal(1))
    assert standing["server", "2026-11"] == (Decimal(0), Decimal(1))


async def test_what_was_not_spent_can_be_spent_again(database: Database) -> None:
    till, person = Till(database, person_day="1.00"), user()
    run = await till.reserve(person, "0.90")
    with pytest.raises(OverBudget):
        await till.reserve(person, "0.90")
    await till.settle(run, attempt("0.0123456789"), attempt("0.03"))
    assert await till.standing() == {("person", "2026-11-21"): (Decimal("0.0423456789"), Decimal(0))}
    await till.reserve(person, "0.90")


async def test_a_run_that_failed_without_cost_gives_everything_back(database: Database) -> None:
    till, person = Till(database, person_day="1.00"), user()
    run = await till.reserve(person, "1.00")
    await till.settle(run, attempt(None, AttemptStatus.FAILED), attempt(None, AttemptStatus.SKIPPED))
    assert await till.standing() == {("person", "2026-11-21"): (Decimal(0), Decimal(0))}


async def test_a_call_without_a_known_price_costs_what_was_reserved(database: Database) -> None:
    till, person = Till(database, person_day="1.00"), user()
    run = await till.reserve(person, "0.40")
    await till.settle(run, attempt(None))
    assert await till.standing() == {("person", "2026-11-21"): (Decimal("0.4"), Decimal(0))}


async def test_settling_twice_counts_once(database: Database) -> None:
    till, person = Till(database, person_day="1.00"), user()
    run = await till.reserve(person, "0.40")
    await till.settle(run, attempt("0.1"))
    await till.settle(run, attempt("0.1"))
    assert await till.standing() == {("person", "2026-11-21"): (Decimal("0.1"), Decimal(0))}


async def test_a_refusal_leaves_nothing_behind(database: Database) -> None:
    till, person = Till(database, day="5", person_day="0.10"), user()
    with pytest.raises(OverBudget):
        await till.reserve(person, "0.20")
    assert await till.standing() == {}
    assert await database.read(WORKER, lambda c: c.execute(reservations.select()).all()) == []


async def test_a_reservation_outlives_its_process(database_url: str) -> None:
    """P-17: the next owner of the run settles what the first one reserved"""
    first, person = open_database(database_url), user()
    run = await Till(first, person_day="1").reserve(person, "0.7")
    await first.close()
    second = open_database(database_url)
    till = Till(second, person_day="1")
    with pytest.raises(OverBudget):
        await till.reserve(person, "0.7")
    await till.settle(run, attempt("0.2"))
    await till.reserve(person, "0.7")
    await second.close()


@pytest.mark.parametrize(
    ("ceiling", "again", "words"),
    [
        (
            "person_day",
            timedelta(hours=1, minutes=30),
            "Your budget for answers of $0.5 is used up for today.",
        ),
        ("person_month", timedelta(days=9, hours=1, minutes=30), "used up for this month. It goes on next"),
        ("day", timedelta(hours=1, minutes=30), "The budget for all answers of $0.5 is used up for today."),
        ("assistant_day", timedelta(hours=1, minutes=30), "The budget of this assistant"),
        ("key_month", timedelta(days=9, hours=1, minutes=30), "The budget of this API key"),
    ],
)
async def test_a_refusal_says_which_budget_and_when_it_goes_on(
    database: Database, ceiling: str, again: timedelta, words: str
) -> None:
    till, person = Till(database, **{ceiling: "0.50"}), replace(user(), key_id="key-1")
    await till.settle(await till.reserve(person, "0.50"), attempt("0.50"))
    with pytest.raises(OverBudget, match="used up") as refusal:
        await till.reserve(person, "0.01")
    assert words in str(refusal.value)
    assert refusal.value.retry_after == again.total_seconds()
    await till.reserve(person, "0.50", now=NOW + again)


async def test_visitors_are_told_no_figures(database: Database) -> None:
    till, person = Till(database, visitor_day="0.05"), visitor()
    await till.settle(await till.reserve(person, "0.05"), attempt("0.04"))
    with pytest.raises(OverBudget) as refusal:
        await till.reserve(person, "0.03")
    assert "$" not in str(refusal.value)
    assert "today" in str(refusal.value)


async def test_money_that_is_only_set_aside_comes_back_soon(database: Database) -> None:
    till, person = Till(database, person_day="0.05"), user()
    await till.reserve(person, "0.04")
    with pytest.raises(OverBudget, match="being written") as refusal:
        await till.reserve(person, "0.04")
    assert refusal.value.retry_after is not None
    assert refusal.value.retry_after < 60


async def test_a_budget_below_one_answer_is_not_said_to_be_used_up(database: Database) -> None:
    till, person = Till(database, person_day="0.05"), user()
    with capture_logs() as logs, pytest.raises(OverBudget, match="smaller than what one answer") as refusal:
        await till.reserve(person, "0.06")
    assert refusal.value.retry_after is None
    (told,) = logs
    assert (told["event"], told["limit_usd"], told["worst_usd"]) == ("budget_too_small", "0.05", "0.06")


async def test_a_plan_has_its_own_budget(database: Database) -> None:
    till = Till(database, person_day="1")
    await till.reserve(replace(user(), plan="gold"), "50")
    with pytest.raises(OverBudget):
        await till.reserve(replace(user(), plan="unknown"), "50")


async def test_the_operator_is_told_once_for_each_budget_and_day(database: Database) -> None:
    till, one, other = Till(database, person_day="1"), user(), user()
    with capture_logs() as logs:
        for person in (one, other):
            await till.settle(await till.reserve(person, "1"), attempt("1"))
        for person in (one, one, other):
            with pytest.raises(OverBudget):
                await till.reserve(person, "1")
    told = [line for line in logs if line["event"] == "budget_used_up"]
    assert [line["subject"] for line in told] == [one.person_id, other.person_id]
    assert till.refused == ["person"] * 3


async def test_without_a_budget_nothing_is_written_but_the_ledger(database: Database) -> None:
    till, person = Till(database), user()
    assert not till.budgets.apply(person, "default")
    run = await till.reserve(person, "1000")
    await till.settle(run, attempt())
    assert await till.standing() == {}
    assert len(await database.read(WORKER, lambda c: c.execute(attempts.select()).all())) == 1


async def test_sums_tell_calls_from_those_who_were_passed_over(database: Database) -> None:
    """M-7: what was not asked is no call, and neither is an answer that was kept from before."""
    till, person = Till(database), user()
    made = [attempt(), attempt(None), attempt("0", AttemptStatus.FAILED), attempt("0", AttemptStatus.LOST)]
    not_made = [attempt("0", AttemptStatus.SKIPPED), replace(attempt("0"), cached=True)]
    await till.settle(await till.reserve(person, "1"), *made, *not_made)

    query = UsageQuery("model", NOW - timedelta(days=1), NOW + timedelta(days=1))
    (line,) = await database.read(WORKER, lambda connection: ledger.usage(connection, query))
    assert (line["attempts"], line["calls"], line["failures"], line["unpriced"]) == (6, 4, 2, 1)


async def test_what_nobody_settled_is_spent_after_a_while(database: Database) -> None:
    """P-17"""
    till, person = Till(database, person_day="1"), user()
    await till.reserve(person, "0.30", expires_at=NOW + timedelta(minutes=15))
    kept = await till.reserve(person, "0.20")

    def sweep(at: datetime) -> Callable[[money.Transaction], int]:
        return lambda connection: money.settle_expired(connection, at)

    assert await database.write(WORKER, sweep(NOW + timedelta(minutes=14))) == 0
    assert await database.write(WORKER, sweep(NOW + timedelta(minutes=16))) == 1
    assert await till.standing() == {("person", "2026-11-21"): (Decimal("0.3"), Decimal("0.2"))}
    await till.settle(kept, attempt("0.05"))
    assert await till.standing() == {("person", "2026-11-21"): (Decimal("0.35"), Decimal(0))}


async def test_budgets_of_long_ago_and_addresses_of_yesterday_are_forgotten(database: Database) -> None:
    """S-9"""
    till, person = Till(database, visitor_day="9", person_month="9"), visitor()
    await till.reserve(person, "1")

    async def left(days: int) -> set[str]:
        await database.write(WORKER, lambda c: money.forget(c, NOW + timedelta(days=days)))
        return {scope for scope, _ in await till.standing()}

    assert await left(1) == {"visitor", "address", "person"}
    assert await left(2) == {"visitor", "person"}
    assert await left(62) == {"visitor"}
    assert await left(70) == set()
