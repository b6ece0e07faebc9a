"""Waiting for a condition instead of for time."""

import asyncio
import time
from collections.abc import Awaitable, Callable

LOOK_SECONDS = 0.03


async def until(condition: Callable[[], Awaitable[bool] | bool], seconds: float, what: str) -> float:
    """Return, after how many seconds, once ``condition`` holds; fail when it does not within ``seconds``."""
    begun = time.monotonic()
    while True:
        held = condition()
        if held if isinstance(held, bool) else await held:
            return time.monotonic() - begun
        assert time.monotonic() - begun < seconds, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(LOOK_SECONDS)
