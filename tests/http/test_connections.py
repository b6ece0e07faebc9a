"""Over a real socket: heads that never end, heads that are too large, bodies that nobody asked for."""

import asyncio
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager

import pytest
import uvicorn

from parlour.entrypoints.http import connections
from parlour.entrypoints.http.connections import BoundedConnection
from tests.http.conftest import Build

pytestmark = pytest.mark.anyio


class _Server(uvicorn.Server):
    """Leaves signals to the tests, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@pytest.fixture
async def port(build: Build, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server on a real socket, whose patience with a head lasts a moment only."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.4)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            build(), http=BoundedConnection, log_config=None, access_log=False, server_header=False
        )
        server = _Server(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await server.ready.wait()
        yield listener.getsockname()[1]
        server.should_exit = True
        await running


async def exchange(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send the parts with a pause after each, and return all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b"reset"
    finally:
        writer.close()


LAST = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def test_requests_are_served_one_after_another(port: int) -> None:
    first = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    answers = await exchange(port, first, first, LAST, pause=0.1)
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert (await exchange(port, first + first + LAST)).count(b"HTTP/1.1 200 OK") == 3


async def test_a_connection_that_says_nothing_is_closed(port: int) -> None:
    """A-256."""
    assert (await exchange(port)).startswith(b"HTTP/1.1 408")


async def test_a_head_that_trickles_in_is_given_up(port: int) -> None:
    """A-256: each byte in time, the whole too late."""
    drops = [bytes([byte]) for byte in b"GET /livez HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaa"]
    answer = await exchange(port, *drops, pause=0.02)
    assert answer.startswith(b"HTTP/1.1 408") or answer == b"reset"


async def test_a_second_head_has_its_time_too(port: int) -> None:
    answer = await exchange(port, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /li", pause=0.1)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in answer


async def test_a_slow_body_is_not_a_slow_head(port: int) -> None:
    body = b'{"textValue": "x"}'
    head = (
        b"POST /api/test/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    assert (await exchange(port, head, body[:9], body[9:], pause=0.4)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Large: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"X-Many: 1\r\n" * 200 + b"\r\n",
        b"GET /livez?" + b"a=1&" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["address", "header", "headers", "query"],
)
async def test_a_head_that_is_too_large_is_refused(port: int, head: bytes) -> None:
    """A-257."""
    answer = await exchange(port, head)
    assert answer.startswith(b"HTTP/1.1 431") or answer == b"reset"
    assert (await exchange(port, LAST)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("length", [True, False], ids=["with length", "in chunks"])
async def test_forty_megabytes_are_refused(port: int, length: bool) -> None:  # noqa: FBT001
    """D3."""
    size = 40_000_000
    head = b"POST /api/test/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    if length:
        parts = [head + b"Content-Length: %d\r\n\r\n" % size]
    else:
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        parts = [head + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 20]
    answer = await exchange(port, *parts)
    assert answer.startswith(b"HTTP/1.1 413") or answer == b"reset"
    if length:
        assert b"application/problem+json" in answer


async def test_what_is_no_http_is_refused(port: int) -> None:
    assert (await exchange(port, b"\x16\x03\x01 hello\r\n\r\n")).startswith(b"HTTP/1.1 400")
