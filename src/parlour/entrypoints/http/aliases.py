"""Addresses and shapes that clients of common chatbot back ends expect (T-7), over the same chat.

A thin room of its own: nothing else knows these shapes. Streams here carry ``data: {"content": …}`` and
``data: [DONE]`` and nothing else; one that cannot go on, or failed, ends without ``[DONE]``.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from parlour.features.chat.log.live import StreamCut
from parlour.features.chat.replies import Replies
from parlour.features.chat.schemas import (
    JsonObject,
    Plain,
    SendBody,
    Title,
    message_json,
    session_json,
)
from parlour.features.chat.service import Conversations
from parlour.features.chat.values import Run
from parlour.features.limits.guards import OpenAnswer
from parlour.features.people.guards import CookieCaller, CookieReader
from parlour.infra.observability.metrics import Metrics
from parlour.infra.web.json import JsonResponse
from parlour.infra.web.sse import DONE, PING, EventStream
from parlour.vocabulary.errors import FieldError, InvalidInput, NotFound
from parlour.vocabulary.events import BEGINNING, Entry, EventKind, Position, text_after
from parlour.vocabulary.ids import is_id
from parlour.vocabulary.principal import Principal

HISTORY_LIMIT = 100  # messages in one answer; older ones are read through the API's pages


class _Tolerant(BaseModel):
    """Such clients send fields of their own, which mean nothing here."""

    model_config = ConfigDict(extra="ignore")


class _Said(_Tolerant):
    message: Plain


class _Line(_Tolerant):
    role: str
    content: Plain


class _SaidOrLines(_Tolerant):
    message: Plain | None = None
    messages: list[_Line] | None = None
    model: str | None = None
    sessionId: str | None = None  # noqa: N815 - its name on the wire


class _Renamed(_Tolerant):
    title: Title


class _NewSession(_Tolerant):
    title: Title | None = None
    metadata: JsonObject | None = None


def routes(conversations: Conversations, replies: Replies, metrics: Metrics) -> APIRouter:
    """Return the aliases of the chat's own addresses."""
    router = APIRouter(prefix="/api", tags=["aliases"])
    _add_streams(router, replies, metrics)
    _add_sessions(router, conversations)
    return router


