"""Counters in Redis, which servers share, with those of this process behind them.

One script looks at all limits of a message and counts in all of them or in none: one round trip, whoever
else is at it. What Redis said is remembered here. When it does not answer within a tenth of a second, this
process counts on from there and allows its part of each limit only, since the other servers do the same; and
when Redis comes back with less than was known, the higher count holds (A-250).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from parlour.features.limits.counting.memory import Memory
from parlour.features.limits.counting.tally import Charge, Tally, Verdict
from parlour.infra.storage.redis import CALL_SECONDS, FAILURES

LOOK_AGAIN_SECONDS = 1.0
TOLERANCE = 0.05  # how much less Redis may know before it is reminded
PREFIX: Final = "parlour:rate:"

_NO_LIMIT: Final = 10**12
_ALL: Final = "all"  # count all charges, or none
_FILL: Final = "fill"  # count of each what there is room for
# A key holds the counts of two windows and lives to the end of the next one: how long it has yet to live says
# where in its window it is. All times are milliseconds by the clock of Redis.
_SCRIPT: Final = """
local window, fill = tonumber(ARGV[1]), ARGV[2] == 'fill'
local found, costs, passed = {1}, {}, true
for i, key in ipairs(KEYS) do
    local limit, cost = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
    local previous, current, left = 0, 0, redis.call('PTTL', key)
    if left > 0 then
        local value = redis.call('GET', key)
        previous, current = string.match(value, '(%d+) (%d+)')
        previous, current = tonumber(previous), tonumber(current)
        if left > window then
            left = left - window
        else
            previous, current = current, 0
        end
    end
    if previous + current == 0 then
        left = window
    end
    local used = math.floor(previous * left / window) + current
    if fill then
        cost = math.max(0, math.min(cost, limit - used))
    elseif used + cost > limit then
        passed = false
    end
    costs[i] = cost
    found[3 * i - 1], found[3 * i], found[3 * i + 1] = previous, current, left
end
if not passed then
    found[1] = 0
    return found
end
for i, key in ipairs(KEYS) do
    if costs[i] > 0 then
        local counts = string.format('%.0f %.0f', found[3 * i - 1], found[3 * i] + costs[i])
        redis.call('SET', key, counts, 'PX', found[3 * i + 1] + window)
    end
end
return found
"""
_DIGEST: Final = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Batch:
    """Calls that go to Redis together, and what came of them: None when it did not answer."""

    calls: list[tuple[str, Sequence[Charge]]] = field(default_factory=list)
    found: list[Any] | None = None


class Shared:
    """Counters in Redis."""

    def __init__(
        self,
        client: Redis,
        memory: Memory,
        *,
        share: Callable[[], float] = lambda: 1.0,
        patience: float = CALL_SECONDS,
    ) -> None:
        """Count with ``client``; in ``memory``, up to ``share`` of each limit, while it is away.

        It is away when it does not answer within ``patience`` seconds.
        """
        self.window = memory.window
        self._client = client
        self._memory = memory
        self._share = share
        self._patience = patience
        self._return: asyncio.Task[None] | None = None
        self._next = _Batch()
        self._turn = asyncio.Lock()

    @property
    def away(self) -> bool:
        """Tell whether this process counts for itself."""
        return self._return is not None

    @property
    def share(self) -> float:
        """Return all of a limit, or this process's part while Redis is away."""
        return self._share() if self.away else 1.0

    async def admit(self, charges: Sequence[Charge]) -> Verdict:
        """Count all or none, where all servers see it or here."""
        found = await self._run(_ALL, charges)
        if found is None:
            return await self._memory.admit(charges)
        theirs = [
            Tally(previous, current, left / 1000 if previous or current else 0.0)
            for previous, current, left in zip(found[1::3], found[2::3], found[3::3], strict=True)
        ]
        known = [self._memory.learn(charge.key, tally) for charge, tally in zip(charges, theirs, strict=True)]
        room = all(
            tally.used(self.window) + charge.cost <= charge.limit
            for charge, tally in zip(charges, known, strict=True)
        )
        await self._remind(charges, theirs, known)
        if not found[0] or not room:
            return Verdict(False, known)  # noqa: FBT003 - named by its type
        for charge in charges:
            self._memory.add(charge.key, charge.cost)
        return Verdict(True, known)  # noqa: FBT003

    async def fill(self, charges: Sequence[Charge]) -> None:
        """Count what there is room for."""
        if await self._run(_FILL, charges) is None:
            await self._memory.fill(charges)

    async def close(self) -> None:
        """Look for Redis no more."""
        if self._return is not None:
            self._return.cancel()
            await asyncio.gather(self._return, return_exceptions=True)

    async def _remind(
        self, charges: Sequence[Charge], theirs: Sequence[Tally], known: Sequence[Tally]
    ) -> None:
        """Count again in Redis what it has lost, so that the other servers see it."""
        lost = []
        for charge, tally, ours in zip(charges, theirs, known, strict=True):
            if ours is tally:
                continue
            used = ours.used(self.window)
            missing = used - tally.used(self.window)
            if missing > 1 + used * TOLERANCE:  # two clocks never agree on every single one
                lost.append(Charge(charge.key, _NO_LIMIT, missing))
        if lost:
            await self._run(_FILL, lost)

    async def _run(self, mode: str, charges: Sequence[Charge]) -> list[int] | None:
        """Run the script; None while Redis is away.

        What is asked for while an earlier batch is under way goes with the next one, all in one round trip.
        """
        if self.away:
            return None
        batch = self._next
        place = len(batch.calls)
        batch.calls.append((mode, charges))
        async with self._turn:
            if self._next is batch:
                self._next = _Batch()
                batch.found = None if self.away else await self._send(batch.calls)
        return None if batch.found is None else batch.found[place]

    async def _send(self, calls: Sequence[tuple[str, Sequence[Charge]]]) -> list[Any] | None:
        try:
            async with asyncio.timeout(self._patience):
                try:
                    return await self._evaluate(calls)
                except NoScriptError:  # a new server, or one that was emptied
                    await self._client.script_load(_SCRIPT)
                    return await self._evaluate(calls)
        except FAILURES as error:
            _log.warning("redis_away", cause=f"{type(error).__name__}: {error}")
            self._return = asyncio.create_task(self._until_back())
            return None

    async def _evaluate(self, calls: Sequence[tuple[str, Sequence[Charge]]]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for mode, charges in calls:
            keys = [PREFIX + charge.key for charge in charges]
            figures = [figure for charge in charges for figure in charge[1:]]
            pipeline.evalsha(_DIGEST, len(keys), *keys, self.window * 1000, mode, *figures)
        found: list[Any] = await pipeline.execute()
        return found

    async def _until_back(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            try:
                async with asyncio.timeout(self._patience):
                    await self._client.ping()
            except FAILURES:
                continue
            _log.warning("redis_back")
            self._return = None
            return
