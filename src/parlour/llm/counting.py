"""Counts tokens exactly for the models whose vocabulary is published, where the extra for it is installed."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from parlour.llm.tokens import estimate_tokens
from parlour.llm.wire.text import well_formed


def counter_of(provider: str, model: str) -> Callable[[str], int]:
    """Return what counts the tokens of a text for this model: exactly where that can be known offline.

    That is for the models of OpenAI whose vocabulary is published, where the extra ``exact-tokens`` is
    installed; the first call loads it, which takes a tenth of a second. For all others it is the estimate.
    """
    name = _vocabulary_of(model) if provider == "openai" else None
    tokenizer = _tokenizer(name) if name is not None else None
    if tokenizer is None:
        return estimate_tokens
    return lambda text: int(tokenizer.count(well_formed(text)))


# As published in tiktoken 0.14 (2026-08), which knows no vocabulary of later models. The first that fits.
_VOCABULARIES = (
    (re.compile(r"(ft:)?(chatgpt-|gpt-)(4o|4\.[15]|5)|o[134](-|$)"), "o200k"),
    (re.compile(r"(ft:)?gpt-(4|3\.?5)|text-embedding-(3-|ada-002)"), "cl100k"),
)


def _vocabulary_of(model: str) -> str | None:
    return next((name for models, name in _VOCABULARIES if models.match(model)), None)


@cache
def _tokenizer(name: str) -> Any:  # noqa: ANN401 - ships no types
    """Return the tokenizer with this vocabulary; None where the extra is not installed."""
    try:
        from rs_bpe import openai
    except ImportError:
        return None
    return openai.o200k_base() if name == "o200k" else openai.cl100k_base()
