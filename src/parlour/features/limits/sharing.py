"""What servers on one database tell each other beside their calls: who is there, and which models fail.

An embedded database has one server, so there is nobody to tell.
"""

import asyncio
from collections.abc import Sequence

from parlour.features.limits.store import sharing
from parlour.infra.storage.database import WORKER, Database
from parlour.llm.orchestra.breaker import State, Transition
from parlour.vocabulary.errors import Unavailable

APPEAR_SECONDS = 5.0
# Without a common counter each of several servers allows its part of a limit, and a fifth more: that is how
# far somebody who asks all of them gets above it, and somebody who asks one of them has not too little.
LENIENCE = 1.2


def share_of(count: int) -> float:
    """Return which part of a limit each of so many servers allows when each counts for itself."""
    return 1.0 if count <= 1 else LENIENCE / count


class Servers:
    """The servers of this database."""

    def __init__(self, database: Database, name: str) -> None:
        """Be known by ``name``; alone until the others are heard of."""
        self._database = database
        self._name = name
        self.count = 1

    @property
    def share(self) -> float:
        """Return this server's part of a limit that is not counted in common."""
        return share_of(self.count)

    async def keep(self) -> None:
        """Be there, and count the others, for as long as the server lives."""
        while True:
            await self.appear()
            await asyncio.sleep(APPEAR_SECONDS)

    async def appear(self) -> None:
        """Be there, and count the others; without a database the last count holds."""
        try:
            self.count = await self._database.write(
                WORKER, lambda connection: sharing.appear(connection, self._name)
            )
        except Unavailable:
            return

    async def leave(self) -> None:
        """Be there no more."""
        await self._database.write(WORKER, lambda connection: sharing.disappear(connection, self._name))


class BreakerWords:
    """What servers know about models, in the database: the :class:`SharedBreakers` of the orchestra."""

    def __init__(self, database: Database) -> None:
        """Keep words in ``database``."""
        self._database = database

    async def publish(self, transition: Transition) -> None:
        """Keep this as the newest word on the model; it ends a claim."""
        word = {
            "provider": transition.provider,
            "model": transition.model,
            "state": transition.state.value,
            "milliseconds": round(transition.seconds * 1000),
            "openings": transition.openings,
        }
        await self._database.write(WORKER, lambda connection: sharing.tell(connection, word))

    async def fetch(self) -> Sequence[Transition]:
        """Return the newest word on every model, with the seconds that are left."""
        return [
            Transition(
                word["provider"],
                word["model"],
                State(word["state"]),
                max(0.0, word["milliseconds"] / 1000),
                word["openings"],
            )
            for word in await self._database.read(WORKER, sharing.words)
        ]

    async def claim(self, provider: str, model: str, seconds: float) -> bool:
        """Take the right to make the one trying call; False while somebody else has it."""
        return await self._database.write(
            WORKER, lambda connection: sharing.claim(connection, provider, model, round(seconds * 1000))
        )
