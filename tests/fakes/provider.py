"""A language model provider that speaks OpenAI's wire format over real HTTP and misbehaves on command.

As a program: ``python -m tests.fakes.provider --port 9100``. In tests::

    async with FakeProvider() as provider:
        ... provider.base_url ... provider.requests ...

What it does is told by the model's name or by the newest user message, see :mod:`tests.fakes.script`. It
writes down every request, so that a checker can count the calls per question and see what was in a prompt:
:attr:`FakeProvider.requests`, ``GET /_requests``, and ``DELETE /_requests`` to forget them.
"""

import argparse
import asyncio
import json
import math
import socket
import struct
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from parlour.llm.prompting import QUESTION_HEADING
from tests.fakes.chat_wire import ChatWire, answer_pieces, bytewise, dumps, error_object, remaining
from tests.fakes.script import Script, script_of

MODELS = ("fake", "fake-small")


class _ReaderGone(Exception):
    """The client closed the connection."""


@dataclass
class Request:
    """One request as it came in, and how it ended."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float = field(default_factory=time.time)
    question: str = ""
    sent: int = 0
    """Pieces of text that were written."""
    outcome: str = ""
    """Empty while it runs; then ``finished``, ``fault`` or ``reader gone``."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The prompt."""
        found: list[dict[str, Any]] = self.body.get("messages", [])
        return found

    def end(self, outcome: str) -> None:
        """Write down how it ended; the first word stands."""
        self.outcome = self.outcome or outcome
        self.ended.set()

    def shown(self) -> dict[str, Any]:
        """Return what ``GET /_requests`` tells."""
        names = ("method", "path", "headers", "body", "at", "question", "sent", "outcome")
        return {name: getattr(self, name) for name in names}


def question_of(messages: list[dict[str, Any]]) -> str:
    """Return the newest user message without the passages and notes that may stand before it."""
    for message in reversed(messages):
        if message.get("role") == "user":
            content = message.get("content", "")
            if isinstance(content, list):
                content = "".join(part.get("text", "") for part in content)
            _, found, question = content.partition(f"\n{QUESTION_HEADING}\n")
            return str(question if found else content)
    return ""


class FakeProvider:
    """The server. ``port`` 0 takes any free one."""

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        """Remember where to listen; nothing is opened yet."""
        self._address = (host, port)
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._seen: dict[tuple[str, str], int] = {}
        self.requests: list[Request] = []
        self.arrived = asyncio.Event()
        """Set with every request; a test that waits for the next one clears it first."""
        self.connections_made = 0
        self.held_back = asyncio.Event()
        """Set when a reader was too slow to take what was written."""

    async def __aenter__(self) -> Self:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), *self._address)
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
        return f"http://{self._address[0]}:{self.port}/v1"

    def calls(self, question: str) -> list[Request]:
        """Return the chat requests whose question contains ``question``."""
        return [
            each
            for each in self.requests
            if each.path.endswith("/chat/completions") and question in each.question
        ]

    @property
    def open_connections(self) -> int:
        """How many connections clients hold open now."""
        return len(self._connections)

    # --- what the connections call ---

    def opened(self, connection: "_Connection") -> None:
        """Remember a connection."""
        self._connections.add(connection)
        self.connections_made += 1

    def closed(self, connection: "_Connection") -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    async def answer(self, connection: "_Connection", request: Request) -> None:
        """Answer one request."""
        match request.method, request.path:
            case "GET", "/_requests":
                connection.send_json(200, [each.shown() for each in self.requests])
            case "DELETE", "/_requests":
                self.requests.clear()
                self._seen.clear()
                connection.send_json(200, {})
            case "GET", "/v1/models":
                self._log(request)
                data = [{"id": name, "object": "model", "owned_by": "tests"} for name in MODELS]
                connection.send_json(200, {"object": "list", "data": data})
            case "POST", "/v1/chat/completions":
                request.question = question_of(request.messages)
                self._log(request)
                await _ChatAnswer(connection, request, self._script(request)).give()
            case _:
                self._log(request)
                connection.send_json(404, error_object(Script(), 404))
        request.end("finished")

    def _log(self, request: Request) -> None:
        self.requests.append(request)
        self.arrived.set()

    def _script(self, request: Request) -> Script:
        model = str(request.body.get("model", ""))
        script = script_of(model, request.question)
        key = (model, request.question)
        self._seen[key] = self._seen.get(key, 0) + 1
        return script.healthy if script.times and self._seen[key] > script.times else script


