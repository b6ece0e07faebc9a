"""What a call cost, from the price table of genai-prices: data with a source and a date for each price.

Importing this module costs some 80 ms and 15 MB (the library's models, with compiled bytecode); the table
itself is loaded at the first price asked for (15 ms, 3 MB), so an installation that only uses the built-in
model never loads it. A look-up takes about 65 µs: once per answer, not per token. What is asked for every
message, the worst case of each model, comes from a copy that is renewed every quarter of an hour.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version

from genai_prices import Usage as PricedUsage
from genai_prices import calc_price
from genai_prices.types import ModelInfo, TieredPrices

from parlour.vocabulary.usage import Usage

FREE_PROVIDERS = frozenset({"builtin", "ollama"})
# Some prices begin on a day or hold for hours of the day: none changes within a quarter of an hour.
RENEWED_EVERY = 900
TABLE = "genai-prices"
# The newest price in the table that we build on; read off its release of that version.
TABLE_DATES = {"0.2.3": "2026-11"}

# Our names for providers, where the table has another one.
_TABLE_NAMES = {"gemini": "google"}
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens. ``cached`` and ``cache_write`` None: as any other input.

    ``source`` and ``date`` say where the price comes from and how old it is.
    """

    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    cache_write: Decimal | None = None
    source: str = "settings"
    date: str | None = None

    def of(self, usage: Usage) -> Decimal:
        """Return what ``usage`` costs."""
        cached, written = _parts(usage)
        return (
            self.input * (usage.input_tokens - cached - written)
            + (self.input if self.cached is None else self.cached) * cached
            + (self.input if self.cache_write is None else self.cache_write) * written
            + self.output * usage.output_tokens
        ) / _MILLION

    def at_most(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Return what so many tokens cost at worst: all of the input newly put into the cache, if dearer."""
        dearest = max(self.input, self.cache_write or self.input)
        return (dearest * input_tokens + self.output * output_tokens) / _MILLION


FREE = Price(Decimal(0), Decimal(0), source="own machine")


class Prices:
    """The prices of models: those that the operator gave, else those of the table."""

    def __init__(self, given: Mapping[str, Price] | None = None) -> None:
        """Take the operator's prices by ``provider/model``."""
        self._given = dict(given or {})

    def price_of(self, provider: str, model: str) -> Price | None:
        """Return the price of a model's tokens, in its lowest tier; None where it is unknown (M-7)."""
        return self._given.get(f"{provider}/{model}") or _free(provider) or _tier(provider, model, 0)

    def cost_usd(self, provider: str, model: str, usage: Usage | None) -> Decimal | None:
        """Return what a call cost, exactly; None where the model's price or the usage is unknown (M-7).

        Unknown is not zero: only what runs on the operator's own machine is free. Cached tokens are a part
        of the input tokens and are charged at the price of a cache read where there is one.
        """
        given = self._given.get(f"{provider}/{model}") or _free(provider)
        if given is not None:
            return Decimal(0) if given is FREE else None if usage is None else given.of(usage)
        return None if usage is None else _by_table(provider, model, usage)

    def worst_case_usd(
        self, provider: str, model: str, input_tokens: int, output_tokens: int
    ) -> Decimal | None:
        """Return the most that a call of this size can cost; None where the price is unknown."""
        given = self._given.get(f"{provider}/{model}") or _free(provider)
        price = given or _tier(provider, model, input_tokens)
        return None if price is None else price.at_most(input_tokens, output_tokens)


def cost_usd(provider: str, model: str, usage: Usage | None) -> Decimal | None:
    """Return what a call cost by the table alone."""
    return _TABLE_ONLY.cost_usd(provider, model, usage)


def price_of(provider: str, model: str) -> Price | None:
    """Return a model's price by the table alone."""
    return _TABLE_ONLY.price_of(provider, model)


def context_window(provider: str, model: str) -> int | None:
    """Return how many tokens the table says that a model reads."""
    info = _model(provider, model)
    return info.context_window if info is not None else None


def _free(provider: str) -> Price | None:
    return FREE if provider in FREE_PROVIDERS else None


def _parts(usage: Usage) -> tuple[int, int]:
    """Return the tokens read from and written to the cache; together they are no more than the input."""
    cached = min(usage.cached_tokens, usage.input_tokens)
    return cached, min(usage.cache_write_tokens, usage.input_tokens - cached)


def _by_table(provider: str, model: str, usage: Usage) -> Decimal | None:
    if _model(provider, model) is None:
        return None
    cached, written = _parts(usage)
    counted = PricedUsage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        output_tokens=usage.output_tokens,
    )
    try:
        return calc_price(counted, model, provider_id=_table_name(provider)).total_price
    except (LookupError, ValueError):
        return None


@lru_cache(maxsize=512)
def _model(provider: str, model: str) -> ModelInfo | None:
    """Return the table's entry: one on the operator's own server is searched in vain."""
    try:
        price = calc_price(PricedUsage(), model, provider_id=_table_name(provider))
    except (LookupError, ValueError):
        return None
    # The table also finds providers whose names only resemble: "openai_compatible" is not OpenAI.
    return price.model if price.provider.id == _table_name(provider) else None


def _tier(provider: str, model: str, input_tokens: int) -> Price | None:
    """Return the table's price for prompts of this size: many models are dearer for long ones."""
    tiers = _tiers(provider, model, int(time.time()) // RENEWED_EVERY)
    return next((price for start, price in tiers if input_tokens > start or start == 0), None)


@lru_cache(maxsize=512)
def _tiers(provider: str, model: str, _quarter: int) -> tuple[tuple[int, Price], ...]:
    """Return the prices by the size from which they hold, the longest prompts first."""
    if _model(provider, model) is None:
        return ()
    now = calc_price(PricedUsage(), model, provider_id=_table_name(provider)).model_price
    kinds = (now.input_mtok, now.output_mtok, now.cache_read_mtok, now.cache_write_mtok)
    starts = {0, *(tier.start for kind in kinds if isinstance(kind, TieredPrices) for tier in kind.tiers)}
    found = []
    for start in sorted(starts, reverse=True):
        into, out, cached, written = (_from(kind, start) for kind in kinds)
        if into is not None and out is not None:
            source = f"{TABLE} {version(TABLE)}"
            date = TABLE_DATES.get(version(TABLE))
            found.append((start, Price(into, out, cached, written, source, date)))
    return tuple(found)


def _from(kind: Decimal | TieredPrices | None, start: int) -> Decimal | None:
    if not isinstance(kind, TieredPrices):
        return kind
    return next((tier.price for tier in reversed(kind.tiers) if start >= tier.start), kind.base)


def _table_name(provider: str) -> str:
    return _TABLE_NAMES.get(provider, provider)


_TABLE_ONLY = Prices()
