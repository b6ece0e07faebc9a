"""When a breaker opens, who may try, and when it closes (M-5, P-16)."""

import asyncio
import timeit
from collections.abc import Sequence
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlour.llm.orchestra.breaker import Breaker, BreakerRules, Entry, State, Transition, percentiles
from parlour.llm.orchestra.breakers import Breakers
from parlour.vocabulary.errors import (
    BadKey,
    ContextTooLong,
    Overloaded,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unavailable,
    Unreachable,
)
from tests.llm.orchestra.playing import Clock


class Subject:
    """A breaker with a clock of its own."""

    def __init__(self, rules: BreakerRules | None = None) -> None:
        self.clock = Clock()
        self.breaker = Breaker("openai", "large", rules or BreakerRules(), self.clock)

    def call(self, error: ProviderError | None = None, *, ttft: float = 0.1) -> Entry:
        """Make a call that is answered, or ends in ``error`` before its first word."""
        entry = self.breaker.enter()
        if entry is not Entry.REFUSED:
            if error is None:
                self.breaker.succeeded(self.breaker.spoke(entry, ttft))
            else:
                self.breaker.failed(entry, error)
        return entry

    def fail(self, times: int = 5) -> None:
        for _ in range(times):
            self.call(Overloaded())

    @property
    def state(self) -> str:
        return self.breaker.state.value


@pytest.fixture
def subject() -> Subject:
    """Return a closed breaker."""
    return Subject()


def test_five_failures_open_it_and_four_do_not(subject: Subject) -> None:
    subject.fail(4)
    assert (subject.state, subject.breaker.free) == (State.CLOSED, True)

    subject.fail(1)
    assert (subject.state, subject.breaker.free) == (State.OPEN, False)
    assert subject.call() is Entry.REFUSED


def test_fewer_failures_than_answers_do_not_open_it(subject: Subject) -> None:
    for _ in range(20):
        subject.call()
    subject.fail(19)
    assert subject.state == State.CLOSED

    subject.fail(1)
    assert subject.state == State.OPEN


def test_failures_of_long_ago_do_not_count(subject: Subject) -> None:
    subject.fail(4)
    subject.clock.now += 31
    subject.fail(4)
    assert subject.state == State.CLOSED
    assert subject.breaker.snapshot().failures == 4


@pytest.mark.parametrize("error", [Overloaded(), Unreachable(), TimedOut("stall", 30), BadKey()])
def test_what_is_wrong_with_the_provider_counts(subject: Subject, error: ProviderError) -> None:
    for _ in range(5):
        subject.call(error)
    assert subject.state == State.OPEN
    assert subject.breaker.snapshot().last_error == error.code


@pytest.mark.parametrize("error", [Refused(), ContextTooLong(), Rejected()])
def test_what_is_wrong_with_the_question_does_not(subject: Subject, error: ProviderError) -> None:
    for _ in range(50):
        subject.call(error)
    assert (subject.state, subject.breaker.snapshot().failures) == (State.CLOSED, 0)


def test_after_the_pause_one_call_tries_and_closes_it(subject: Subject) -> None:
    subject.fail()
    subject.clock.now += 9.9
    assert subject.breaker.enter() is Entry.REFUSED

    subject.clock.now += 0.1
    assert subject.state == State.HALF_OPEN
    assert subject.breaker.enter() is Entry.TRYING
    assert [subject.breaker.enter() for _ in range(3)] == [Entry.REFUSED] * 3
    assert not subject.breaker.free

    # A first word is enough: whoever waits need not wait for the last one.
    assert subject.breaker.spoke(Entry.TRYING, 0.5) is Entry.USUAL
    assert subject.state == State.CLOSED
    assert subject.breaker.enter() is Entry.USUAL
    assert subject.breaker.snapshot().failures == 0


def test_the_pause_doubles_with_each_failed_try_up_to_two_minutes(subject: Subject) -> None:
    subject.fail()
    pauses = []
    for _ in range(6):
        pauses.append(subject.breaker.wait)
        subject.clock.now += pauses[-1]
        assert subject.call(Unreachable()) is Entry.TRYING
    assert pauses == [10, 20, 40, 80, 120, 120]

    subject.clock.now += 120
    subject.call()
    subject.fail()
    assert subject.breaker.wait == 10


def test_a_try_that_was_given_up_is_given_to_the_next(subject: Subject) -> None:
    subject.fail()
    subject.clock.now += 10
    subject.breaker.abandoned(subject.breaker.enter())

    assert subject.state == State.HALF_OPEN
    assert subject.breaker.enter() is Entry.TRYING


def test_a_call_that_was_given_up_counts_as_nothing(subject: Subject) -> None:
    for _ in range(100):
        subject.breaker.abandoned(subject.breaker.enter())
    assert subject.breaker.snapshot().calls == 0


