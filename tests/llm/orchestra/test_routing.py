"""Who is chosen, and the sentence that says why (M-3)."""

import timeit
from decimal import Decimal
from time import process_time
from typing import Any

import pytest

from parlour.llm.cost import Price, Prices
from parlour.llm.orchestra.breaker import Breaker
from parlour.llm.orchestra.breakers import Breakers
from parlour.llm.orchestra.profile import Profile
from parlour.llm.orchestra.routing import Candidate, Choice, Policy, Router, Wish
from parlour.llm.orchestra.tasks import Task
from parlour.vocabulary.errors import (
    ContextTooLong,
    Forbidden,
    ModelMissing,
    Overloaded,
    ParlourError,
    RateLimited,
    TooExpensive,
)
from tests.llm.orchestra.playing import ABLE, STOP, Clock, Scripted

CODE = "Write a Python function that sorts a list"
POEM = "Write a poem about the sea"
CHAT = "What is the capital of Australia?"
SUMS = "Compare and analyze the pros and cons"

DEFAULTS = Policy(
    tasks={
        Task.CODE: ["anthropic"],
        Task.CREATIVE: ["openai"],
        Task.ANALYSIS: [],
        Task.GENERAL: ["gemini"],
    },
    fallback=["openai", "anthropic", "gemini", "compatible", "ollama"],
)
PRICES = Prices(
    {
        "openai/large": Price(Decimal(10), Decimal(50)),
        "openai/small": Price(Decimal("0.1"), Decimal("0.5")),
        "anthropic/large": Price(Decimal(3), Decimal(15), cache_write=Decimal("3.75")),
        "gemini/large": Price(Decimal(1), Decimal(4)),
    }
)


def candidate(ref: str, profile: Profile = ABLE) -> Candidate:
    provider, _, name = ref.partition("/")
    return Candidate(Scripted(provider, ["Hello.", STOP], name=name), profile)


class Desk:
    """A router with a clock, and ways to make its models fail."""

    def __init__(self, *candidates: str | Candidate, policy: Policy = DEFAULTS) -> None:
        self.clock = Clock()
        self.breakers = Breakers(clock=self.clock)
        self.router = Router(
            [candidate(each) if isinstance(each, str) else each for each in candidates],
            policy,
            breakers=self.breakers,
            prices=PRICES,
        )

    def breaker(self, ref: str) -> Breaker:
        provider, _, name = ref.partition("/")
        return self.breakers.of(provider, name)

    def fail(self, ref: str, times: int = 5) -> None:
        for _ in range(times):
            self.breaker(ref).failed(self.breaker(ref).enter(), Overloaded())

    def answer(self, ref: str, times: int = 5, *, ttft: float = 0.3) -> None:
        for _ in range(times):
            self.breaker(ref).succeeded(self.breaker(ref).spoke(self.breaker(ref).enter(), ttft))

    def choose(self, text: str = CHAT, **wish: Any) -> Choice:  # noqa: ANN401 - the fields of a wish
        return self.router.choose(Wish(text=text, **wish))


def refs(choice: Choice) -> list[str]:
    return [each.ref for each in choice.candidates]


@pytest.fixture
def desk() -> Desk:
    """Return a desk with three providers, the built-in answerer, and a second model of one of them."""
    return Desk("openai/large", "openai/small", "anthropic/large", "gemini/large", "builtin/extractive")


@pytest.mark.parametrize(
    ("text", "task", "first", "why"),
    [
        (CODE, Task.CODE, "anthropic/large", "Code questions go to Anthropic."),
        (POEM, Task.CREATIVE, "openai/large", "Creative writing goes to OpenAI."),
        (CHAT, Task.GENERAL, "gemini/large", "General questions go to Gemini."),
        (SUMS, Task.ANALYSIS, "gemini/large", "Analysis goes to Gemini."),  # as for everything else
    ],
)
def test_the_task_decides(desk: Desk, text: str, task: Task, first: str, why: str) -> None:
    choice = desk.choose(text)

    assert (choice.task, choice.first.ref, choice.why) == (task, first, why)
    assert sorted(refs(choice)) == ["anthropic/large", "gemini/large", "openai/large"]
    assert choice.passed_over == ()


