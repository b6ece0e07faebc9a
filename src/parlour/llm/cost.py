"""What a call cost, from the price table of genai-prices: data with a source and a date for each price.

The library and its table cost 28 MB and 170 ms, so they are loaded when something is first asked of a
provider whose prices stand there: a server with models of its own, or without any, never loads them. A
look-up takes about 65 µs: once per answer, not per token. What is asked for every message, the worst case
of each model, comes from a copy that is renewed every quarter of an hour.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache
from importlib.metadata import version
from types import ModuleType
from typing import TYPE_CHECKING

from parlour.vocabulary.usage import Usage

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation, TieredPrices

FREE_PROVIDERS = frozenset({"builtin", "ollama"})
# Some prices begin on a day or hold for hours of the day: none changes within a quarter of an hour.
RENEWED_EVERY = 900
TABLE = "genai-prices"
# The newest price in the table that we build on; read off its release of that version.
TABLE_DATES = {"0.2.3": "2026-11"}

# Providers with prices in the table, and what it calls them. A server of the operator's own is none of them.
_TABLE_NAMES = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}
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
        found = None if usage is None else _look_up(provider, model, usage)
        return None if found is None else found.total_price

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
    found = _look_up(provider, model)
    return found.model.context_window if found is not None else None


def _free(provider: str) -> Price | None:
    return FREE if provider in FREE_PROVIDERS else None


def _parts(usage: Usage) -> tuple[int, int]:
    """Return the tokens read from and written to the cache; together they are no more than the input."""
    cached = min(usage.cached_tokens, usage.input_tokens)
    return cached, min(usage.cache_write_tokens, usage.input_tokens - cached)


@cache
def _table() -> ModuleType:
    import genai_prices.types

    return genai_prices


def _look_up(provider: str, model: str, usage: Usage | None = None) -> "PriceCalculation | None":
    """Return the library's calculation; None where the table knows nothing of the model.

    Only for providers of the table: it also finds those whose names resemble, "openai_compatible" for one.
    """
    if provider not in _TABLE_NAMES:
        return None
    used = usage or Usage()
    cached, written = _parts(used)
    counted = _table().Usage(
        input_tokens=used.input_tokens,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        output_tokens=used.output_tokens,
    )
    try:
        found: PriceCalculation = _table().calc_price(counted, model, provider_id=_TABLE_NAMES[provider])
    except (LookupError, ValueError):
        return None
    return found


def _tier(provider: str, model: str, input_tokens: int) -> Price | None:
    """Return the table's price for prompts of this size: many models are dearer for long ones."""
    tiers = _tiers(provider, model, int(time.time()) // RENEWED_EVERY)
    return next((price for start, price in tiers if input_tokens > start or start == 0), None)


@lru_cache(maxsize=512)
def _tiers(provider: str, model: str, _quarter: int) -> tuple[tuple[int, Price], ...]:
    """Return the prices by the size from which they hold, the longest prompts first."""
    found = _look_up(provider, model)
    if found is None:
        return ()
    now = found.model_price
    kinds = (now.input_mtok, now.output_mtok, now.cache_read_mtok, now.cache_write_mtok)
    tiered = (kind for kind in kinds if kind is not None and not isinstance(kind, Decimal))
    starts = {0, *(tier.start for kind in tiered for tier in kind.tiers)}
    tiers = []
    for start in sorted(starts, reverse=True):
        into, out, cached, written = (_from(kind, start) for kind in kinds)
        if into is not None and out is not None:
            source = f"{TABLE} {version(TABLE)}"
            date = TABLE_DATES.get(version(TABLE))
            tiers.append((start, Price(into, out, cached, written, source, date)))
    return tuple(tiers)


def _from(kind: "Decimal | TieredPrices | None", start: int) -> Decimal | None:
    if kind is None or isinstance(kind, Decimal):
        return kind
    return next((tier.price for tier in reversed(kind.tiers) if start >= tier.start), kind.base)


_TABLE_ONLY = Prices()
