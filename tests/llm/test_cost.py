"""What an answer costs: exact, and unknown where it is not known."""

from decimal import Decimal

import pytest

from parlour.llm.cost import cost_usd
from parlour.llm.providers.openai_compatible import DEFAULT_MODEL, DEFAULT_SMALL_MODEL
from parlour.vocabulary.usage import Usage


def test_input_output_and_cached_tokens_have_their_own_prices() -> None:
    """gpt-4o: 2.50, 10 and 1.25 USD per million tokens."""
    assert cost_usd("openai", "gpt-4o", Usage(1_000_000, 0)) == Decimal("2.5")
    assert cost_usd("openai", "gpt-4o", Usage(0, 1_000_000)) == Decimal(10)
    assert cost_usd("openai", "gpt-4o", Usage(1_000_000, 1_000_000, 400_000)) == Decimal("12.0")


def test_more_cached_tokens_than_there_were_is_all_of_them() -> None:
    assert cost_usd("openai", "gpt-4o", Usage(1_000_000, 0, 2_000_000)) == Decimal("1.25")


@pytest.mark.parametrize("model", [DEFAULT_MODEL, DEFAULT_SMALL_MODEL])
def test_the_default_models_have_a_price(model: str) -> None:
    cost = cost_usd("openai", model, Usage(1000, 1000))

    assert cost is not None
    assert 0 < cost < 1


@pytest.mark.parametrize(
    ("provider", "model"),
    [("openai", "a-model-of-my-own"), ("openai_compatible", "gpt-4o"), ("nobody", "gpt-4o"), ("openai", "")],
)
def test_an_unknown_price_is_unknown_and_not_zero(provider: str, model: str) -> None:
    """M-7."""
    assert cost_usd(provider, model, Usage(10, 10)) is None


def test_without_a_usage_there_is_no_cost() -> None:
    assert cost_usd("openai", "gpt-4o", None) is None


@pytest.mark.parametrize("provider", ["builtin", "ollama"])
@pytest.mark.parametrize("usage", [Usage(10, 10), None])
def test_what_runs_at_home_is_free(provider: str, usage: Usage | None) -> None:
    assert cost_usd(provider, "whatever", usage) == 0
