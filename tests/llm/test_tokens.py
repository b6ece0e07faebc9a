"""The estimate of tokens errs high. The true counts were recorded, because no tokenizer is at hand here."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlour.llm.model import Image, Prompt, Tool, ToolCall, Turn
from parlour.llm.tokens import (
    DEAREST_IMAGE,
    MARGIN,
    at_most_tokens,
    estimate_tokens,
    estimated_tokens,
    image_tokens,
    tokens_at_most,
)
from parlour.vocabulary.citation import Passage

RECORDED: list[dict[str, Any]] = json.loads(Path(__file__).with_name("token_counts.json").read_text("utf-8"))[
    "texts"
]


def test_many_kinds_of_text_were_counted() -> None:
    assert len({each["kind"] for each in RECORDED}) > 30


@pytest.mark.parametrize("sample", RECORDED, ids=lambda each: f"{each['kind']}:{each['text'][:12]!a}")
def test_the_estimate_is_never_below_either_count(sample: dict[str, Any]) -> None:
    """X-1."""
    assert estimate_tokens(sample["text"]) >= max(sample["o200k"], sample["cl100k"])


@pytest.mark.parametrize("kind", ["english", "arabic", "russian", "cjk", "code", "german", "french"])
def test_ordinary_text_is_not_charged_double(kind: str) -> None:
    """Erring high has a price, too: a window that is half empty."""
    samples = [each for each in RECORDED if each["kind"] == kind and len(each["text"]) > 20]
    counted = sum(max(each["o200k"], each["cl100k"]) for each in samples)

    assert sum(estimate_tokens(each["text"]) for each in samples) < 2.1 * counted


@given(st.text())
def test_no_character_costs_more_than_its_bytes(text: str) -> None:
    assert estimate_tokens(text) <= len(text.encode()) + MARGIN


@given(st.text(), st.text())
def test_more_text_is_never_fewer_tokens(text: str, more: str) -> None:
    """But for what a cut between two texts can save: the cut words, and the long run that it makes."""
    assert estimate_tokens(text + more) >= max(estimate_tokens(text), estimate_tokens(more)) - 1


def test_nothing_is_nothing() -> None:
    assert estimate_tokens("") == 0


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_can_be_estimated(text: str) -> None:
    """Half characters too, which no encoder takes."""
    assert estimate_tokens(text) <= tokens_at_most(text) <= 4 * len(text) + MARGIN


@pytest.mark.parametrize(
    ("provider", "model", "least"),
    [
        ("openai", "gpt-4o", 85 + 8 * 170),
        ("openai", "gpt-4o-mini", 2_833 + 8 * 5_667),
        ("openai", "gpt-4.1-nano", 1_536 * 2.46),
        ("openai", "gpt-5.4", 2_500 * 1.2),
        ("openai", "gpt-5.5", 10_000 * 1.2),
        ("openai", "gpt-5.6-terra", 30_000 * 1.2),
        ("openai", "gpt-6.1-terra", 30_000 * 1.2),
        ("openai", "o4-mini", 1_536 * 1.72),
        ("openai", "gpt-7", DEAREST_IMAGE),
        ("anthropic", "claude-sonnet-5-5", 4_784),
        ("gemini", "gemini-2.5-pro", 256 + 2_048),
        ("gemini", "gemini-3.8-flash", 1_120),
        ("compatible", "gpt-4o-mini", DEAREST_IMAGE),
    ],
)
def test_a_picture_is_counted_as_its_provider_counts_the_largest(
    provider: str, model: str, least: float
) -> None:
    """B-4: what nobody knows is as dear as what is dearest."""
    assert least <= image_tokens(provider, model) <= DEAREST_IMAGE


RARE = "\u9f98\u9750\u7228\u9f49" * 500  # of which the estimate falls short
RICH = Prompt(
    system="You are kind.",
    turns=(
        Turn("user", RARE, images=(Image("image/png", b"1"),)),
        Turn("assistant", "", tool_calls=(ToolCall("1", "weather", '{"place": "Rome"}'),)),
        Turn("tool", "Sunny.", tool_call_id="1"),
    ),
    passages=(Passage("1", "1", "A title", ("A title",), "A passage."),),
    partial="It is",
    tools=(Tool("weather", "Tells the weather.", {"type": "object"}),),
    output_schema={"type": "object", "title": "Weather"},
)


@pytest.mark.parametrize(
    "less",
    [
        *({name: ()} for name in ("passages", "tools")),
        *({name: ""} for name in ("system", "partial")),
        {"output_schema": None},
        *({"turns": RICH.turns[:count]} for count in (1, 2)),
    ],
    ids=str,
)
def test_all_of_a_prompt_counts(less: dict[str, Any]) -> None:
    models = [("openai", "gpt-4o")]
    assert at_most_tokens(replace(RICH, **less), models) < at_most_tokens(RICH, models)
    assert estimated_tokens(replace(RICH, **less)) < estimated_tokens(RICH)


def test_what_is_reserved_for_a_prompt_is_a_bound_for_everybody_who_may_be_asked() -> None:
    """B-4: a token of text is never less than a byte, whatever the estimate says."""
    pictured = at_most_tokens(RICH, [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-5-5")])

    assert pictured > estimated_tokens(RICH)
    assert pictured >= len(RARE.encode()) + image_tokens("anthropic", "claude-sonnet-5-5")
    assert pictured < at_most_tokens(RICH, [("compatible", "mystery")])
