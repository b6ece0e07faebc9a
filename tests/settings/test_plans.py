"""O-7, M-8: tables that the operator names, plans and prices, with every mistake in words."""

from decimal import Decimal
from pathlib import Path

import pytest

from parlour.settings import SettingsError, describe, load, show

PLANS = """
[plans.gold]
requests_per_minute = 600
models = ["openai/*", "anthropic/claude-sonnet-5-5"]
budget_day = 5.5

[plans."school class"]
tokens_per_minute = 1000

[prices."compatible/our-own"]
input = 0.25
output = "2"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "parlour.toml"


def loaded(file: Path, text: str) -> tuple[str, ...]:
    """The mistakes in a settings file."""
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(config=file, environ={})
    return caught.value.problems


def test_plans_and_prices_stand_in_tables_by_their_name(file: Path) -> None:
    file.write_text(PLANS)
    settings = load(config=file, environ={})
    gold, school = settings.plans["gold"], settings.plans["school class"]
    assert (gold.requests_per_minute, gold.tokens_per_minute) == (600, None)
    assert gold.models == ("openai/*", "anthropic/claude-sonnet-5-5")
    assert gold.budget_day == Decimal("5.5")
    assert (school.tokens_per_minute, school.models) == (1000, ())
    price = settings.prices["compatible/our-own"]
    assert (price.input, price.output, price.cached) == (Decimal("0.25"), Decimal(2), None)


def test_those_in_force_are_shown_with_the_others(file: Path) -> None:
    file.write_text(PLANS)
    shown = dict(show(load(config=file, environ={})))
    assert shown["plans.gold.requests_per_minute"] == "600"
    assert shown['plans."school class".tokens_per_minute'] == "1000"
    assert shown['prices."compatible/our-own".output'] == "2"


def test_the_reference_names_what_a_plan_can_have() -> None:
    names = {row.name: row for row in describe()}
    assert names["plans.<name>.budget_day"].env == ""
    assert names["prices.<name>.cached"].meaning


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        (
            "[plans.gold]\nrequest_per_minute = 1",
            "plans.gold.request_per_minute",
            "is not a setting of Parlour. Did you mean requests_per_minute? Correct the name or remove it.",
        ),
        (
            "[plans.gold]\nrequests_per_minute = 0",
            "plans.gold.requests_per_minute",
            "is '0', but must be at least 1. Set it to, for example, 600",
        ),
        (
            "[plans.gold]\nmodels = 'gpt'",
            "plans.gold.models",
            'is \'gpt\', but must be a list. Set it to, for example, ["openai/gpt-5-mini", "ollama/*"]',
        ),
        (
            "[plans.gold]\nmodels = ['']",
            "plans.gold.models",
            'is \'\', but must not be empty. Set it to, for example, ["openai/gpt-5-mini", "ollama/*"]',
        ),
        ("[plans]\ngold = 1", "plans.gold", "must be a table. Write, for example, [plans.gold]"),
        ("plans = 1", "plans", "must be a table. Write, for example, [plans.name]"),
        ('[prices."a/b"]\ninput = 1', 'prices."a/b".output', "is missing. Add it."),
        (
            '[prices."a/b"]\ninput = "much"\noutput = 1',
            'prices."a/b".input',
            "is 'much', but must be a number. Set it to, for example, 0.25",
        ),
        (
            '[prices."a/b"]\ninput = -1\noutput = 1',
            'prices."a/b".input',
            "is '-1', but must be at least 0. Set it to, for example, 0.25",
        ),
    ],
)
def test_a_mistake_is_told_in_words(file: Path, text: str, path: str, said: str) -> None:
    assert loaded(file, text) == (f"{path} in {file} {said}",)
