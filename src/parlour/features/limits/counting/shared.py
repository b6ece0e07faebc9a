"""Counters in Redis, which servers share, with those of this process behind them.

What Redis said is remembered here. When it does not answer within a tenth of a second, this process counts
on from there and allows its part of each limit only, since the other servers do the same; and when it comes
back with less than it knew, the higher count holds (A-250). The scripts are those of the ``limits`` library.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any, Final, NamedTuple

import structlog
from limits.aio.storage.redis.bridge import RedisBridge
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from parlour.features.limits.counting.memory import Memory
from parlour.features.limits.counting.tally import Charge, Tally
from parlour.infra.storage.redis import CALL_SECONDS, FAILURES

LOOK_AGAIN_SECONDS = 1.0
TOLERANCE = 0.05  # how much less Redis may know before it is reminded

_NO_LIMIT: Final = 10**12

_LOOK: Final = RedisBridge.SCRIPT_SLIDING_WINDOW
_TAKE: Final = RedisBridge.SCRIPT_ACQUIRE_SLIDING_WINDOW

_LOOK_DIGEST: Final = sha1(_LOOK, usedforsecurity=False).hexdigest()
_TAKE_DIGEST: Final = sha1(_TAKE, usedforsecurity=False).hexdigest()

_log = structlog.get_logger(__name__)


class _Call(NamedTuple):
    """A script to run on a key."""

    digest: str
    key: str
    arguments: tuple[int, ...]


@dataclass(slots=True)
class _Batch:
    """Calls that go to Redis together, and what came of them: None when it did not answer."""

    calls: list[_Call] = field(default_factory=list)
    found: list[Any] | None = None


class Shared:
    """Counters in Redis."""

    def __init__(self, client: Redis, memory: Memory, *, share: Callable[[], float] = lambda: 1.0) -> None:
        """Count with ``client``; in ``memory``, up to ``share`` of each limit, while it is away."""
        self.window = memory.window
        self._client = client
        self._memory = memory
        self._share = share
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

    async def look(self, keys: Sequence[str]) -> list[Tally]:
        """Return the tallies that all servers share, or this process's own."""
        found = await self._run([_Call(_LOOK_DIGEST, key, (self.window,)) for key in keys])
        if found is None:
            return await self._memory.look(keys)
        theirs = [self._tally(row) for row in found]
        known = [self._memory.learn(key, tally) for key, tally in zip(keys, theirs, strict=True)]
        await self._remind(keys, theirs, known)
        return known

    async def take(self, charges: Sequence[Charge]) -> list[bool]:
        """Count what passes, where all servers see it or here."""
        arguments = ((charge.limit, self.window, charge.cost) for charge in charges)
        keys = (charge.key for charge in charges)
        found = await self._run([_Call(_TAKE_DIGEST, *each) for each in zip(keys, arguments, strict=True)])
        if found is None:
            return await self._memory.take(charges)
        for charge, passed in zip(charges, found, strict=True):
            if passed:
                self._memory.add(charge.key, charge.cost)
        return [bool(passed) for passed in found]

    async def close(self) -> None:
        """Look for Redis no more."""
        if self._return is not None:
            self._return.cancel()
            await asyncio.gather(self._return, return_exceptions=True)

    async def _remind(self, keys: Sequence[str], theirs: Sequence[Tally], known: Sequence[Tally]) -> None:
        """Count again in Redis what it has lost, so that the other servers see it."""
        lost = [
            (key, ours.used(self.window) - tally.used(self.window))
            for key, tally, ours in zip(keys, theirs, known, strict=True)
        ]
        # Two clocks never agree on every single one.
        calls = [
            _Call(_TAKE_DIGEST, key, (_NO_LIMIT, self.window, count))
            for (key, count), ours in zip(lost, known, strict=True)
            if count > 1 + ours.used(self.window) * TOLERANCE
        ]
        if calls:
            await self._run(calls)

    async def _run(self, calls: Sequence[_Call]) -> list[Any] | None:
        """Run scripts; None while Redis is away.

        What is asked for while an earlier batch is under way goes with the next one, all in one round trip.
        """
        if self.away:
            return None
        batch = self._next
        begin = len(batch.calls)
        batch.calls.extend(calls)
        async with self._turn:
            if self._next is batch:
                self._next = _Batch()
                batch.found = None if self.away else await self._send(batch.calls)
        return None if batch.found is None else batch.found[begin : begin + len(calls)]

    async def _send(self, calls: Sequence[_Call]) -> list[Any] | None:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                try:
                    return await self._evaluate(calls)
                except NoScriptError:  # a new server, or one that was emptied
                    for script in (_LOOK, _TAKE):
                        await self._client.script_load(script)
                    return await self._evaluate(calls)
        except FAILURES as error:
            _log.warning("redis_away", cause=f"{type(error).__name__}: {error}")
            self._return = asyncio.create_task(self._until_back())
            return None

    async def _evaluate(self, calls: Sequence[_Call]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for digest, key, arguments in calls:
            # The braces keep both counters of a key on one node of a cluster.
            pipeline.evalsha(digest, 2, f"parlour:rate:{{{key}}}/-1", f"parlour:rate:{{{key}}}", *arguments)
        found: list[Any] = await pipeline.execute()
        return found

    def _tally(self, row: Sequence[Any]) -> Tally:
        """Read what the script says: counts, and the milliseconds that Redis keeps them."""
        previous, previous_left, current, current_left = (int(value or 0) for value in row)
        # A counter is kept for two windows: its own, and the next, in which it is the one before.
        left = current_left / 1000 - self.window if current_left > 0 else previous_left / 1000
        return Tally(previous if previous_left > 0 else 0, current, max(0.0, left))

    async def _until_back(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    await self._client.ping()
            except FAILURES:
                continue
            _log.warning("redis_back")
            self._return = None
            return
