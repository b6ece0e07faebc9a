"""Work on long texts that leaves the event loop to others."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

# Up to here a text costs a few milliseconds at worst, and a thread would cost more than it saves.
SHORT: Final = 20_000


async def apart(size: int, work: Callable[[], T]) -> T:
    """Do ``work`` on ``size`` characters: in a thread when they are many."""
    return work() if size <= SHORT else await asyncio.to_thread(work)