class _ChatAnswer:
    """One answer to one chat request."""

    def __init__(self, connection: "_Connection", request: Request, script: Script) -> None:
        self._connection = connection
        self._request = request
        self._script = script
        self._messages = request.messages
        self._wire = ChatWire(script, str(request.body.get("model", "")))
        partial = ""
        if self._messages and self._messages[-1].get("role") == "assistant":
            partial = str(self._messages[-1]["content"])
        pieces = answer_pieces(request.question, script, self._messages)
        self._start, self._pieces = remaining(pieces, partial)

    async def give(self) -> None:
        script, connection = self._script, self._connection
        if script.hold:
            await connection.wait(script.hold)
        refused = script.param and script.param in self._request.body
        if script.status != 200 or refused:
            headers = {"Retry-After": script.ra} if script.ra else {}
            status = 400 if refused else script.status
            connection.send_json(status, error_object(script, status), headers)
        elif script.param or not (script.html or script.moved):
            await self._speak()
        elif script.moved:
            connection.send_json(307, {}, {"Location": script.moved})
        else:
            connection.send(200, "text/html", b"<!doctype html><title>Welcome</title><p>It works!\n\n</p>")

    async def _speak(self) -> None:
        if self._script.whole or not self._request.body.get("stream"):
            text = "".join(self._pieces[self._start :])
            self._request.sent = len(self._pieces) - self._start
            self._connection.send_json(200, self._wire.whole(text, self._messages))
        else:
            await self._stream()

    async def _stream(self) -> None:
        script, connection = self._script, self._connection
        connection.begin_stream()
        if script.ttft:
            await connection.wait(script.ttft)
        await self._write(self._wire.opening())
        for number in range(script.thoughts):
            await self._write(self._wire.thought(f"thought-{number} "))
            await connection.wait(script.dt)
        begun = asyncio.get_running_loop().time()
        for index in range(self._start, len(self._pieces)):
            if await self._ends_at(index):
                return
            if script.dt:
                # By the clock and not by the last write, so that a busy machine does not slow the stream.
                await connection.wait(
                    begun + (index - self._start + 1) * script.dt - asyncio.get_running_loop().time()
                )
        if await self._ends_at(len(self._pieces)):
            return
        options = self._request.body.get("stream_options") or {}
        with_usage = bool(options.get("include_usage"))
        await self._write(self._wire.ending(self._request.sent, self._messages, with_usage=with_usage))
        await self._end()

    async def _end(self) -> None:
        connection = self._connection
        match self._script.after:
            case "stall":
                await connection.wait(math.inf)
            case "rst":
                connection.reset()
            case "eof":
                connection.close()
            case "late":
                await connection.wait(0.05)
                connection.end_stream()
            case _:
                connection.end_stream()

    async def _ends_at(self, index: int) -> bool:
        """Write piece ``index``, or what the script puts in its place; tell whether that was the end."""
        script, connection = self._script, self._connection
        piece = self._pieces[index] if index < len(self._pieces) else ""
        met = index == script.at and (index > self._start or self._start == 0)
        if met and script.event == "error":
            await self._write(self._wire.error(503))
            connection.end_stream()
            return True
        match script.fault if met else "":
            case "eof":
                # Half of the next event, cut inside a character.
                await self._write(self._wire.piece("cut \N{GRINNING FACE}").partition(b"\x98")[0])
                self._request.end("fault")
                connection.close()
                return True
            case "rst":
                self._request.end("fault")
                connection.reset()
                return True
            case "stall":
                await connection.wait(script.pause)
            case "badjson" | "badutf8":
                await self._write(self._wire.spoiled(piece, script.fault))
                return False
            case _:
                pass
        if piece:
            self._request.sent += 1
            await self._write(self._wire.piece(piece))
        return False

    async def _write(self, data: bytes) -> None:
        if self._script.split:
            for byte in bytewise(data):
                await self._connection.write(byte)
                await asyncio.sleep(0)
        else:
            await self._connection.write(data)


