"""The estimate of tokens errs high. The true counts were recorded, because no tokenizer is at hand here."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlour.llm import tokens
from parlour.llm.tokens import ESTIMATE, MARGIN, Count, count_tokens, estimate_tokens

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


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        *((name, "o200k") for name in ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5", "gpt-5.6-terra", "o3")),
        *((name, "o200k") for name in ("o1-preview", "o4-mini", "chatgpt-4o-latest", "ft:gpt-4o:mine")),
        *((name, "cl100k") for name in ("gpt-4", "gpt-4-turbo", "gpt-3.5-turbo", "text-embedding-3-small")),
        *((name, ESTIMATE) for name in ("gpt-6.1-terra", "o200", "claude-sonnet-5-5", "my-gpt-4o", "")),
    ],
)
def test_a_count_says_what_counted_it(model: str, vocabulary: str) -> None:
    """A vocabulary that nobody has published is not guessed."""
    pytest.importorskip("rs_bpe")
    count = count_tokens("Good morning", provider="openai", model=model)

    assert (count.by, count.exact) == (vocabulary, vocabulary != ESTIMATE)


@pytest.mark.parametrize(("vocabulary", "model"), [("o200k", "gpt-5"), ("cl100k", "gpt-4")])
def test_exact_counts_are_the_recorded_ones(vocabulary: str, model: str) -> None:
    pytest.importorskip("rs_bpe")
    for sample in RECORDED:
        count = count_tokens(sample["text"], provider="openai", model=model)
        assert count.tokens == sample[vocabulary], sample["text"]


def test_another_server_with_a_famous_name_is_only_estimated() -> None:
    count = count_tokens("Good morning", provider="compatible", model="gpt-4o")

    assert (count.tokens, count.by) == (estimate_tokens("Good morning"), ESTIMATE)


def test_without_the_extra_counts_are_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rs_bpe", None)
    tokens._tokenizer.cache_clear()
    try:
        count = count_tokens("Good morning", provider="openai", model="gpt-4o")
    finally:
        tokens._tokenizer.cache_clear()

    assert count == Count(estimate_tokens("Good morning"), ESTIMATE)


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_can_be_counted(text: str) -> None:
    """Half characters too, which no encoder takes."""
    count = count_tokens(text, provider="openai", model="gpt-4o")

    assert count.tokens <= 4 * len(text)
