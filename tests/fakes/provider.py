"""Language model providers that speak real wire formats over real HTTP and misbehave on command.

As a program: ``python -m tests.fakes.provider --port 9100``. In tests::

    async with FakeProvider() as provider:
        ... provider.base_url ... provider.requests ...

One server speaks for all of them, each under its own path, see :data:`SERVICES`. What it does is told by the
model's name or by the newest user message, see :mod:`tests.fakes.script`, or from outside by
:attr:`FakeProvider.told`. It writes down every request, so that a checker can count the calls per question
and see what was in a prompt: :attr:`FakeProvider.requests`, ``GET /_requests``, and ``DELETE /_requests`` to
forget them.
"""

import argparse
import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.fakes import anthropic_wire, chat_wire, gemini_wire, ollama_wire
from tests.fakes.answering import Answering, misbehaved
from tests.fakes.answers import question_of
from tests.fakes.chat_wire import MODELS
from tests.fakes.connection import Connection
from tests.fakes.script import Script, script_of, unlucky
from tests.fakes.service import Request, Service

__all__ = ["MODELS", "SERVICES", "FakeProvider", "Request", "question_of"]

SERVICES: tuple[Service, ...] = (
    anthropic_wire.SERVICE,
    gemini_wire.SERVICE,
    ollama_wire.SERVICE,
    chat_wire.SERVICE,
)
"""The first that claims a request serves it; the last words the errors for unknown addresses."""


class FakeProvider:
    """The server. ``port`` 0 takes any free one."""

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        """Remember where to listen; nothing is opened yet."""
        self._address = (host, port)
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._seen: dict[tuple[str, str, str], int] = {}
        self.told: dict[str, str] = {}
        """Directives by the name of a service or a model, such as ``{"ollama": "status=503"}``. They win over
        those in a question, until the test takes them back; over HTTP: ``PUT /_told``."""
        self.requests: list[Request] = []
        self.arrived = asyncio.Event()
        """Set with every request; a test that waits for the next one clears it first."""
        self.connections_made = 0
        self.held_back = asyncio.Event()
        """Set when a reader was too slow to take what was written."""

    async def __aenter__(self) -> Self:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), *self._address)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and cut whoever is still there."""
        assert self._server is not None
        self._server.close()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.gather(*(each.task for each in self._connections if each.task), return_exceptions=True)
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"{self.root}/v1"

    @property
    def root(self) -> str:
        """What the clients of all other providers take as their base URL."""
        return f"http://{self._address[0]}:{self.port}"

    def calls(self, question: str, service: str | None = None) -> list[Request]:
        """Return the requests for an answer whose question contains ``question``."""
        return [
            each
            for each in self.requests
            if each.asked and question in each.question and service in (None, each.service)
        ]

    @property
    def open_connections(self) -> int:
        """How many connections clients hold open now."""
        return len(self._connections)

    # --- what the connections call ---

    def opened(self, connection: "Connection") -> None:
        """Remember a connection."""
        self._connections.add(connection)
        self.connections_made += 1

    def closed(self, connection: "Connection") -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    async def answer(self, connection: Connection, request: Request) -> None:
        """Answer one request."""
        if request.path in ("/_requests", "/_told"):
            self._obey(connection, request)
        else:
            self.requests.append(request)
            await self._serve(connection, request)
        request.end("finished")

    def _obey(self, connection: Connection, request: Request) -> None:
        match request.method, request.path:
            case "GET", "/_requests":
                connection.send_json(200, [each.shown() for each in self.requests])
            case "DELETE", "/_requests":
                self.requests.clear()
                self._seen.clear()
                connection.send_json(200, {})
            case "PUT", "/_told":
                self.told = {str(name): str(words) for name, words in request.body.items()}
                connection.send_json(200, self.told)
            case _:
                connection.send_json(405, {})

    async def _serve(self, connection: Connection, request: Request) -> None:
        for service in SERVICES:
            if service.claims(request):
                request.service = service.name
                request.asked = asked = service.read(request)
                request.question = asked.question
                self.arrived.set()
                script = self._script(request, asked.model)
                return await Answering(service, connection, request, asked, script).give()
            for page in service.pages:
                if page.claims(request):
                    request.service, request.question = service.name, page.question(request)
                    self.arrived.set()
                    script = self._script(request, str(request.body.get("model", "")))
                    if not await misbehaved(service, connection, request, script):
                        connection.send_json(200, page.document(script, request))
                    return None
        self.arrived.set()
        connection.send_json(404, SERVICES[-1].error(Script(), 404))
        return None

    def _script(self, request: Request, model: str) -> Script:
        told = self.told.get(model, self.told.get(request.service, ""))
        script = script_of(model, request.question, request.service, told)
        key = (request.path, model, request.question)
        nth = self._seen[key] = self._seen.get(key, 0) + 1
        if script.flaky:
            return unlucky(script, request.question, nth)
        return script.healthy if script.times and nth > script.times else script


async def _run(host: str, port: int) -> None:
    async with FakeProvider(port, host) as provider:
        print(provider.base_url, flush=True)  # noqa: T201 - whoever starts this program reads the address here
        await asyncio.Event().wait()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9100)
    arguments = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(_run(arguments.host, arguments.port))


if __name__ == "__main__":
    main()