@pytest.mark.parametrize(
    ("wish", "first"),
    [
        ("openai/small", "openai/small"),
        ("small", "openai/small"),
        ("openai", "openai/large"),
        ("anthropic", "anthropic/large"),
        ("builtin", "builtin/extractive"),
        ("builtin/extractive", "builtin/extractive"),
    ],
)
def test_a_wish_comes_first(desk: Desk, wish: str, first: str) -> None:
    choice = desk.choose(CODE, model=wish)

    assert (choice.first.ref, choice.why) == (first, "You asked for it.")
    assert desk.router.offers(wish)


@pytest.mark.parametrize("wish", [None, "auto"])
def test_no_wish_is_no_wish(desk: Desk, wish: str | None) -> None:
    assert desk.choose(CODE, model=wish).first.ref == "anthropic/large"
    assert desk.router.offers(wish)
    assert desk.router.find(wish) is None


def test_a_model_with_a_slash_in_its_name_can_be_asked_for() -> None:
    desk = Desk("compatible/meta/llama-3", "openai/large")
    assert desk.choose(model="meta/llama-3").first.ref == "compatible/meta/llama-3"
    assert desk.choose(model="compatible/meta/llama-3").first.ref == "compatible/meta/llama-3"


def test_a_model_that_is_gone_is_replaced_and_that_is_said(desk: Desk) -> None:
    choice = desk.choose(model="openai/old")

    assert choice.first.ref == "gemini/large"
    assert choice.why == "The model you asked for is no longer here. General questions go to Gemini."
    assert not desk.router.offers("openai/old")


def test_a_default_provider_answers_whatever_the_task() -> None:
    desk = Desk(
        "openai/large", "anthropic/large", policy=Policy(default_provider="openai", fallback=["anthropic"])
    )

    assert refs(desk.choose(CODE)) == ["openai/large", "anthropic/large"]
    assert desk.choose(CODE).why == "It is the model that usually answers here."
    assert desk.choose(CODE, model="anthropic").first.ref == "anthropic/large"


def test_whoever_is_there_answers_when_the_map_names_nobody_who_is() -> None:
    desk = Desk("openai/large", "builtin/extractive")

    assert refs(desk.choose(CODE)) == ["openai/large"]
    assert desk.choose(CODE).why == "It is the only model that is set up here."


def test_of_several_the_order_of_fallback_decides() -> None:
    desk = Desk("ollama/llama", "openai/large")

    assert refs(desk.choose(CHAT)) == ["openai/large", "ollama/llama"]
    assert "order" in desk.choose(CHAT).why


def test_the_built_in_one_answers_only_when_it_is_alone_or_named() -> None:
    assert refs(Desk("builtin/extractive").choose()) == ["builtin/extractive"]
    assert "builtin/extractive" not in refs(Desk("openai/large", "builtin/extractive").choose())
    named = Policy(fallback=["openai", "builtin"])
    assert refs(Desk("openai/large", "builtin/extractive", policy=named).choose()) == [
        "openai/large",
        "builtin/extractive",
    ]


def test_with_fallback_none_nobody_steps_in(desk: Desk) -> None:
    alone = Desk("openai/large", "anthropic/large", policy=Policy(fallback=["none"]))
    assert refs(alone.choose()) == ["openai/large"]
    assert len(refs(desk.choose())) == 3

    alone.fail("openai/large")
    assert refs(alone.choose()) == ["openai/large"]
    assert refs(alone.choose(images=True)) == ["openai/large"]


def test_nobody_at_all() -> None:
    with pytest.raises(ModelMissing):
        Desk().choose()


# --- who cannot, and who rests ---


def test_who_does_not_answer_is_passed_over_and_that_is_said(desk: Desk) -> None:
    desk.fail("openai/large")
    choice = desk.choose(POEM)

    assert refs(choice) == ["anthropic/large", "gemini/large", "openai/large"]  # who rests comes last
    assert choice.why == "OpenAI is not answering at the moment, so Anthropic was asked."
    assert [(each.ref, each.why) for each in choice.passed_over] == [
        ("openai/large", "OpenAI is not answering at the moment")
    ]


