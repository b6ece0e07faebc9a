"""What a call cost, from the price table of genai-prices: data with a source and a date for each price.

Importing this module costs some 80 ms and 15 MB (the library's models, with compiled bytecode); the table
itself is loaded at the first price asked for (15 ms, 3 MB), so an installation that only uses the built-in
model never loads it. A look-up takes about 65 µs: once per answer, not per token.
"""

from decimal import Decimal
from functools import lru_cache

from genai_prices import Usage as PricedUsage
from genai_prices import calc_price

from parlour.vocabulary.usage import Usage

FREE_PROVIDERS = frozenset({"builtin", "ollama"})
# Our names for providers, where the table has another one.
_TABLE_NAMES = {"gemini": "google"}


def cost_usd(provider: str, model: str, usage: Usage | None) -> Decimal | None:
    """Return the price in US dollars, exactly; None where the model's price or the usage is unknown (M-7).

    Unknown is not zero: only what runs on the operator's own machine is free. Cached tokens are a part of
    the input tokens and are charged at the price of a cache read where there is one.
    """
    if provider in FREE_PROVIDERS:
        return Decimal(0)
    if usage is None or not _is_priced(provider, model):
        return None
    counted = PricedUsage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=min(usage.cached_tokens, usage.input_tokens),
        output_tokens=usage.output_tokens,
    )
    try:
        return calc_price(counted, model, provider_id=_TABLE_NAMES.get(provider, provider)).total_price
    except (LookupError, ValueError):
        return None


@lru_cache(maxsize=256)
def _is_priced(provider: str, model: str) -> bool:
    """Tell whether the table knows the model: for one on the operator's own server it is searched in vain."""
    table_name = _TABLE_NAMES.get(provider, provider)
    try:
        price = calc_price(PricedUsage(), model, provider_id=table_name)
    except (LookupError, ValueError):
        return False
    # The table also finds providers whose names only resemble: "openai_compatible" is not OpenAI.
    return bool(price.provider.id == table_name)
