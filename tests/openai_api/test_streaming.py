"""Streams of a model's own answer end with their reader, whenever that one goes (T-5)."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from parlour.entrypoints.openai_api.streaming import Ahead, model_frames
from parlour.entrypoints.openai_api.wire import Chunks, Head
from parlour.features.assistants.moderated import SaidEvent
from parlour.infra.observability.metrics import Metrics
from parlour.infra.web.sse import EventStream
from parlour.llm.model import Text

pytestmark = pytest.mark.anyio


class Endless:
    """A model that talks until its call is closed."""

    def __init__(self) -> None:
        self.closed = False

    async def events(self) -> AsyncGenerator[SaidEvent, None]:
        try:
            while True:
                await asyncio.sleep(0)
                yield Text("more ")
        finally:
            self.closed = True


@pytest.mark.parametrize("frames_read", [1, 2])
async def test_a_reader_who_leaves_closes_the_call(frames_read: int) -> None:
    model = Endless()
    ahead = Ahead(model.events())
    await ahead.begun()
    frames = model_frames(ahead, Chunks(Head("i", 1, "m"), include_usage=False), dict, Metrics())
    for _ in range(frames_read):
        await anext(frames)
    await frames.aclose()
    assert model.closed


async def test_a_reader_who_is_gone_before_the_first_frame_closes_the_call() -> None:
    """Frames that never began cannot clean up after themselves."""
    model = Endless()
    ahead = Ahead(model.events())
    await ahead.begun()
    frames = model_frames(ahead, Chunks(Head("i", 1, "m"), include_usage=False), dict, Metrics())

    async def gone(_message: object) -> None:
        raise OSError

    async def disconnect() -> dict[str, str]:
        return {"type": "http.disconnect"}

    with pytest.raises(OSError):  # noqa: PT011 - the server's own
        await EventStream(frames, close=ahead.close)({}, disconnect, gone)
    assert model.closed