def test_a_wish_for_one_who_rests_goes_to_another(desk: Desk) -> None:
    desk.breaker("openai/small").failed(desk.breaker("openai/small").enter(), RateLimited(retry_after=60))
    choice = desk.choose(CODE, model="openai/small")

    assert choice.first.ref == "anthropic/large"
    assert choice.why == "OpenAI takes no more questions for the moment, so Anthropic was asked."


def test_of_one_provider_the_names_of_the_models_tell() -> None:
    desk = Desk("openai/large", "openai/small", policy=Policy(fallback=["openai/large", "openai/small"]))
    desk.fail("openai/large")

    assert desk.choose().why == "OpenAI is not answering at the moment, so small was asked."


def test_when_all_rest_they_are_returned_all_the_same(desk: Desk) -> None:
    for ref in ("openai/large", "anthropic/large", "gemini/large"):
        desk.fail(ref)

    assert desk.choose().first.ref == "gemini/large"


def test_after_its_pause_a_model_is_chosen_again(desk: Desk) -> None:
    desk.fail("gemini/large")
    desk.clock.now += 10
    assert desk.choose().first.ref == "gemini/large"


@pytest.mark.parametrize(
    ("able", "unable", "need", "words"),
    [
        (Profile(9_000, 100, images=True), Profile(9_000, 100), {"images": True}, "cannot look at pictures"),
        (Profile(9_000, 100, tools=True), Profile(9_000, 100), {"tools": True}, "cannot use tools"),
        (
            Profile(9_000, 100),
            Profile(9_000, 100, streaming=False),
            {"streaming": True},
            "cannot answer word by word",
        ),
        (Profile(9_000, 100), Profile(4_000, 100), {"prompt_tokens": 4_000}, "cannot take that much text"),
    ],
)
def test_who_cannot_is_not_asked(able: Profile, unable: Profile, need: dict[str, Any], words: str) -> None:
    desk = Desk(candidate("openai/large", unable), candidate("ollama/llama", able))
    choice = desk.choose(model="openai", **need)

    assert refs(choice) == ["ollama/llama"]
    assert choice.why == f"OpenAI {words}, so Ollama was asked."


@pytest.mark.parametrize("need", [{"tools": True}, {"images": True}])
def test_whoever_names_a_model_that_nobody_knows_may_know_better(need: dict[str, Any]) -> None:
    unknown = candidate("ollama/own-model", Profile(9_000, 100, unknown=True))

    assert refs(Desk(unknown).choose(model="ollama/own-model", **need)) == ["ollama/own-model"]
    with pytest.raises(ModelMissing):
        Desk(unknown).choose(**need)


def test_a_context_that_is_only_guessed_turns_nobody_away() -> None:
    guessed = candidate("ollama/llama", Profile(8_192, 4_096, assumed=True))

    assert refs(Desk(guessed).choose(prompt_tokens=12_000)) == ["ollama/llama"]
    assert refs(Desk(guessed, "openai/large").choose(prompt_tokens=12_000, model="ollama")) == [
        "openai/large"
    ]


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"images": True}, ModelMissing),
        ({"prompt_tokens": 200_000}, ContextTooLong),
        ({"ceiling": Decimal("0.0001"), "prompt_tokens": 1000, "max_tokens": 1000}, TooExpensive),
        ({"allowed": frozenset({"anthropic"})}, Forbidden),
    ],
)
def test_when_nobody_can_the_reason_is_told(wish: dict[str, Any], error: type[ParlourError]) -> None:
    desk = Desk(candidate("openai/large", Profile(100_000, 4_000)))
    with pytest.raises(error) as caught:
        desk.choose(**wish)
    assert caught.value.cause is not None
    assert "openai/large" in caught.value.cause


@pytest.mark.parametrize("allowed", [{"openai"}, {"openai/small", "openai/large"}])
def test_a_plan_bounds_whom_one_may_ask(desk: Desk, allowed: set[str]) -> None:
    choice = desk.choose(CODE, allowed=frozenset(allowed), model="anthropic")

    assert all(each.model.provider == "openai" for each in choice.candidates)
    assert choice.why == "Your plan does not have large, so OpenAI was asked."


