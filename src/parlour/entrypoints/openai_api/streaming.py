"""Streams in OpenAI's shape: of an assistant's reply, read from its log, and of a model's own answer.

The two differ in what a reader who leaves means. An assistant's reply goes on without them (P-08); a model's
answer belongs to nobody but its reader, so its call is closed at once.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, suppress
from itertools import takewhile
from typing import Any, Final, TypeVar

import structlog
from fastapi import Request

from parlour.entrypoints.openai_api.errors import error_json
from parlour.entrypoints.openai_api.replies import Teller
from parlour.entrypoints.openai_api.wire import Chunks, error_event, usage_json
from parlour.features.assistants.moderated import SaidEvent, TakenBack
from parlour.features.chat.log.live import StreamCut
from parlour.features.chat.values import Run
from parlour.infra.observability.metrics import Metrics
from parlour.infra.web.sse import DONE
from parlour.llm.model import Chosen, Finish, Text, ToolCall
from parlour.vocabulary.errors import ParlourError, Unauthenticated, Unavailable
from parlour.vocabulary.events import BEGINNING, Entry, Position
from parlour.vocabulary.messages import FinishReason

HEARTBEAT_SECONDS: Final = 15.0
# A failure before the first word is told by the response's status, for so long as nobody need fear that the
# connection is dead.
FIRST_WORD_SECONDS: Final = 10.0
READ_AHEAD: Final = 256  # events of a model that wait for a slow reader

# The end of a stream whose key was revoked.
REFUSED: Final = error_event(error_json(Unauthenticated("This API key does not hold any more."), status=401))

Follow = Callable[[Run, Position], AsyncGenerator[list[Entry], None]]
T = TypeVar("T")

_log = structlog.get_logger(__name__)


class ReaderLeft(Exception):
    """Nobody waits for this answer any more."""


async def unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do ``work``, and end it as soon as its reader leaves. Raises ReaderLeft then."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ReaderLeft
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def reply_frames(
    follow: Follow, run: Run, teller: Teller, metrics: Metrics
) -> AsyncGenerator[bytes, None]:
    """Yield an assistant's reply, as it is written; an empty frame is a heartbeat."""
    metrics.stream_opened(resumed=False)
    try:
        async with aclosing(follow(run, BEGINNING)) as batches:
            async for entries in batches:
                told = teller.tell(entries)
                if told or not entries:
                    yield told
                if teller.over:
                    return
    except StreamCut:
        yield error_event(error_json(Unavailable("This server is about to restart. Ask again."), status=503))
    finally:
        metrics.stream_closed()


class Ahead:
    """Reads a model's events ahead of their reader, as far as memory is bounded.

    So that waiting for one can be broken off by a heartbeat without breaking off the model.
    """

    def __init__(self, events: AsyncGenerator[SaidEvent, None]) -> None:
        """Begin to read."""
        self._waiting: asyncio.Queue[SaidEvent | _End] = asyncio.Queue(READ_AHEAD)
        self._taken: list[SaidEvent | _End] = []
        self._reading = asyncio.create_task(self._read(events))

    async def begun(self) -> None:
        """Wait for the first word, for a while. Raises what the model raised in its place."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WORD_SECONDS):
                while not self._taken or isinstance(self._taken[-1], Chosen):
                    self._taken.append(_alive(await self._waiting.get()))

    async def batches(self) -> AsyncGenerator[list[SaidEvent], None]:
        """Yield all that is there at a time; an empty list is a heartbeat. Raises what the model raised."""
        try:
            while True:
                events = await self._next()
                if len(events) == 1 and isinstance(_alive(events[0]), _End):
                    return
                yield [event for event in events if not isinstance(event, _End)]
        finally:
            await self.close()

    async def close(self) -> None:
        """Read no more; the call to the model is closed when this returns."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _next(self) -> "list[SaidEvent | _End]":
        events, self._taken = self._taken, []
        if not events and self._waiting.empty():
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    events.append(await self._waiting.get())
            except TimeoutError:
                return []
        while not self._waiting.empty():
            events.append(self._waiting.get_nowait())
        # What came before the end is said first.
        if len(events) > 1 and isinstance(events[-1], _End):
            self._taken = [events.pop()]
        return events

    async def _read(self, events: AsyncGenerator[SaidEvent, None]) -> None:
        end = _End(None)
        try:
            async with aclosing(events) as opened:
                async for event in opened:
                    await self._waiting.put(event)
        except Exception as error:  # noqa: BLE001 - whatever it was, the reader is told
            end = _End(error)
        await self._waiting.put(end)


class _End:
    """The model says no more; ``error`` is why, if something went wrong."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error


def _alive(event: "SaidEvent | _End") -> "SaidEvent | _End":
    if isinstance(event, _End) and event.error is not None:
        raise event.error
    return event


async def model_frames(
    ahead: Ahead, chunks: Chunks, extra: Callable[[], dict[str, Any]], metrics: Metrics
) -> AsyncGenerator[bytes, None]:
    """Yield a model's own answer; ``extra`` tells at its end what stands beside it."""
    metrics.stream_opened(resumed=False)
    try:
        yield chunks.first()
        async with aclosing(ahead.batches()) as batches:
            async for events in batches:
                standing = list(takewhile(lambda each: not isinstance(each, TakenBack), events))
                told = b"".join(_told(event, chunks, extra) for event in standing)
                if len(standing) < len(events):
                    # The shape has no words for text that its reader holds and shall not keep.
                    yield told + chunks.finish(FinishReason.FILTERED, **extra())
                    break
                if told or not events:
                    yield told
        yield DONE
    except Exception as error:  # noqa: BLE001 - half an answer is out: its reader must learn that it is half
        yield error_event(_failure(error))
    finally:
        metrics.stream_closed()
        await ahead.close()  # also for a reader who left before anything was read


def _told(event: SaidEvent, chunks: Chunks, extra: Callable[[], dict[str, Any]]) -> bytes:
    if isinstance(event, Text):
        return chunks.text(event.content)
    if isinstance(event, ToolCall):
        return chunks.call(event)
    if isinstance(event, Finish):
        return chunks.finish(event.reason, **extra()) + chunks.usage(usage_json(event.usage))
    return b""


def _failure(error: Exception) -> dict[str, Any]:
    if isinstance(error, ParlourError):
        _log.warning("completion_failed", code=error.code, cause=error.cause)
        return error_json(error, status=503)
    _log.error("completion_failed", code=ParlourError.code, exc_info=error)
    return error_json(ParlourError())
