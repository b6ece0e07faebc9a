"""Follows a run and writes it as Server-Sent Events."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import orjson

from parlour.features.chat.log.live import StreamCut
from parlour.features.chat.values import Run
from parlour.infra.observability.metrics import Metrics
from parlour.infra.web.sse import DONE
from parlour.vocabulary.errors import Unauthenticated
from parlour.vocabulary.events import BEGINNING, FINAL, Entry, EventKind, Position

Follow = Callable[[Run, Position], AsyncGenerator[list[Entry], None]]

_DRAINING = Entry(BEGINNING, EventKind.DRAINING, b"{}").sse
_NO_LONGER = {
    "code": Unauthenticated.code,
    "message": "This API key does not hold any more.",
    "retryable": False,
}
# The last event for a reader whose key was revoked; the run goes on, so no [DONE] follows.
REFUSED = Entry(BEGINNING, EventKind.ERROR, orjson.dumps(_NO_LONGER)).sse


async def frames(follow: Follow, run: Run, after: Position, metrics: Metrics) -> AsyncGenerator[bytes, None]:
    """Yield frames of everything after a position, then ``[DONE]``; an empty one is a heartbeat.

    Events that are there at once go out in one piece. A stream that has to be taken up again elsewhere ends
    with ``draining`` and without ``[DONE]``.
    """
    metrics.stream_opened(resumed=after != BEGINNING)
    try:
        async with aclosing(follow(run, after)) as batches:
            async for entries in batches:
                frame = entries[0].sse if len(entries) == 1 else b"".join(entry.sse for entry in entries)
                if entries and entries[-1].kind in FINAL:
                    yield frame + DONE
                    return
                yield frame
        yield DONE
    except StreamCut:
        yield _DRAINING
    finally:
        metrics.stream_closed()