# --- money ---


def test_who_could_cost_too_much_is_passed_over(desk: Desk) -> None:
    """1,000 tokens in and 1,000 out: 0.06 USD, or 0.005 USD."""
    choice = desk.choose(POEM, ceiling=Decimal("0.02"), prompt_tokens=1000, max_tokens=1000)

    assert refs(choice) == ["anthropic/large", "gemini/large"]
    assert choice.why == "OpenAI could cost more than one answer may, so Anthropic was asked."


@pytest.mark.parametrize("terms", [{"ceiling": Decimal(100)}, {"priced": True}])
def test_an_unknown_price_is_no_price_to_pay(terms: dict[str, Any]) -> None:
    desk = Desk("compatible/mystery", "openai/large")

    assert desk.choose(model="compatible").first.ref == "compatible/mystery"
    choice = desk.choose(model="compatible", **terms)
    assert choice.first.ref == "openai/large"
    assert choice.why == "What our own server costs is not known, so OpenAI was asked."


def test_the_worst_case_of_one_and_of_all(desk: Desk) -> None:
    router = desk.router
    [large, _, claude, gemini, builtin] = router.candidates

    one, cached = Decimal("0.06"), Decimal("0.01875")  # with Claude, all of it is put into the cache
    assert router.worst_case_usd(large, 1000, 1000) == one
    assert router.worst_case_usd(claude, 1000, 1000) == cached
    assert router.worst_case_usd(builtin, 1000, 1000) == 0
    # Alone it may be asked again once after it was paid for nothing.
    assert router.worst_case_usd(Choice((large,), ""), 1000, 1000) == 2 * one
    # The second reads what the first one said, and may think as long; the dearest is asked again.
    reading = Decimal("0.01")
    both = Choice((gemini, large), "")
    assert router.worst_case_usd(both, 1000, 1000) == Decimal("0.005") + (one + reading) + one
    assert router.worst_case_usd(candidate("compatible/mystery"), 1, 1) is None
    assert router.worst_case_usd(Choice((large, candidate("compatible/mystery")), ""), 1, 1) is None


# --- how they did lately ---


def test_among_equals_the_one_in_trouble_is_asked_later(desk: Desk) -> None:
    desk.answer("openai/large", 6)
    desk.fail("openai/large", 4)  # not enough to open
    assert refs(desk.choose(CHAT)) == ["gemini/large", "anthropic/large", "openai/large"]
    desk.fail("gemini/large")
    assert desk.choose(CHAT).why == "Gemini is not answering at the moment, so Anthropic was asked."
    plain = Router(desk.router.candidates, Policy(fallback=["openai", "anthropic"]), breakers=desk.breakers)
    assert plain.choose(Wish(text=CHAT)).why == "Anthropic has answered better lately."
    # What the operator said about tasks stands: they are no equals.
    assert desk.choose(POEM).first.ref == "openai/large"


def test_among_equals_the_one_that_is_much_slower_is_asked_later(desk: Desk) -> None:
    desk.answer("openai/large", ttft=3.0)
    desk.answer("anthropic/large", ttft=0.4)
    assert refs(desk.choose(CHAT))[1:] == ["anthropic/large", "openai/large"]

    desk.answer("openai/large", 60, ttft=0.5)
    assert refs(desk.choose(CHAT))[1:] == ["openai/large", "anthropic/large"]


def test_a_choice_takes_microseconds() -> None:
    desk = Desk(
        *(f"{provider}/{size}" for provider in ("openai", "anthropic", "gemini") for size in ("large", "s"))
    )
    desk.answer("openai/large", 64)
    wish = Wish(text=CHAT, model="openai", ceiling=Decimal(10), prompt_tokens=1000, max_tokens=1000)
    timer = timeit.Timer(lambda: desk.router.choose(wish), timer=process_time)

    assert min(timer.repeat(number=200, repeat=5)) / 200 < 300e-6  # 30 µs on a quiet machine
