"""One server process, one fake provider and one visitor: where most fault tests begin."""

import sqlite3
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.provider import FakeProvider, Request
from tests.harness.client import BROKEN, Api, Told
from tests.harness.process import ServerProcess
from tests.harness.stored import Stored, database_file, read_stored
from tests.harness.waiting import until

KEY = "sk-canary-0f3a9d71c5"
"""The provider's key. Nobody but the provider may ever see it."""


@dataclass(slots=True)
class Rig:
    """The parts, all running."""

    server: ServerProcess
    provider: FakeProvider
    api: Api

    async def stored(self) -> Stored:
        """Return what the database holds."""
        return await read_stored(self.server.database_url)

    def calls(self, question: str) -> list[Request]:
        """Return how the model was asked exactly this (and not for a title of it)."""
        return [request for request in self.provider.requests if request.question == question]

    async def told_until(self, told: Told, message: str, text: str, **fields: object) -> None:
        """Send ``message`` and read until ``text`` was said; leave then, as a closed tab does."""
        frames = self.api.stream(message, told, **fields)
        async for _ in frames:
            if text in told.text:
                break
        await frames.aclose()
        assert text in told.text

    async def finish(self, told: Told) -> str:
        """Come back to a run as often as it takes, and return what the reader then has."""
        assert told.run_id is not None

        async def closed() -> bool:
            try:
                async for _ in self.api.events(told.run_id or "", told):
                    pass
            except BROKEN:
                return False
            return told.closed

        await until(closed, 30, f"the run {told.run_id} ends for its reader")
        return told.text

    async def turn_over(self) -> None:
        """Return when the server has had time for whatever it was sent before: it answered others since."""
        for _ in range(10):
            assert await self.server.status("/livez") == 200

    async def check_sound(self) -> None:
        """See that the next question is answered, whatever happened before."""
        status, body, _ = await self.api.send("Are you well? [[n=7]]")
        assert status == 200, body
        assert body["message"]["status"] == "completed"

    @property
    def lock(self) -> sqlite3.Connection:
        """A connection that can hold the database file against the server."""
        file = database_file(self.server.database_url)
        assert file is not None
        return sqlite3.connect(file, isolation_level=None, check_same_thread=False)


@asynccontextmanager
async def rig(folder: Path, environment: Mapping[str, str] | None = None) -> AsyncGenerator[Rig, None]:
    """Start a server on an empty database in ``folder``; ``environment`` adds settings."""
    async with FakeProvider() as provider:
        settings = model_settings(provider) | dict(environment or {})
        async with ServerProcess(folder / "data", environment=settings) as server:
            await server.start()
            async with Api(server.url) as api:
                yield Rig(server, provider, api)


def model_settings(provider: FakeProvider) -> dict[str, str]:
    """Return the settings that make a server talk to ``provider``."""
    return {"OPENAI_BASE_URL": provider.base_url, "OPENAI_MODEL": "fake", "OPENAI_API_KEY": KEY}
