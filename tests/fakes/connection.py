"""HTTP/1.1 by hand, so that a response can be cut, stalled and spoiled at any byte."""

import asyncio
import json
import math
import socket
import struct
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Protocol

from tests.fakes.answers import dumps
from tests.fakes.service import Request


class ReaderGone(Exception):
    """The client closed the connection."""


class Host(Protocol):
    """Whom the connections belong to."""

    held_back: asyncio.Event

    def opened(self, connection: "Connection") -> None:
        """Remember a connection."""
        ...

    def closed(self, connection: "Connection") -> None:
        """Forget a connection."""
        ...

    async def answer(self, connection: "Connection", request: Request) -> None:
        """Answer one request."""
        ...


class Connection(asyncio.Protocol):
    """One client connection: HTTP/1.1 with keep-alive, requests one after the other."""

    def __init__(self, provider: Host) -> None:
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
        with suppress(ReaderGone):
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
            raise ReaderGone

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

    def begin_stream(self, content_type: str) -> None:
        """Send the headers of a stream."""
        assert self._transport is not None
        lines = {"Content-Type": content_type, "Transfer-Encoding": "chunked"}
        self._transport.write(_head(200, lines))

    async def write(self, data: bytes) -> None:
        """Send a part of the stream, as one HTTP chunk, when the client has taken what came before."""
        assert self._transport is not None
        await self._writable.wait()
        if self._gone.is_set() or self._transport.is_closing():
            raise ReaderGone
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
