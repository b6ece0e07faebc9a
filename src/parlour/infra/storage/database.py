"""The interface that every store works through, and who a unit of work acts for."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final, Literal, Protocol, TypeVar

from sqlalchemy import Connection

from parlour.vocabulary.errors import Unavailable
from parlour.vocabulary.principal import Principal

RETRY_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 30.0  # P-21: what must not be lost waits so long for a database that is away

T = TypeVar("T")


class Worker(Enum):
    """The system itself: reaper, journal, migrations. A request never acts as it."""

    WORKER = "worker"


WORKER: Final = Worker.WORKER
Actor = Principal | Literal[Worker.WORKER]
Work = Callable[[Connection], T]


class Database(Protocol):
    """Where everything is kept.

    A unit of work is a short synchronous function over a Core connection; it sees either all or nothing of
    any other unit, and may be run again from the start when the database asks for that, so it must change
    nothing but rows.
    """

    async def read(self, actor: Actor, work: Work[T]) -> T:
        """Run ``work`` on one consistent snapshot. Raises Unavailable when the database is out of reach."""
        ...

    async def write(self, actor: Actor, work: Work[T]) -> T:
        """Run ``work`` in a transaction and return after its commit is durable.

        A ParlourError raised by ``work`` rolls its own changes back, and only those. Raises Unavailable
        (StorageFull when there is no room left); then nothing of ``work`` was kept.
        """
        ...

    async def migrate(self) -> None:
        """Bring the schema to this version's; safe when several processes start at once."""
        ...

    async def check(self) -> None:
        """Prove that it answers and that its schema is this version's, else raise Unavailable."""
        ...

    async def close(self) -> None:
        """Finish what was begun and let go of every connection."""
        ...


async def patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Do a unit of work; a database that is away is asked again, until patience ends."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await work()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(RETRY_SECONDS)
