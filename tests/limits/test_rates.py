"""Limits of a minute, counted in this process and in Redis by the same rules (M-8)."""

import asyncio
from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlour.features.limits.counting.memory import SWEEP_EVERY, Memory
from parlour.features.limits.counting.tally import Charge, Tally
from parlour.features.limits.plans import Plan, Plans
from parlour.features.limits.rates import Admission, Rates
from parlour.vocabulary.errors import TooMany
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal, Role
from tests.limits.conftest import Clock, Counted

pytestmark = pytest.mark.anyio

PLANS = Plans(5, 1000, {"gold": Plan(requests_per_minute=50)})


def user(**fields: str) -> Principal:
    return Principal(new_id(), Role.USER, **fields)  # type: ignore[arg-type]


def visitor(address: str) -> Principal:
    return Principal(new_id(), address=address)


async def admitted(
    rates: Rates, principal: Principal, tokens: int = 1, session: str | None = None
) -> Admission:
    return await rates.admit(principal, session_id=session, tokens=tokens)


async def refused(rates: Rates, principal: Principal, tokens: int = 1, session: str | None = None) -> TooMany:
    with pytest.raises(TooMany) as caught:
        await admitted(rates, principal, tokens, session)
    return caught.value


async def test_one_more_than_the_limit_is_refused_and_passes_after_the_wait(brief: Counted) -> None:
    rates, person = Rates(brief.counting, PLANS), user()
    for _ in range(5):
        await admitted(rates, person)
    refusal = await refused(rates, person)
    assert refusal.retry_after is not None
    assert 0 < refusal.retry_after <= 4
    assert f"Go on in {ceil(refusal.retry_after)} second" in str(refusal)
    await brief.wait(refusal.retry_after)
    await admitted(rates, person)


async def test_a_little_less_than_the_wait_is_not_enough() -> None:
    clock = Clock()
    rates, person = Rates(Memory(60, clock=clock), PLANS), user()
    for _ in range(5):
        await admitted(rates, person)
    wait = (await refused(rates, person)).retry_after or 0
    clock.now += wait - 0.02
    assert ((await refused(rates, person)).retry_after or 0) == pytest.approx(0.02)


async def test_of_many_at_once_no_more_than_the_limit_pass(counted: Counted) -> None:
    rates, person = Rates(counted.counting, PLANS), user()
    results = await asyncio.gather(*(admitted(rates, person) for _ in range(40)), return_exceptions=True)
    assert sum(isinstance(each, Admission) for each in results) == 5
    assert sum(isinstance(each, TooMany) for each in results) == 35


async def test_tokens_count_by_estimate_and_then_by_what_was_used(counted: Counted) -> None:
    rates, person = Rates(counted.counting, PLANS), user()
    first = await admitted(rates, person, 100)
    await rates.settle(first, 700)
    assert (await admitted(rates, person, 300)).allowances[1].remaining == 0
    refusal = await refused(rates, person, 1)
    assert [each.remaining for each in refusal.allowances] == [3, 0]


async def test_an_answer_beyond_the_limit_uses_up_the_rest_and_no_more(brief: Counted) -> None:
    rates, person = Rates(brief.counting, PLANS), user()
    await rates.settle(await admitted(rates, person, 100), 50_000)
    wait = (await refused(rates, person, 1)).retry_after or 0
    await brief.wait(wait)
    await admitted(rates, person, 1)


async def test_more_than_the_limit_allows_passes_when_nothing_was_used(counted: Counted) -> None:
    rates, person = Rates(counted.counting, PLANS), user()
    await admitted(rates, person, 5000)
    wait = (await refused(rates, person, 1)).retry_after or 0
    assert 0 < wait <= 120.01


async def test_everybody_has_a_limit_of_their_own(counted: Counted) -> None:
    rates, one, other = Rates(counted.counting, PLANS), user(), user()
    for _ in range(5):
        await admitted(rates, one)
    await refused(rates, one)
    await admitted(rates, other)


async def test_a_refusal_takes_nothing_from_the_other_limits(counted: Counted) -> None:
    rates, shared, one = Rates(counted.counting, PLANS), "203.0.113.7", visitor("203.0.113.7")
    for _ in range(5):
        await admitted(rates, visitor(shared))
    for _ in range(8):
        assert "network" in str(await refused(rates, one))
    elsewhere = Principal(one.person_id, address="203.0.113.8")
    assert (await admitted(rates, elsewhere)).allowances[0].remaining == 4


async def test_visitors_of_one_address_share_a_limit_and_users_do_not(counted: Counted) -> None:
    rates, address = Rates(counted.counting, PLANS), "2001:db8:1:2::{}"
    for number in range(5):
        await admitted(rates, visitor(address.format(number)))
    await refused(rates, visitor(address.format("ffff:0:1")))
    await admitted(rates, user(address=address.format(1)))


