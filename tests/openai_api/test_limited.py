"""What people may use, told in the words that OpenAI's SDKs understand (M-8, T-5)."""

from collections.abc import AsyncIterator
from decimal import Decimal

import openai
import pytest

from parlour.settings.limits import BudgetSettings, LimitSettings, PlanSettings, PriceSettings
from parlour.vocabulary.principal import Scope
from tests.fakes.provider import FakeProvider
from tests.harness.serving import Served, serving
from tests.openai_api.conftest import MODEL, connect, named_model, program
from tests.openai_api.test_models_asked import said

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def served(
    anyio_backend: str, provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    """A server that lets everybody ask twice a minute."""
    limits = LimitSettings(requests_per_minute=2, tokens_per_minute=1_000_000)
    wanted = named_model(tmp_path_factory.mktemp("parlour"), provider, limits=limits)
    async with serving(wanted, wait=False) as running:
        await running.owner_invited()
        yield running


@pytest.mark.parametrize("model", [MODEL, "default"])
async def test_the_third_request_of_two_is_a_rate_limit_error(
    served: Served, provider: FakeProvider, model: str
) -> None:
    user = await program(served, Scope.CHAT)
    async with connect(served, user.token) as client:
        for left in (1, 0):
            answer = await client.chat.completions.with_raw_response.create(
                model=model, messages=said("Let me in")
            )
            assert answer.headers["x-ratelimit-limit-requests"] == "2"
            assert answer.headers["x-ratelimit-remaining-requests"] == str(left)
        asked = len(provider.requests)
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model=model, messages=said("Let me in"))
    assert caught.value.code == "rate_limit_exceeded"
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 60
    assert caught.value.response.headers["x-ratelimit-remaining-requests"] == "0"
    assert len(provider.calls("Let me in")) <= asked


async def test_a_budget_that_is_used_up_is_told_and_not_tried_again(
    provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """B-4: nobody is called; the SDK, that would try again by itself, is told not to."""
    wanted = named_model(
        tmp_path_factory.mktemp("parlour"),
        provider,
        budgets=BudgetSettings(key_day=Decimal("0.000001")),
        prices={MODEL: PriceSettings(input=Decimal(10), output=Decimal(30), cached=None)},
    )
    async with serving(wanted) as served:
        user = await program(served, Scope.CHAT)
        async with connect(served, user.token, retries=2) as client:
            with pytest.raises(openai.RateLimitError) as caught:
                await client.chat.completions.create(model=MODEL, messages=said("Too dear"))
    assert caught.value.code == "insufficient_quota"
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert provider.calls("Too dear") == []


async def test_a_text_made_to_be_dear_reserves_what_it_can_cost(
    provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """B-4: rare characters are three tokens each, which no estimate of ordinary text foresees."""
    rare = "\u9f98\u9750" * 1_000
    wanted = named_model(
        tmp_path_factory.mktemp("parlour"),
        provider,
        budgets=BudgetSettings(key_day=Decimal("0.10")),  # two calls of 6,000 tokens are 0.12
        prices={MODEL: PriceSettings(input=Decimal(10), output=Decimal(0), cached=None)},
    )
    async with serving(wanted) as served:
        user = await program(served, Scope.CHAT)
        async with connect(served, user.token, retries=0) as client:
            with pytest.raises(openai.RateLimitError) as caught:
                await client.chat.completions.create(model=MODEL, messages=said(rare))
            ordinary = await client.chat.completions.create(model=MODEL, messages=said("A word " * 250))
    assert caught.value.code == "insufficient_quota"
    assert provider.calls(rare) == []
    assert ordinary.choices[0].message.content


@pytest.mark.parametrize("model", [MODEL, "default"])
async def test_a_server_that_goes_away_begins_nothing(
    provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory, model: str
) -> None:
    async with serving(named_model(tmp_path_factory.mktemp("parlour"), provider)) as served:
        user = await program(served, Scope.CHAT)
        served.parlour.begin_drain()
        async with connect(served, user.token) as client:
            with pytest.raises(openai.InternalServerError) as caught:
                await client.chat.completions.create(model=model, messages=said("Too late"))
    assert (caught.value.status_code, caught.value.code) == (503, "unavailable")
    assert caught.value.response.headers["x-should-retry"] == "true"
    assert provider.calls("Too late") == []


async def test_a_model_that_ones_plan_lacks_is_refused_and_not_replaced(
    provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """M-8: who names a model gets it or an error, never quietly another one"""
    plans = {"default": PlanSettings(models=(MODEL,))}
    wanted = named_model(tmp_path_factory.mktemp("parlour"), provider, plans=plans)
    openai_section = wanted.openai.model_copy(update={"more_models": "other"})
    async with serving(wanted.model_copy(update={"openai": openai_section})) as served:
        user = await program(served, Scope.CHAT)
        async with connect(served, user.token) as client:
            with pytest.raises(openai.PermissionDeniedError):
                await client.chat.completions.create(
                    model="openai_compatible/other", messages=said("Not for me")
                )
            answer = await client.chat.completions.create(model=MODEL, messages=said("For me"))
    assert answer.choices[0].message.content
    assert provider.calls("Not for me") == []