def test_calls_that_began_before_it_opened_do_not_prolong_it(subject: Subject) -> None:
    entries = [subject.breaker.enter() for _ in range(10)]
    for entry in entries:
        subject.breaker.failed(entry, Overloaded())
    assert subject.breaker.wait == 10

    subject.clock.now += 5
    subject.breaker.failed(Entry.USUAL, Overloaded())
    assert subject.breaker.wait == 5


@pytest.mark.parametrize(("asked_for", "pause"), [(3.0, 3.0), (None, 10.0), (9999.0, 600.0)])
def test_who_asks_to_slow_down_cools_and_does_not_fail(
    subject: Subject, asked_for: float | None, pause: float
) -> None:
    for _ in range(10):
        subject.call(RateLimited(retry_after=asked_for))
    snapshot = subject.breaker.snapshot()

    assert (subject.state, snapshot.failures, snapshot.retry_in) == (State.COOLING, 0, pause)
    assert subject.call() is Entry.REFUSED
    subject.clock.now += pause
    assert (subject.state, subject.call()) == (State.CLOSED, Entry.USUAL)


def test_a_try_that_is_asked_to_slow_down_has_shown_that_somebody_is_there(subject: Subject) -> None:
    subject.fail()
    subject.clock.now += 10
    subject.call(RateLimited(retry_after=2))

    assert subject.state == State.COOLING


def test_slow_calls_count_only_when_a_threshold_is_set(subject: Subject) -> None:
    for _ in range(10):
        subject.call(ttft=20)
    assert subject.state == State.CLOSED

    strict = Subject(BreakerRules(slow_call=5))
    for _ in range(5):
        strict.call(ttft=20)
    assert strict.state == State.OPEN
    strict.clock.now += 10
    assert strict.call(ttft=6) is Entry.TRYING
    assert (strict.state, strict.breaker.wait) == (State.OPEN, 20)


def test_the_snapshot_tells_how_it_goes(subject: Subject) -> None:
    for hundredths in range(1, 101):
        subject.call(ttft=hundredths / 100)
    subject.call(Overloaded())
    snapshot = subject.breaker.snapshot()

    assert (snapshot.calls, snapshot.failures, snapshot.rate) == (101, 1, 1 / 101)
    assert snapshot.ttft_p50 == pytest.approx(0.685)  # of the last 64
    assert snapshot.ttft_p95 == pytest.approx(0.9685)
    assert snapshot.retry_in is None
    assert percentiles([]) == (None, None)
    assert percentiles([3.0]) == (3.0, 3.0)


@given(st.lists(st.sampled_from(["ok", "fail", "limit", "stop", "wait"]), max_size=200))
def test_whatever_happens_only_one_tries_and_it_can_always_close_again(events: list[str]) -> None:
    subject = Subject()
    for event in events:
        match event:
            case "wait":
                subject.clock.now += 7
            case "stop":
                subject.breaker.abandoned(subject.breaker.enter())
            case _:
                errors = {"fail": Overloaded(), "limit": RateLimited(retry_after=4)}
                subject.call(errors.get(event))
        snapshot = subject.breaker.snapshot()
        assert 0 <= snapshot.failures <= snapshot.calls
        assert subject.breaker.wait <= 120
    subject.clock.now += 120
    entries = [subject.breaker.enter() for _ in range(5)]
    assert entries[0] is not Entry.REFUSED
    assert entries.count(Entry.TRYING) <= 1
    subject.breaker.succeeded(entries[0])
    assert subject.state == State.CLOSED


def test_a_call_through_a_breaker_costs_microseconds(subject: Subject) -> None:
    seconds = min(timeit.repeat(subject.call, number=1000, repeat=5, timer=process_time)) / 1000
    assert seconds < 20e-6


# --- several replicas ---


class Board:
    """What the replicas share, as a database does it: the newest word wins, and one claim at a time."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.words: dict[tuple[str, str], tuple[Transition, float]] = {}
        self.claims: dict[tuple[str, str], float] = {}
        self.away = False

    async def publish(self, transition: Transition) -> None:
        self._check()
        key = transition.provider, transition.model
        self.words[key] = transition, self.clock.now
        self.claims.pop(key, None)

    async def fetch(self) -> Sequence[Transition]:
        self._check()
        return [
            Transition(
                word.provider,
                word.model,
                word.state,
                max(0.0, word.seconds - (self.clock.now - at)),
                word.openings,
            )
            for word, at in self.words.values()
        ]

    async def claim(self, provider: str, model: str, seconds: float) -> bool:
        self._check()
        if self.claims.get((provider, model), 0.0) > self.clock.now:
            return False
        self.claims[provider, model] = self.clock.now + seconds
        return True

    def _check(self) -> None:
        if self.away:
            raise Unavailable


class Replicas:
    """Two servers with one board."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.board = Board(self.clock)
        self.one, self.two = (Breakers(clock=self.clock, shared=self.board) for _ in range(2))

    async def synchronise(self) -> None:
        await self.one.synchronise()
        await self.two.synchronise()
        await self.one.synchronise()

    @staticmethod
    def of(breakers: Breakers) -> Breaker:
        return breakers.of("openai", "large")

    @property
    def states(self) -> list[State]:
        return [self.of(self.one).state, self.of(self.two).state]

    def fail(self) -> None:
        breaker = self.of(self.one)
        for _ in range(5):
            breaker.failed(breaker.enter(), Overloaded())