async def test_a_session_and_a_key_have_limits_too(counted: Counted) -> None:
    rates, key = Rates(counted.counting, PLANS), new_id()
    for _ in range(5):
        await admitted(rates, user(), session="the-session")
        await admitted(rates, user(key_id=key))
    assert "conversation" in str(await refused(rates, user(), session="the-session"))
    assert "key" in str(await refused(rates, user(key_id=key)))


async def test_a_plan_gives_its_people_other_limits(counted: Counted) -> None:
    rates = Rates(counted.counting, PLANS)
    gold = user(plan="gold")
    allowance = (await admitted(rates, gold, session="gold")).allowances[0]
    assert (allowance.limit, allowance.remaining) == (50, 49)
    assert (await admitted(rates, user(plan="nobody's"))).allowances[0].limit == 5


async def test_strangers_from_one_address_are_counted_before_they_have_a_name(counted: Counted) -> None:
    """M-8: else a new token would be a new limit"""
    rates = Rates(counted.counting, PLANS)
    for number in range(5):
        await rates.admit_stranger(f"2001:db8::{number}")
    with pytest.raises(TooMany, match="network"):
        await rates.admit_stranger("2001:db8::9")
    await admitted(rates, visitor("2001:db8::9"))


async def test_headers_tell_what_is_left(counted: Counted) -> None:
    rates, person = Rates(counted.counting, PLANS), user()
    admission = await admitted(rates, person, 400)
    assert admission.headers() == {
        "RateLimit-Policy": '"requests";q=5;w=60, "tokens";q=1000;w=60;qu="tokens"',
        "RateLimit": '"requests";r=4;t=61, "tokens";r=600;t=120',
    }
    openai = admission.openai_headers()
    assert openai["x-ratelimit-limit-requests"] == "5"
    assert openai["x-ratelimit-remaining-tokens"] == "600"
    assert openai["x-ratelimit-reset-requests"] == "1m1s"


async def test_a_minute_by_the_clock() -> None:
    """M-8: the 61st request of a minute"""
    clock = Clock()
    rates, person = Rates(Memory(60, clock=clock), Plans(60, 100_000)), user()
    for _ in range(60):
        await admitted(rates, person)
        clock.now += 0.5
    refusal = await refused(rates, person)
    assert refusal.retry_after is not None
    assert ceil(refusal.retry_after) == 31  # 30 s of the minute, and 1 s until the first of it counts no more
    clock.now += refusal.retry_after
    await admitted(rates, person)
    await refused(rates, person)


@given(
    previous=st.integers(0, 500),
    current=st.integers(0, 500),
    left=st.floats(0.001, 60),
    limit=st.integers(1, 300),
    cost=st.integers(1, 300),
)
def test_the_wait_is_enough_and_hardly_more(
    previous: int, current: int, left: float, limit: int, cost: int
) -> None:
    tally = Tally(previous, current, left)
    wait = tally.wait(limit, cost, 60)
    room = limit - min(cost, limit)

    def used(later: float) -> int:
        passed = (
            Tally(previous, current, left - later) if later < left else Tally(current, 0, left + 60 - later)
        )
        return passed._replace(left=max(0.0, passed.left)).used(60)

    assert used(wait) <= room
    if wait > 0.02:
        assert used(wait - 0.02) > room
    assert (wait == 0) == (tally.used(60) <= room)


async def test_keys_that_count_no_more_are_forgotten() -> None:
    clock = Clock()
    memory = Memory(60, clock=clock)
    for number in range(SWEEP_EVERY - 1):
        await memory.admit([Charge(f"old {number}", 5, 1)])
    clock.now += 150
    await memory.admit([Charge("new", 5, 1), Charge("newer", 5, 1)])
    assert len(memory._counters) == 2


def test_who_has_no_plan_of_their_own_has_the_default_one_and_visitors_theirs() -> None:
    """M-8: so a model can be kept for some"""
    dear = Plan(models=("openai/*",))
    plans = Plans(
        5, 50, {"gold": dear, "default": Plan(models=("ollama/*",)), "visitors": Plan(models=("b/*",))}
    )
    assert plans.of(user(plan="gold")) is dear
    for somebody in (user(), user(plan="golden"), user(plan="default")):
        assert not plans.of(somebody).offers("openai/gpt")
        assert plans.of(somebody).offers("ollama/llama")
    visitor = replace(user(), role=Role.VISITOR)
    assert plans.of(visitor).offers("b/c")
    assert not plans.of(visitor).offers("ollama/llama")
    assert plans.name_of(visitor) == "visitors"
    assert Plans(5, 50).name_of(visitor) is None
