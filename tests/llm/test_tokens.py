"""The estimate of tokens errs high. The true counts were recorded, because no tokenizer is at hand here."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlour.llm.tokens import MARGIN, estimate_tokens, tokens_at_most

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