@pytest.fixture
def replicas() -> Replicas:
    """Return two servers that know nothing bad of anybody."""
    return Replicas()


@pytest.mark.anyio
async def test_what_one_replica_found_out_the_other_one_knows(replicas: Replicas) -> None:
    replicas.fail()
    await replicas.synchronise()
    assert replicas.states == [State.OPEN, State.OPEN]
    assert replicas.of(replicas.two).wait == 10


@pytest.mark.anyio
async def test_one_of_all_replicas_tries(replicas: Replicas) -> None:
    replicas.fail()
    await replicas.synchronise()
    replicas.clock.now += 10
    one, two = replicas.of(replicas.one), replicas.of(replicas.two)
    assert one.enter() is Entry.TRYING
    assert two.enter() is Entry.TRYING

    assert await replicas.one.may_try(one)
    assert not await replicas.two.may_try(two)
    two.stand_back()
    await replicas.synchronise()  # standing back must not end the other one's claim
    replicas.clock.now += 1
    assert two.enter() is Entry.TRYING
    assert not await replicas.two.may_try(two)
    two.stand_back()

    one.spoke(Entry.TRYING, 0.2)
    await replicas.synchronise()
    assert replicas.states == [State.CLOSED, State.CLOSED]


@pytest.mark.anyio
async def test_a_failed_try_keeps_all_replicas_waiting_twice_as_long(replicas: Replicas) -> None:
    replicas.fail()
    await replicas.synchronise()
    replicas.clock.now += 10
    one = replicas.of(replicas.one)
    one.failed(one.enter(), Overloaded())
    await replicas.synchronise()

    assert replicas.of(replicas.two).wait == 20


@pytest.mark.anyio
async def test_a_try_that_was_given_up_is_free_for_all_replicas(replicas: Replicas) -> None:
    replicas.fail()
    await replicas.synchronise()
    replicas.clock.now += 10
    one, two = replicas.of(replicas.one), replicas.of(replicas.two)
    entry = one.enter()
    assert await replicas.one.may_try(one)
    one.abandoned(entry)
    await replicas.synchronise()

    assert two.enter() is Entry.TRYING
    assert await replicas.two.may_try(two)


@pytest.mark.anyio
async def test_a_pause_that_one_was_asked_for_all_keep(replicas: Replicas) -> None:
    one = replicas.of(replicas.one)
    one.failed(one.enter(), RateLimited(retry_after=30))
    await replicas.synchronise()

    assert replicas.states == [State.COOLING, State.COOLING]
    assert replicas.of(replicas.two).wait == 30


@pytest.mark.anyio
async def test_without_the_board_each_goes_by_itself(replicas: Replicas) -> None:
    replicas.board.away = True
    replicas.fail()
    await replicas.synchronise()
    assert replicas.states == [State.OPEN, State.CLOSED]
    replicas.clock.now += 10
    one = replicas.of(replicas.one)
    assert one.enter() is Entry.TRYING
    assert await replicas.one.may_try(one)
    one.abandoned(Entry.TRYING)

    replicas.board.away = False
    await replicas.synchronise()  # what could not be told then is told now
    assert replicas.of(replicas.two).state is State.HALF_OPEN


@pytest.mark.anyio
async def test_a_board_that_does_not_answer_holds_nobody_up(replicas: Replicas) -> None:
    class Silent(Board):
        async def claim(self, provider: str, model: str, seconds: float) -> bool:
            await asyncio.Event().wait()
            return await super().claim(provider, model, seconds)

    breakers = Breakers(clock=replicas.clock, shared=Silent(replicas.clock))
    assert await asyncio.wait_for(breakers.may_try(breakers.of("openai", "large")), 3)


@pytest.mark.anyio
async def test_sharing_goes_on_until_it_is_ended(replicas: Replicas) -> None:
    replicas.fail()
    tasks = [asyncio.create_task(each.keep_sharing(0.001)) for each in (replicas.one, replicas.two)]
    async with asyncio.timeout(5):
        while replicas.states != [State.OPEN, State.OPEN]:  # noqa: ASYNC110 - nothing tells of a change
            await asyncio.sleep(0.001)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
