"""A small client of the HTTP API, as a page or a program would have it: sends, streams, resumes.

It knows nothing of the server but its documented contract: event ids only ever grow, ``rewind`` shortens what
was said, a stream that ends without ``[DONE]`` has to be resumed.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from tests.harness.sse import EventReader, Frame

Json = dict[str, Any]
BROKEN = (aiohttp.ClientError, TimeoutError, OSError)
FINAL = ("done", "error")


@dataclass(slots=True, eq=False)
class Told:
    """What one reader has put together of one run, over as many connections as it took."""

    text: str = ""
    last_id: str = "0.0"
    start: Json | None = None
    end: Frame | None = None
    closed: bool = False
    """``[DONE]`` came: there is nothing to come back for."""
    names: list[str] = field(default_factory=list)

    @property
    def run_id(self) -> str | None:
        """The run, once the reader knows it."""
        return None if self.start is None else str(self.start["runId"])

    def take(self, frame: Frame) -> None:
        """Apply one event."""
        if frame.data == "[DONE]":
            self.closed = True
            return
        self.names.append(frame.event)
        if frame.event == "draining":
            return
        assert _place(frame.id) > _place(self.last_id), f"{frame.id} came after {self.last_id}"
        assert self.end is None, f"{frame} came after {self.end}"
        self.last_id = frame.id
        match frame.event:
            case "message":
                self.text += frame.value["content"]
            case "rewind" | "retract":
                self.text = self.text[: frame.value["length"]]
            case "start":
                self.start = frame.value
            case "done" | "error":
                self.end = frame


def _place(event_id: str) -> tuple[int, int]:
    fence, _, seq = event_id.partition(".")
    return int(fence), int(seq)


class Api:
    """A server, seen by one person. ``token`` is got with :meth:`become_visitor`, or given."""

    def __init__(self, url: str, *, token: str | None = None, seconds: float = 60.0) -> None:
        """Talk to ``url``; no call may be silent for more than ``seconds``."""
        self.url = url
        self.token = token
        self.person_id: str | None = None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=seconds),
        )

    async def __aenter__(self) -> Self:
        """Become a visitor, unless a token was given."""
        if self.token is None:
            await self.become_visitor()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        await self._session.close()

    async def become_visitor(self) -> None:
        """Get an identity."""
        status, body, _ = await self.call("POST", "/api/visitors")
        assert status == 201, body
        self.token, self.person_id = body["token"], body["visitorId"]

    async def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Json, Mapping[str, str]]:
        """Return status, JSON body and headers of one call."""
        async with self._session.request(
            method, self.url + path, json=body, headers=self._headers(headers)
        ) as response:
            return response.status, await response.json(content_type=None), response.headers

    async def send(self, message: str, **fields: object) -> tuple[int, Json, Mapping[str, str]]:
        """Send a message and wait for the whole reply."""
        return await self.call("POST", "/api/chat", {"message": message, **fields})

    async def stream(
        self, message: str, told: Told | None = None, **fields: object
    ) -> AsyncGenerator[Frame, None]:
        """Send a message and yield the events of the reply, which go into ``told`` too."""
        body = {"message": message, "stream": True, **fields}
        async for frame in self._frames("POST", "/api/chat", told or Told(), body, {}):
            yield frame

    async def events(self, run_id: str, told: Told) -> AsyncGenerator[Frame, None]:
        """Follow a run from where ``told`` stands, on one connection."""
        headers = {"Last-Event-ID": told.last_id} if told.names else {}
        async for frame in self._frames("GET", f"/api/chat/runs/{run_id}/events", told, None, headers):
            yield frame

    async def whole_run(self, run_id: str) -> Told:
        """Read a run from its beginning to its end."""
        told = Told()
        async for _ in self.events(run_id, told):
            pass
        assert told.closed, f"the stream of {run_id} ended without [DONE]"
        return told

    async def attempts(self, message_id: str) -> list[Json]:
        """Return the ledger of one's own answer."""
        _, body, _ = await self.call("GET", f"/api/chat/messages/{message_id}/attempts")
        items: list[Json] = body["items"]
        return items

    async def open_raw(self) -> "RawConnection":
        """Open a connection of which every byte is in the caller's hands."""
        parts = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        return RawConnection(reader, writer, self._headers({"Host": parts.netloc}))

    async def history(self, session_id: str) -> list[Json]:
        """Return all messages of a session, first one first."""
        messages: list[Json] = []
        before = ""
        while True:
            status, page, _ = await self.call(
                "GET", f"/api/chat/sessions/{session_id}/messages?limit=100{before}"
            )
            assert status == 200, page
            messages = page["items"] + messages
            if page["nextCursor"] is None:
                return messages
            before = f"&before={page['nextCursor']}"

    async def _frames(
        self, method: str, path: str, told: Told, body: object, headers: Mapping[str, str]
    ) -> AsyncGenerator[Frame, None]:
        headers = self._headers(headers) | {"Accept": "text/event-stream"}
        async with self._session.request(method, self.url + path, json=body, headers=headers) as response:
            if response.status != 200:
                raise Declined(response.status, await response.json(content_type=None))
            reader = EventReader()
            async for data in response.content.iter_any():
                for frame in reader.feed(data):
                    told.take(frame)
                    yield frame

    def _headers(self, more: Mapping[str, str] | None) -> dict[str, str]:
        own = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return own | dict(more or {})


@dataclass(slots=True)
class RawConnection:
    """A connection for a client that behaves as no library would."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    headers: Mapping[str, str]

    async def write(self, method: str, path: str, body: Json | None = None) -> None:
        """Send a request, and read nothing."""
        data = b"" if body is None else json.dumps(body).encode()
        headers = {**self.headers, "Content-Type": "application/json", "Content-Length": str(len(data))}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        await self.writer.drain()

    async def read(self) -> bytes:
        """Return everything until the server ends the connection, however it ends it."""
        data = bytearray()
        with suppress(ConnectionError):
            while part := await self.reader.read(65536):
                data += part
        return bytes(data)

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


class Declined(Exception):
    """The server answered a request for a stream with a problem document."""

    def __init__(self, status: int, problem: Json) -> None:
        """Keep what it said."""
        super().__init__(f"{status}: {problem}")
        self.status = status
        self.problem = problem
