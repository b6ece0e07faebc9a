"""The breakers of all models, and how the replicas of a server share what they found out (M-5).

A transition is told beside the calls, once a second; only the right to make the one trying call is asked for
at once. Without the others, or when they cannot be reached, each replica goes by what it saw itself.
"""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Protocol

import structlog

from parlour.llm.orchestra.breaker import Breaker, BreakerRules, BreakerState, Transition
from parlour.vocabulary.errors import (
    ParlourError,
)

# A claimed try that nobody reports on died with its process. Longer than any wait for a first word.
CLAIM_SECONDS = 90.0
# A shared store that does not answer must not hold up a call that could be made.
CLAIM_PATIENCE = 0.5

_log = structlog.get_logger(__name__)


class SharedBreakers(Protocol):
    """Where replicas leave word for each other. Any of these may fail; then each goes on by itself."""

    async def publish(self, transition: Transition) -> None:
        """Keep this as the newest word on the model; it ends a claim."""
        ...

    async def fetch(self) -> Sequence[Transition]:
        """Return the newest word on every model, with the seconds that are left."""
        ...

    async def claim(self, provider: str, model: str, seconds: float) -> bool:
        """Take the right to make the one trying call; False while somebody else has it."""
        ...


class Breakers:
    """The breakers of all models, one for each."""

    def __init__(
        self,
        rules: BreakerRules | None = None,
        *,
        clock: Callable[[], float] = monotonic,
        shared: SharedBreakers | None = None,
    ) -> None:
        """Begin with none; ``shared`` connects them to those of other replicas."""
        self._rules = rules or BreakerRules()
        self._clock = clock
        self._shared = shared
        self._breakers: dict[tuple[str, str], Breaker] = {}

    def of(self, provider: str, model: str) -> Breaker:
        """Return the breaker of a model."""
        breaker = self._breakers.get((provider, model))
        if breaker is None:
            breaker = Breaker(provider, model, self._rules, self._clock)
            self._breakers[provider, model] = breaker
        return breaker

    def snapshot(self) -> list[BreakerState]:
        """Return the figures of every model that was asked for."""
        return [breaker.snapshot() for breaker in self._breakers.values()]

    async def may_try(self, breaker: Breaker) -> bool:
        """Tell whether the one trying call is ours to make; when nobody can tell, it is."""
        if self._shared is None:
            return True
        try:
            async with asyncio.timeout(CLAIM_PATIENCE):
                return await self._shared.claim(breaker.provider, breaker.model, CLAIM_SECONDS)
        except (ParlourError, OSError, TimeoutError) as error:
            _log.info("breakers_not_shared", cause=repr(error))
            return True

    async def synchronise(self) -> None:
        """Tell the other replicas what happened here, and learn what happened there. Never fails."""
        if self._shared is None:
            return
        try:
            for breaker in list(self._breakers.values()):
                if not breaker.told:
                    breaker.told = True  # before: what happens meanwhile is told the next time
                    try:
                        await self._shared.publish(breaker.transition())
                    except BaseException:
                        breaker.told = False
                        raise
            for word in await self._shared.fetch():
                self.of(word.provider, word.model).adopt(word)
        except (ParlourError, OSError, TimeoutError) as error:
            _log.info("breakers_not_shared", cause=repr(error))

    async def keep_sharing(self, every: float = 1.0) -> None:
        """Synchronise for as long as the server lives."""
        while True:
            await self.synchronise()
            await asyncio.sleep(every)
