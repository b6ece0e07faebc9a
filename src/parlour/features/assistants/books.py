"""What answers took, and what was found in them, written down patiently (P-21).

A database that is away for a while loses no line, and holds no answer back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from parlour.infra.storage.database import patiently
from parlour.vocabulary.errors import ParlourError

# Whoever reads an answer to its end finds it in the books, unless they take longer than this.
WAITED_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


class Books:
    """Writes in tasks of its own: whoever asked may be gone, and the books stay right."""

    def __init__(self) -> None:
        """Begin with nothing to write."""
        self._writing: set[asyncio.Task[None]] = set()

    async def write(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work``, again while the database is away, and wait for it a little. Raises nothing of its."""
        writing = asyncio.create_task(_written(work))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        await asyncio.wait((writing,), timeout=WAITED_SECONDS)

    async def finish_all(self) -> None:
        """Wait until everything is written, or patience has ended."""
        while self._writing:
            await asyncio.gather(*self._writing, return_exceptions=True)


async def _written(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await patiently(work)
    except ParlourError as error:  # the answer is out; the operator learns what is missing
        _log.error("books_not_written", code=error.code, cause=error.cause)
