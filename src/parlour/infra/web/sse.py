"""Server-Sent Events out: plain bytes to the socket, nothing between a token and its reader."""

import asyncio
from collections.abc import AsyncGenerator, MutableMapping, Sequence
from contextlib import aclosing
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PING = b": ping\n\n"
DONE = b"data: [DONE]\n\n"
LARGEST_PIECE = 64 * 1024  # bytes
STALLED_SECONDS = 30.0  # P-12: a reader whose buffer stays full this long is dropped; it can resume

HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store, no-transform",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
}


class EventStream(Response):
    """Sends frames as they come; an empty frame is a heartbeat, one that ends in ``[DONE]`` is the last.

    It ends when the frames end, when the reader leaves, or when the reader stops reading. Whoever makes the
    frames is closed then and must not mind: nothing of the work behind them depends on this connection.
    """

    def __init__(self, frames: AsyncGenerator[bytes, None], headers: dict[str, str] | None = None) -> None:
        """Stream ``frames``."""
        super().__init__(headers=HEADERS | (headers or {}))
        del self.headers["content-length"]
        self._frames = frames

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until one side ends."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        writer = asyncio.ensure_future(self._write(send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((writer, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writer, leaving):
                task.cancel()
            results = await asyncio.gather(writer, leaving, return_exceptions=True)
        failure = results[0]
        if isinstance(failure, Exception) and not isinstance(failure, OSError | TimeoutError):
            raise failure

    async def _write(self, send: Send) -> None:
        watch = _Watch()
        try:
            async with aclosing(self._frames) as frames:
                async for frame in frames:
                    *pieces, last = _pieces(frame)
                    for piece in pieces:
                        await _send(piece, send, watch)
                    if last.endswith(DONE):  # the end of the response goes out with it
                        await _send(last, send, watch, more=False)
                        return
                    await _send(last, send, watch)
            await _send(b"", send, watch, more=False)
        finally:
            watch.stop()


async def _send(piece: bytes, send: Send, watch: "_Watch", *, more: bool = True) -> None:
    watch.begin()
    await send({"type": "http.response.body", "body": piece, "more_body": more})
    watch.end()


def _pieces(frame: bytes) -> Sequence[bytes]:
    """Cut what is long: the server takes any one piece into memory, whether its reader reads or not."""
    if len(frame) <= LARGEST_PIECE:
        return (frame or PING,)
    return [frame[start : start + LARGEST_PIECE] for start in range(0, len(frame), LARGEST_PIECE)]


class _Watch:
    """Cancels a write that stays stuck; looks now and then, so that it costs a token nothing."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(STALLED_SECONDS / 3, self._look)

    def begin(self) -> None:
        self._since = self._loop.time()

    def end(self) -> None:
        self._since = None

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        if self._since is not None and self._loop.time() - self._since >= STALLED_SECONDS:
            if self._task is not None:
                self._task.cancel()
            return
        self._timer = self._loop.call_later(STALLED_SECONDS / 3, self._look)


async def _left(receive: Receive) -> None:
    message: MutableMapping[str, Any] = {}
    while message.get("type") != "http.disconnect":
        message = await receive()
