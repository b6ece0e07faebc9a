"""What an answer costs: exact, and unknown where it is not known."""

import subprocess
import sys
from decimal import Decimal

import pytest

from parlour.llm.cost import FREE, Price, Prices, context_window, cost_usd, price_of
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


@pytest.mark.parametrize(
    ("provider", "model"), [("anthropic", "claude-sonnet-5-5"), ("openai", "gpt-6.1-terra")]
)
def test_what_is_put_into_the_cache_has_its_own_price(provider: str, model: str) -> None:
    price = price_of(provider, model)
    assert price is not None
    assert price.cache_write is not None
    assert price.cached is not None
    plain, written = Usage(100_000), Usage(100_000, cache_write_tokens=100_000)
    read = Usage(100_000, cached_tokens=100_000)

    assert cost_usd(provider, model, plain) == price.input / 10
    assert cost_usd(provider, model, written) == price.cache_write / 10 > price.input / 10
    assert cost_usd(provider, model, read) == price.cached / 10 < price.input / 10


def test_parts_that_are_larger_than_the_whole_are_bounded_by_it() -> None:
    model = ("anthropic", "claude-sonnet-5-5")
    all_written = cost_usd(*model, Usage(1000, cache_write_tokens=1000))

    assert cost_usd(*model, Usage(1000, cache_write_tokens=99_999)) == all_written
    assert cost_usd(*model, Usage(1000, cached_tokens=1000, cache_write_tokens=99_999)) == cost_usd(
        *model, Usage(1000, cached_tokens=1000)
    )


def test_a_price_names_its_source_and_its_date() -> None:
    price = price_of("openai", "gpt-4o")

    assert price is not None
    assert (price.input, price.output, price.cached) == (Decimal("2.5"), Decimal(10), Decimal("1.25"))
    assert price.source.startswith("genai-prices 0.2.")
    assert price.date is not None
    assert price.date >= "2026-11"
    assert price_of("openai", "a-model-of-my-own") is None
    assert price_of("ollama", "llama3.2") is FREE


def test_the_operator_s_price_wins() -> None:
    given = {
        "openai/gpt-4o": Price(Decimal(1), Decimal(2), cached=Decimal("0.5")),
        "compatible/mine": Price(Decimal(3), Decimal(4)),
        "ollama/llama3.2": Price(Decimal(1), Decimal(1)),
    }
    prices = Prices(given)

    assert prices.price_of("openai", "gpt-4o") is given["openai/gpt-4o"]
    assert prices.price_of("openai", "gpt-4o-mini") == price_of("openai", "gpt-4o-mini")
    assert prices.cost_usd("openai", "gpt-4o", Usage(1_000_000, 1_000_000, 400_000)) == Decimal("2.8")
    assert prices.cost_usd("compatible", "mine", Usage(1_000_000, 1_000_000, 400_000)) == 7
    assert prices.cost_usd("ollama", "llama3.2", Usage(1_000_000)) == 1
    assert prices.cost_usd("openai", "gpt-4o", None) is None


def test_the_worst_case_is_never_less_than_what_a_call_cost() -> None:
    """Also where long prompts are dearer, and where all of the prompt is put into the cache."""
    prices = Prices()
    for model in (
        ("openai", "gpt-6.1-terra"),
        ("anthropic", "claude-haiku-5-5"),
        ("gemini", "gemini-3.8-flash"),
    ):
        for size in (1, 1_000, 100_000, 272_000, 272_001, 900_000):
            worst = prices.worst_case_usd(*model, size, 5_000)
            assert worst is not None
            for usage in (
                Usage(size, 5_000),
                Usage(size, 5_000, cached_tokens=size // 2),
                Usage(size, 5_000, cache_write_tokens=size),
            ):
                cost = prices.cost_usd(*model, usage)
                assert cost is not None
                assert cost <= worst, (model, size)
    assert prices.worst_case_usd("openai", "a-model-of-my-own", 1, 1) is None
    assert prices.worst_case_usd("builtin", "extractive", 1, 1) == 0


def test_the_table_knows_how_much_models_read() -> None:
    assert context_window("openai", "gpt-4o") == 128_000
    assert context_window("openai", "a-model-of-my-own") is None
    assert context_window("compatible", "gpt-4o") is None


def test_who_needs_no_table_never_loads_it() -> None:
    """It costs 28 MB and 170 ms."""
    code = (
        "import sys, parlour.wiring.server;"
        "from parlour.llm.cost import Prices;"
        "from parlour.llm.orchestra.profile import profile_of;"
        "own = ('builtin', 'ollama', 'openai_compatible', 'compatible');"
        "[(profile_of(each, 'gpt-4o'), Prices().price_of(each, 'gpt-4o')) for each in own];"
        "sys.exit('genai_prices' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
