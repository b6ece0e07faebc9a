"""A watch over the event loop: measures how late it is, and shows what blocks it while it does (F-040)."""

import asyncio
import contextlib
import sys
import threading
import time
import traceback
from types import TracebackType
from typing import Final

import structlog

from parlour.infra.observability.health import Health, HealthState
from parlour.infra.observability.metrics import Metrics

log = structlog.get_logger(__name__)

TICK: Final = 0.25
BLOCKED_AFTER: Final = 1.0  # readers' timers, heartbeats and leases all stand still meanwhile
REMEMBERED: Final = 5.0


class LoopWatch:
    """Runs while its ``async with`` block does; is a health check of its own, ``event_loop``."""

    name = "event_loop"

    def __init__(self, metrics: Metrics) -> None:
        """Report lags to ``metrics``."""
        self._metrics = metrics
        self._beat = time.monotonic()
        self._blocked_at = float("-inf")
        self._ended = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> "LoopWatch":
        """Start beating on this loop, and a thread that watches the beat."""
        self._beat = time.monotonic()
        self._task = asyncio.create_task(self._tick(), name="loop-watch")
        self._thread = threading.Thread(
            target=self._watch, args=(threading.get_ident(),), name="parlour-loop-watch", daemon=True
        )
        self._thread.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop both."""
        self._ended.set()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def check(self) -> Health:
        """Unhealthy for some seconds after the loop stood still: others should take the next requests."""
        if time.monotonic() - self._blocked_at < REMEMBERED:
            return Health(HealthState.UNHEALTHY, "The event loop stood still; the log shows where.")
        return Health(HealthState.HEALTHY, "On time.")

    async def _tick(self) -> None:
        while True:
            due = time.monotonic() + TICK
            await asyncio.sleep(TICK)
            self._beat = time.monotonic()
            lag = max(0.0, self._beat - due)
            self._metrics.loop_lag(lag)
            if lag >= BLOCKED_AFTER:
                self._blocked_at = self._beat

    def _watch(self, loop_thread: int) -> None:
        reported = 0.0
        while not self._ended.wait(TICK):
            beat = self._beat
            silence = time.monotonic() - beat
            if silence < BLOCKED_AFTER + TICK or reported == beat:
                continue
            reported = beat
            frame = sys._current_frames().get(loop_thread)
            stack = "".join(traceback.format_stack(frame)) if frame else ""
            log.error("event loop blocked", seconds=round(silence, 2), stack=stack)
