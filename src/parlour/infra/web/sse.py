"""Server-Sent Events out: plain bytes to the socket, nothing between a token and its reader."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PING = b": ping\n\n"
DONE = b"data: [DONE]\n\n"
LARGEST_PIECE = 64 * 1024  # bytes
STALLED_SECONDS = 30.0  # P-12: a reader whose buffer stays full this long is dropped; it can resume
# Where a request's scope has what tells whether its caller may still read: ``Callable[[], Awaitable[bool]]``.
STILL_KEY: Final = "parlour.still"
# With the time for which a key is remembered (3 s) it stays below what an open stream may outlive it (P-34).
LOOK_SECONDS = 1.5
_LAST_WORD_SECONDS: Final = 0.3

HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store, no-transform",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
}


class EventStream(Response):
    """Sends frames as they come; an empty frame is a heartbeat, one that ends in ``[DONE]`` is the last.

    It ends when the frames end, when the reader leaves or stops reading, or when the reader's key is revoked.
    Whoever makes the frames is closed then and must not mind: nothing of the work behind them depends on this
    connection.
    """

    def __init__(
        self,
        frames: AsyncGenerator[bytes, None],
        headers: dict[str, str] | None = None,
        *,
        refused: bytes = b"",
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Stream ``frames``; ``refused`` is the last one for who may not read on.

        ``close`` is called at the end, also when the frames never began and so cannot clean up.
        """
        super().__init__(headers=HEADERS | (headers or {}))
        del self.headers["content-length"]
        self._frames = frames
        self._refused = refused
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until one side ends."""
        try:
            await self._stream(scope, receive, send)
        finally:
            if self._close is not None:
                await self._close()

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        writer = asyncio.ensure_future(self._write(send))
        leaving = asyncio.ensure_future(_left(receive))
        still = scope.get(STILL_KEY)
        losing = None if still is None else asyncio.ensure_future(_lost(still))
        tasks = [writer, leaving, *([losing] if losing is not None else [])]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            refused = losing is not None and losing.done() and not writer.done()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        failure = results[0]
        if isinstance(failure, Exception) and not isinstance(failure, OSError | TimeoutError):
            raise failure
        if refused:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(_LAST_WORD_SECONDS):
                    await send({"type": "http.response.body", "body": self._refused, "more_body": False})

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


async def _lost(still: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the caller may not read any more. It costs a token nothing."""
    await asyncio.sleep(LOOK_SECONDS)
    while await still():  # noqa: ASYNC110 - nothing tells: it may have been revoked by another process
        await asyncio.sleep(LOOK_SECONDS)


async def _left(receive: Receive) -> None:
    message: MutableMapping[str, Any] = {}
    while message.get("type") != "http.disconnect":
        message = await receive()
