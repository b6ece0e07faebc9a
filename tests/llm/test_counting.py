"""Exact counts of tokens where they can be known offline, and the estimate everywhere else."""

import json
import sys
from pathlib import Path

import pytest

from parlour.llm import counting
from parlour.llm.counting import counter_of
from parlour.llm.orchestra.routing import Router
from parlour.llm.tokens import estimate_tokens
from tests.llm.orchestra.playing import STOP, Scripted, candidates

RECORDED = json.loads(Path(__file__).with_name("token_counts.json").read_text("utf-8"))["texts"]


@pytest.mark.parametrize(("vocabulary", "model"), [("o200k", "gpt-5"), ("cl100k", "gpt-4")])
def test_exact_counts_are_the_recorded_ones(vocabulary: str, model: str) -> None:
    pytest.importorskip("rs_bpe")
    count = counter_of("openai", model)
    for sample in RECORDED:
        assert count(sample["text"]) == sample[vocabulary], sample["text"]


@pytest.mark.parametrize(
    ("provider", "model"),
    [("compatible", "gpt-4o"), ("openai", "gpt-6.1-terra"), ("openai", "my-gpt-4o"), ("gemini", "gpt-4o")],
)
def test_where_no_vocabulary_is_known_it_is_the_estimate(provider: str, model: str) -> None:
    """Another server with a famous name, and models whose vocabulary nobody has published."""
    assert counter_of(provider, model) is estimate_tokens


def test_without_the_extra_it_is_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rs_bpe", None)
    counting._tokenizer.cache_clear()
    try:
        assert counter_of("openai", "gpt-4o") is estimate_tokens
    finally:
        counting._tokenizer.cache_clear()


def test_vocabularies_are_loaded_with_the_models_and_not_in_the_middle_of_an_answer() -> None:
    counting._tokenizer.cache_clear()
    Router(candidates(Scripted("openai", [STOP], name="gpt-4o")))

    assert counting._tokenizer.cache_info().currsize == 1
