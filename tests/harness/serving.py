"""A real Parlour in this process: uvicorn on a free port of the test's own event loop, and its callers.

::

    async with FakeProvider() as provider, serving(settings(tmp_path, provider=provider)) as served:
        visitor = await served.visitor()
        reply = await visitor.send("How are you?")
        async with visitor.stream("And now?") as stream:
            ...

Everything goes over HTTP; ``served.parlour`` is there for what no client can do (look into tables, sweep).
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
from fastapi import FastAPI
from multidict import CIMultiDictProxy
from pydantic import SecretStr

from parlour.app import create_app
from parlour.entrypoints.cli.serving import listen
from parlour.entrypoints.http.connections import BoundedConnection
from parlour.settings import Settings
from parlour.settings.declaring import Section
from parlour.settings.limits import LimitSettings
from parlour.settings.model import ChatSettings, KnowledgeSettings, ServerSettings
from parlour.settings.providers import OllamaSettings, OpenAISettings
from parlour.wiring import Parlour
from tests.fakes.provider import FakeProvider, Request
from tests.harness.sse import EventReader, Frame

AMPLE = LimitSettings(
    requests_per_minute=1_000_000, tokens_per_minute=1_000_000_000, streams_per_person=10_000
)
PATIENCE = 20.0  # for what must happen at all; how fast is measured elsewhere


def settings(
    folder: Path,
    *,
    url: str | None = None,
    provider: FakeProvider | None = None,
    knowledge: bool = False,
    drain_seconds: float = 0.0,
    chat: ChatSettings | None = None,
    limits: LimitSettings | None = None,
    **sections: Section,
) -> Settings:
    """Return settings for a server with ``provider`` as its model, or with the built-in one.

    Limits are there and out of the way unless given; any other section can be given by its name.
    """
    openai = OpenAISettings()
    if provider is not None:
        openai = OpenAISettings(api_key=SecretStr("sk-test"), base_url=provider.base_url, model="fake")
    given: dict[str, Any] = {
        "openai": openai,
        "ollama": OllamaSettings(find=False),  # a developer may have one
        "limits": limits or AMPLE,
        **sections,
    }
    return Settings(
        data_dir=folder,
        database_url=None if url is None else SecretStr(url),
        server=ServerSettings(drain_seconds=drain_seconds),
        knowledge=KnowledgeSettings(enabled=knowledge),
        chat=chat or ChatSettings(),
        **given,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, read to its end."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was sent
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Served:
    """A running server."""

    url: str
    app: FastAPI
    http: aiohttp.ClientSession
    links: list[str] = field(default_factory=list)
    """The owner's sign-in links that were told."""

    @property
    def parlour(self) -> Parlour:
        """The server's living parts."""
        found: Parlour = self.app.state.parlour
        return found

    async def ready(self) -> None:
        """Wait until it takes messages: on PostgreSQL it looks for its database in the background."""
        async with asyncio.timeout(PATIENCE):
            while (await self.request("GET", "/readyz")).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            somebody, nothing = await self.visitor(), "/api/chat/messages/nothing/regenerate"
            while (await somebody.request("POST", nothing)).status == 503:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def owner_invited(self) -> str:
        """Wait for the owner's sign-in link, the last thing that a new server stores by itself."""
        async with asyncio.timeout(PATIENCE):
            while not self.links:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return self.links[-1]

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and read the whole response; ``body`` goes as JSON, ``data`` as it is."""
        async with self.http.request(
            method, f"{self.url}{path}", json=body, data=data, headers=headers, allow_redirects=False
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def visitor(self) -> "Person":
        """Let a new visitor in."""
        answer = await self.request("POST", "/api/visitors")
        assert answer.status == 201, answer.body
        return Person(self, answer.json["visitorId"], answer.json["token"])


@dataclass
class Person:
    """Somebody with a token, and the calls that clients make."""

    served: Served
    id: str
    token: str

    @property
    def authorization(self) -> dict[str, str]:
        """The header that says who is asking."""
        return {"Authorization": f"Bearer {self.token}"}

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request as this person."""
        own = self.authorization | dict(headers or {})
        return await self.served.request(method, path, body=body, data=data, headers=own)

    async def ok(self, method: str, path: str, body: object = None, *, status: int = 200) -> Any:  # noqa: ANN401
        """Send a request that must succeed, and return its JSON."""
        answer = await self.request(method, path, body=body)
        assert answer.status == status, (answer.status, answer.body)
        return answer.json

    async def send(self, message: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
        """Send a message and return the whole reply."""
        found: dict[str, Any] = await self.ok("POST", "/api/chat", {"message": message, **fields})
        return found

    def stream(self, message: str, **fields: Any) -> "Stream":  # noqa: ANN401
        """Send a message and follow the reply as events."""
        return Stream(self, "POST", "/api/chat", {"message": message, "stream": True, **fields})

    def follow(self, run_id: str, *, last_id: str | None = None) -> "Stream":
        """Follow a run that exists, after ``last_id``."""
        headers = {} if last_id is None else {"Last-Event-ID": last_id}
        return Stream(self, "GET", f"/api/chat/runs/{run_id}/events", None, headers)

    async def poll(self, run_id: str, *, after: str = "", wait: float = 5.0) -> dict[str, Any]:
        """Ask for a run's events as JSON."""
        answer = await self.request(
            "GET",
            f"/api/chat/runs/{run_id}/events?after={after}&wait={wait}",
            headers={"Accept": "application/json"},
        )
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json
        return found

    async def session(self, **fields: Any) -> str:  # noqa: ANN401
        """Create an empty session and return its id."""
        found: str = (await self.ok("POST", "/api/chat/sessions", fields, status=201))["id"]
        return found

    async def sessions(self, query: str = "") -> list[dict[str, Any]]:
        """List sessions."""
        found: list[dict[str, Any]] = (await self.ok("GET", f"/api/chat/sessions{query}"))["items"]
        return found

    async def messages(self, session_id: str) -> list[dict[str, Any]]:
        """Read a session's newest messages."""
        page = await self.ok("GET", f"/api/chat/sessions/{session_id}/messages?limit=100")
        found: list[dict[str, Any]] = page["items"]
        return found

    async def message(self, session_id: str, message_id: str) -> dict[str, Any]:
        """Read one message of a session's branch in view."""
        return next(each for each in await self.messages(session_id) if each["id"] == message_id)

    async def run(self, run_id: str) -> dict[str, Any]:
        """Read a run's state."""
        found: dict[str, Any] = await self.ok("GET", f"/api/chat/runs/{run_id}")
        return found

    async def ended(self, run_id: str) -> dict[str, Any]:
        """Follow a run to its end and return its state."""
        async with asyncio.timeout(PATIENCE):
            async with self.follow(run_id) as stream:
                await stream.rest()
            return await self.run(run_id)


class Stream:
    """An open event stream, read by :class:`EventReader`."""

    def __init__(
        self,
        person: Person,
        method: str,
        path: str,
        body: object,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare; ``async with`` opens the connection."""
        self._person = person
        self._call = (method, f"{person.served.url}{path}")
        self._body = body
        self._headers = person.authorization | dict(headers or {})
        self._response: aiohttp.ClientResponse | None = None
        self.reader = EventReader()
        self.raw = b""

    async def __aenter__(self) -> "Stream":
        """Open the connection."""
        method, url = self._call
        self._response = await self._person.served.http.request(
            method, url, json=self._body, headers=self._headers
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cut the connection, wherever the stream is."""
        self.response.close()

    @property
    def response(self) -> aiohttp.ClientResponse:
        """The response, whose body the stream is."""
        assert self._response is not None
        return self._response

    async def more(self) -> list[Frame]:
        """Wait for more bytes; return the events that they complete."""
        async with asyncio.timeout(PATIENCE):
            data = await self.response.content.readany()
        self.raw += data
        return self.reader.feed(data)

    async def until(self, event: str) -> Frame:
        """Read up to the first event of a kind; ``message`` is text."""
        while True:
            for frame in self.reader.frames:
                if frame.event == event:
                    return frame
            assert not self.response.content.at_eof(), f"ended without {event}: {self.raw!r}"
            await self.more()

    async def begun(self, event: str = "message") -> dict[str, Any]:
        """Read up to the first event of a kind; return what ``start`` said."""
        await self.until(event)
        return (await self.until("start")).value

    async def rest(self) -> EventReader:
        """Read to the end."""
        while not self.response.content.at_eof():
            await self.more()
        return self.reader


class _Server(uvicorn.Server):
    """Leaves signals to pytest, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets=sockets)
        self.listening.set()


@asynccontextmanager
async def serving(wanted: Settings, *, wait: bool = True) -> AsyncIterator[Served]:
    """Run a server until the block ends; it is ready when the block begins, unless told not to ``wait``."""
    links: list[str] = []
    app = create_app(wanted, links.append)
    listener = listen("127.0.0.1", 0)
    server = _Server(
        uvicorn.Config(
            app,
            http=BoundedConnection,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
    )
    running = asyncio.create_task(server.serve(sockets=[listener]))
    listening = asyncio.create_task(server.listening.wait())
    await asyncio.wait((running, listening), return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        listening.cancel()
        listener.close()
        await running
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            # A new connection for each request: an idle one may be closed by the server just as it is used.
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=60),
        ) as http:
            served = Served(url, app, http, links)
            if wait:
                await served.ready()
            yield served
            app.state.parlour.begin_drain()
    finally:
        server.should_exit = True
        await running
        listener.close()


def answers(provider: FakeProvider, question: str) -> list[Request]:
    """Return the calls that asked for an answer to ``question``; those for a title are left out."""
    return [
        call
        for call in provider.calls(question)
        if not str(call.messages[0]["content"]).startswith("Write a title")
    ]


async def asked(provider: FakeProvider, question: str) -> Request:
    """Wait until the model was asked ``question``, and return that call."""
    async with asyncio.timeout(PATIENCE):
        while not answers(provider, question):
            provider.arrived.clear()
            await provider.arrived.wait()
    return answers(provider, question)[0]