def _add_streams(router: APIRouter, replies: Replies, metrics: Metrics) -> None:
    @router.post("/chat/stream")
    async def stream(principal: CookieCaller, _open: OpenAnswer, body: _SaidOrLines) -> Response:
        """Send a message, or the last user message of several, and stream the reply's text."""
        send = _send(_newest(body), body.sessionId)
        accepted = await replies.send(principal, send)
        return EventStream(_plain(replies, accepted.run, BEGINNING, metrics))

    @router.get("/chat/stream")
    async def stream_by_address(
        principal: CookieCaller,
        _open: OpenAnswer,
        message: Annotated[Plain, Query(max_length=100_000)] = "",
        session_id: Annotated[str | None, Query(alias="sessionId", max_length=64)] = None,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Send a message and stream the reply's text, for a bare ``EventSource``.

        An ``EventSource`` that lost its connection calls again by itself: the id that it then presents names
        the run, so it goes on reading and says nothing twice.
        """
        if last_event_id:
            return await _resumed(replies, principal, last_event_id, metrics)
        accepted = await replies.send(principal, _send(message, session_id))
        return EventStream(_introduced(replies, accepted.run, metrics))

    @router.post("/chat/{session_id}")
    async def send(principal: CookieCaller, _open: OpenAnswer, session_id: str, body: _Said) -> Response:
        """Send a message in a session and stream the reply's text."""
        accepted = await replies.send(principal, _send(body.message, session_id))
        return EventStream(_plain(replies, accepted.run, BEGINNING, metrics))


def _add_sessions(router: APIRouter, conversations: Conversations) -> None:
    @router.post("/chat/sessions/{session_id}")
    async def rename(principal: CookieCaller, session_id: str, body: _Renamed) -> Response:
        """Rename a session."""
        row = await conversations.change_session(
            principal, session_id, {"title": body.title, "title_by": "person"}
        )
        return JsonResponse(session_json(row))

    @router.post("/sessions", status_code=201)
    async def create(principal: CookieCaller, body: _NewSession | None = None) -> Response:
        """Create an empty session."""
        body = body or _NewSession()
        values: dict[str, Any] = {"metadata": body.metadata or {}}
        if body.title is not None:
            values |= {"title": body.title, "title_by": "person"}
        row = await conversations.create_session(principal, values, assistant_id=None)
        return JsonResponse(session_json(row), 201)

    @router.get("/sessions/{session_id}/history")
    async def history(principal: CookieReader, session_id: str) -> Response:
        """Read a session's newest messages in the order they were said."""
        rows, _ = await conversations.messages(principal, session_id, before=None, limit=HISTORY_LIMIT)
        return JsonResponse({"messages": [message_json(row) for row in rows]})


async def _resumed(replies: Replies, principal: Principal, event_id: str, metrics: Metrics) -> Response:
    run_id, _, place = event_id.partition(":")
    if not is_id(run_id):
        raise NotFound
    run = await replies.run(principal, run_id)
    if place == "end":
        return Response(status_code=204)  # tells an EventSource to stop calling
    return EventStream(_plain(replies, run, Position.parse(place), metrics, named=True))


async def _introduced(replies: Replies, run: Run, metrics: Metrics) -> AsyncGenerator[bytes, None]:
    # Without data it shows nothing, but a reader who is cut off before the first word comes back to this run
    # instead of saying everything once more.
    yield f"id: {run.id}:{BEGINNING}\n\n".encode()
    async with aclosing(_plain(replies, run, BEGINNING, metrics, named=True)) as frames:
        async for frame in frames:
            yield frame


async def _plain(
    replies: Replies, run: Run, after: Position, metrics: Metrics, *, named: bool = False
) -> AsyncGenerator[bytes, None]:
    metrics.stream_opened(resumed=after != BEGINNING)
    teller = _Teller(run, after, named=named)
    try:
        # From the beginning also for a reader who has a part: what they hold decides how it can go on.
        async with aclosing(replies.follow(run)) as batches:
            async for entries in batches:
                told = teller.tell(entries)
                if told or not entries:
                    yield told or PING
                if teller.broken:
                    if named:
                        yield teller.end + b"\n"  # an EventSource calls again, and is answered with 204
                    return
        yield teller.end + DONE if named else DONE
    except StreamCut:
        return
    finally:
        metrics.stream_closed()


class _Teller:
    """Turns events into text alone, for a reader who cannot take anything back.

    ``broken``: the shape has no words for what comes, an error or text taken back that the reader holds.
    """

    def __init__(self, run: Run, after: Position, *, named: bool) -> None:
        self.end = f"id: {run.id}:end\n".encode()
        self.broken = False
        self._run_id = run.id
        self._after = after
        self._named = named
        self._place = BEGINNING
        self._held = 0

    def tell(self, entries: list[Entry]) -> bytes:
        """Return the frames of ``entries`` that the reader does not have."""
        pieces = []
        for entry in entries:
            is_new = entry.position > self._after
            # Events that were shown and then lost in a crash, or whose log is gone: nobody knows the text.
            self.broken = (is_new and self._place < self._after) or self._takes_back(entry)
            if self.broken:
                break
            self._place = entry.position
            if entry.kind is EventKind.TEXT:
                self._held += len(str(entry.value["content"]))
                if is_new:
                    pieces.append(self._frame(entry))
        return b"".join(pieces)

    def _takes_back(self, entry: Entry) -> bool:
        if entry.kind in (EventKind.REWIND, EventKind.RETRACT):
            return text_after("x" * self._held, entry) != "x" * self._held
        return entry.kind is EventKind.ERROR

    def _frame(self, entry: Entry) -> bytes:
        name = f"id: {self._run_id}:{entry.position}\n".encode() if self._named else b""
        return b"%bdata: %b\n\n" % (name, entry.data)


def _send(message: str, session_id: str | None, model: str | None = None) -> SendBody:
    # All were looked at on the way in; an id of another form names no session.
    return SendBody.model_construct(message=message, session_id=session_id or None, model=model)


def _newest(body: _SaidOrLines) -> str:
    if body.message is not None:
        return body.message
    for line in reversed(body.messages or []):
        if line.role == "user":
            return line.content
    raise InvalidInput(FieldError("message", "Send a message, or messages with one of role user.", "missing"))
