"""Readers who do not read, and people whose clocks are wrong."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.types import Message

from parlour.infra.web import sse
from tests.fakes.chat_wire import answer_pieces
from tests.fakes.script import script_of
from tests.faults.rig import Rig, rig
from tests.harness.client import RawConnection, Told

pytestmark = pytest.mark.anyio

# Many small pieces: megabytes of events, more than a reader with a small window takes.
MUCH = "Much? [[n=60000]]"


def whole(question: str) -> str:
    """What the model answers when it is well."""
    return "".join(answer_pieces(question, script_of("fake", question), []))


async def open_without_reading(live: Rig, run_id: str) -> RawConnection:
    """Ask for a run's events with the smallest window there is, and read nothing."""
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    own.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", live.server.port))
    reader, writer = await asyncio.open_connection(sock=own, limit=1024)
    headers = {"Host": "127.0.0.1", "Authorization": f"Bearer {live.api.token}"}
    connection = RawConnection(reader, writer, headers)
    await connection.write("GET", f"/api/chat/runs/{run_id}/events")
    return connection


async def test_readers_who_do_not_read_hold_nobody_back(tmp_path: Path) -> None:
    """F-045."""
    async with rig(tmp_path) as live:
        told = Told()
        async with aclosing(live.api.stream(MUCH, told)) as frames:
            async for _ in frames:
                pass
        assert told.text == whole(MUCH)
        assert told.run_id is not None
        stuck = [await open_without_reading(live, told.run_id) for _ in range(10)]
        async with asyncio.timeout(10):
            assert (await live.api.whole_run(told.run_id)).text == told.text
            await live.check_sound()
        for connection in stuck:
            await connection.close()


async def test_a_reader_who_takes_nothing_more_is_dropped_and_nothing_large_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P-12. On a real socket the system itself keeps some megabytes; here it keeps one piece."""
    monkeypatch.setattr(sse, "STALLED_SECONDS", 0.3)
    closed = asyncio.Event()
    sent: list[bytes] = []

    async def frames() -> AsyncGenerator[bytes, None]:
        try:
            yield b"x" * 1_000_000
        finally:
            closed.set()

    async def receive() -> Message:
        await asyncio.Event().wait()  # it neither reads nor leaves
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            sent.append(message["body"])
            await asyncio.Event().wait()

    stream = sse.EventStream(frames())
    await asyncio.wait_for(stream({"type": "http"}, receive, send), 10)
    assert closed.is_set()
    assert [len(piece) for piece in sent] == [sse.LARGEST_PIECE]


async def test_a_clock_that_is_a_year_off_changes_nothing(tmp_path: Path) -> None:
    """F-056: order and times are the server's own."""
    async with rig(tmp_path) as live:
        session: str | None = None
        for number, year in enumerate((2030, 2001, 2026)):
            body = {"message": f"Number {number}? [[n=3]]"} | ({"sessionId": session} if session else {})
            date = {"Date": f"Tue, 01 Jan {year} 00:00:00 GMT"}
            status, reply, _ = await live.api.call("POST", "/api/chat", body, date)
            assert status == 200, reply
            session = reply["sessionId"]
        messages = await live.api.history(session or "")
        assert [message["content"][:8] for message in messages[::2]] == ["Number 0", "Number 1", "Number 2"]
        moments = [datetime.fromisoformat(message["createdAt"]) for message in messages]
        assert moments == sorted(moments)
        assert all(abs(moment - datetime.now(UTC)) < timedelta(minutes=5) for moment in moments)
