"""The ledger of one answer: a line for every call that was made for it, or was not made, and why."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from parlour.llm.cost import Prices
from parlour.llm.counting import counter_of
from parlour.llm.model import Prompt
from parlour.llm.orchestra.routing import PassedOver
from parlour.llm.tokens import estimated_tokens, image_tokens
from parlour.vocabulary.attempt import Attempt, AttemptStatus
from parlour.vocabulary.errors import (
    EmptyAnswer,
    Garbled,
    ParlourError,
    ProviderError,
    Refused,
    TimedOut,
)
from parlour.vocabulary.usage import Usage

# Tokens a second that a fast model thinks with. Who stops it, or loses it, before a word has nobody who says
# how much it thought. To charge nothing would give away what costs most, and to charge the whole limit would
# have a second's wait cost a long answer: so the time that went by tells.
THINKING_SPEED = 200

Heard = Callable[[Attempt], None]


class Ledger:
    """Keeps the lines in the order the calls ended, and prices them."""

    def __init__(self, prices: Prices, now: Callable[[], datetime], heard: Heard | None) -> None:
        """Begin empty; ``heard`` is told of every line."""
        self.lines: list[Attempt] = []
        self.now = now
        self._prices = prices
        self._heard = heard

    def skipped(self, over: PassedOver) -> None:
        """Write down who was not asked."""
        self.add(Attempt(over.provider, over.model, AttemptStatus.SKIPPED, over.why, self.now()))

    def add(self, line: Attempt) -> None:
        """Write down how a call ended, with what it cost."""
        if line.status is AttemptStatus.SKIPPED or line.cached:
            cost: Decimal | None = Decimal(0)
        elif line.status is AttemptStatus.FAILED and line.usage is None:
            cost = Decimal(0)  # the provider never took the question
        else:
            cost = self._prices.cost_usd(line.provider, line.model, line.usage)
        line = replace(line, cost_usd=cost)
        self.lines.append(line)
        if self._heard is not None:
            self._heard(line)

    @property
    def usage(self) -> Usage:
        """All tokens of the answer."""
        used = [line.usage for line in self.lines if line.usage is not None and not line.cached]
        return Usage(
            input_tokens=sum(each.input_tokens for each in used),
            output_tokens=sum(each.output_tokens for each in used),
            cached_tokens=sum(each.cached_tokens for each in used),
            cache_write_tokens=sum(each.cache_write_tokens for each in used),
            estimated=any(each.estimated for each in used),
        )

    @property
    def cost_usd(self) -> Decimal | None:
        """What all of it cost; None when the price of one call is unknown."""
        total = Decimal(0)
        for line in self.lines:
            if line.cost_usd is None:
                return None
            total += line.cost_usd
        return total


def estimated_usage(prompt: Prompt, said: str, *, provider: str, model: str, silent: float = 0.0) -> Usage:
    """Return the tokens of a call whose provider told none, on the safe side.

    In ``silent`` seconds before its first word the model may have thought, up to the limit that it had.
    """
    count = counter_of(provider, model)
    told = estimated_tokens(prompt, count=count, image=image_tokens(provider, model))
    spoken = count(said)
    thought = math.ceil(silent * THINKING_SPEED)
    if prompt.max_tokens is not None:
        thought = min(thought, max(0, prompt.max_tokens - spoken))
    return Usage(told, spoken + thought, estimated=True)


def was_taken(error: ParlourError) -> bool:
    """Tell whether a provider that failed before the first word had probably read the question."""
    if not isinstance(error, ProviderError) or error.taken or error.usage is not None:
        return True
    if isinstance(error, TimedOut):
        return error.stage != "connect"
    return isinstance(error, EmptyAnswer | Garbled | Refused)