class _Connection(asyncio.Protocol):
    """One client connection: HTTP/1.1 with keep-alive, requests one after the other."""

    def __init__(self, provider: FakeProvider) -> None:
        self._provider = provider
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()
        self._request: Request | None = None
        self.task: asyncio.Task[None] | None = None

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._provider.opened(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._received[:1].isupper():
            self.close()  # somebody speaks TLS, or anything but HTTP
        elif self.task is None:
            self._next_request()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._gone.set()
        self._writable.set()
        self._provider.closed(self)
        if self._request is not None:
            self._request.end("reader gone")

    def pause_writing(self) -> None:
        self._writable.clear()
        self._provider.held_back.set()

    def resume_writing(self) -> None:
        self._writable.set()

    # --- requests ---

    def _next_request(self) -> None:
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._received = rest[length:]
        body = json.loads(rest[:length]) if length else {}
        self._request = Request(method, path.partition("?")[0], headers, body)
        self.task = asyncio.get_running_loop().create_task(self._serve(self._answer(self._request)))

    async def _answer(self, request: Request) -> None:
        try:
            await self._provider.answer(self, request)
        except ValueError as error:
            request.end("refused")
            self.send_json(
                400, {"error": {"message": str(error), "type": "script", "param": None, "code": None}}
            )

    async def _serve(self, answer: Coroutine[Any, Any, None]) -> None:
        with suppress(_ReaderGone):
            await answer
        self.task = None
        if not self._gone.is_set():
            self._next_request()

    async def wait(self, seconds: float) -> None:
        """Wait, unless the client goes away first."""
        if not self._gone.is_set():
            if seconds < 0.1:
                await asyncio.sleep(seconds)
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._gone.wait(), None if seconds == math.inf else seconds)
        if self._gone.is_set():
            raise _ReaderGone

    # --- responses ---

    def send(self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send a whole response."""
        assert self._transport is not None
        # The cookie, as gateways set it, is nothing that a client of ours should send back.
        lines = {"Content-Type": kind, "Content-Length": str(len(body)), "Set-Cookie": "seen=1; Path=/"}
        lines |= headers or {}
        self._transport.write(_head(status, lines) + body)

    def send_json(self, status: int, document: object, headers: dict[str, str] | None = None) -> None:
        """Send a whole response of JSON."""
        self.send(status, "application/json", dumps(document).encode(), headers)

    def begin_stream(self) -> None:
        """Send the headers of a stream."""
        assert self._transport is not None
        lines = {"Content-Type": "text/event-stream; charset=utf-8", "Transfer-Encoding": "chunked"}
        self._transport.write(_head(200, lines))

    async def write(self, data: bytes) -> None:
        """Send a part of the stream, as one HTTP chunk, when the client has taken what came before."""
        assert self._transport is not None
        await self._writable.wait()
        if self._gone.is_set():
            raise _ReaderGone
        if data:
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end_stream(self) -> None:
        """End the stream; the connection stays."""
        assert self._transport is not None
        self._transport.write(b"0\r\n\r\n")

    def close(self) -> None:
        """Close in the middle of whatever is being sent."""
        assert self._transport is not None
        self._transport.close()

    def reset(self) -> None:
        """Close with a TCP reset."""
        assert self._transport is not None
        raw = self._transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def abort(self) -> None:
        """Cut the connection at once."""
        if self._transport is not None:
            self._transport.abort()


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Told", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


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
