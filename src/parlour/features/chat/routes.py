"""The HTTP API of conversations. A handler parses, calls and shapes."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response

from parlour.features.chat.log.frames import REFUSED, frames
from parlour.features.chat.replies import Replies
from parlour.features.chat.schemas import (
    FeedbackBody,
    NewSessionBody,
    RegenerateBody,
    SendBody,
    SessionChanges,
    message_json,
    reply_json,
    run_json,
    session_json,
)
from parlour.features.chat.service import Conversations
from parlour.features.chat.values import Accepted, Page, Row, Run, SessionQuery
from parlour.features.limits.guards import OpenAnswer
from parlour.features.people.guards import Caller, Reader
from parlour.infra.observability.metrics import Metrics
from parlour.infra.web.json import JsonResponse
from parlour.infra.web.sse import EventStream
from parlour.vocabulary.errors import FieldError, InvalidInput
from parlour.vocabulary.events import BEGINNING, Entry, Position
from parlour.vocabulary.principal import Principal

LONGEST_WAIT_SECONDS = 25.0

Limit = Annotated[int, Query(ge=1, le=100)]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=64)]
LastEventId = Annotated[str | None, Header()]


def routes(conversations: Conversations, replies: Replies, metrics: Metrics) -> APIRouter:
    """Return the routes of conversations and their replies."""
    router = APIRouter(prefix="/api/chat", tags=["chat"])
    shape = _Shape(replies, metrics)
    _add_sends(router, replies, shape)
    _add_sessions(router, conversations)
    _add_session(router, conversations)
    _add_messages(router, conversations, replies, shape)
    _add_runs(router, replies, metrics)
    return router


class _Shape:
    """Answers a send as its sender wants it: whole, or as a stream."""

    def __init__(self, replies: Replies, metrics: Metrics) -> None:
        self._replies = replies
        self._metrics = metrics

    async def answer(
        self, request: Request, principal: Principal, accepted: Accepted, *, stream: bool
    ) -> Response:
        run = accepted.run
        headers = {} if accepted.admission is None else accepted.admission.headers()
        if accepted.replayed:
            headers["Idempotent-Replayed"] = "true"
        if stream or wants_events(request):
            told = frames(self._replies.follow, run, BEGINNING, self._metrics)
            return EventStream(told, headers, refused=REFUSED)
        message = await self._replies.reply(principal, run)
        if message is None:
            return JsonResponse(run_json(run) | {"status": "streaming"}, 202, headers)
        return JsonResponse(reply_json(run, message), 200, headers)


def _add_sends(router: APIRouter, replies: Replies, shape: _Shape) -> None:
    @router.post("")
    async def send(
        request: Request,
        principal: Caller,
        _open: OpenAnswer,
        body: SendBody,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Send a message and get the reply, whole or streamed."""
        accepted = await replies.send(principal, _with_key(body, idempotency_key))
        return await shape.answer(request, principal, accepted, stream=body.stream)

    @router.post("/sessions/{session_id}/messages")
    async def send_in_session(
        request: Request,
        principal: Caller,
        _open: OpenAnswer,
        session_id: str,
        body: SendBody,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Send a message in a session."""
        if body.session_id not in (None, session_id):
            raise InvalidInput(FieldError("sessionId", "This is another session than the address names."))
        body = _with_key(body, idempotency_key)
        body.session_id = session_id
        accepted = await replies.send(principal, body)
        return await shape.answer(request, principal, accepted, stream=body.stream)


def _add_sessions(router: APIRouter, conversations: Conversations) -> None:
    @router.post("/sessions", status_code=201)
    async def create(principal: Caller, body: NewSessionBody | None = None) -> Response:
        """Create an empty session."""
        body = body or NewSessionBody()
        values = {"model": body.model, "metadata": body.metadata}
        if body.title is not None:
            values |= {"title": body.title, "title_by": "person"}
        row = await conversations.create_session(principal, values, assistant_id=body.assistant_id)
        return JsonResponse(session_json(row), 201)

    @router.get("/sessions")
    async def listed(
        principal: Reader,
        q: Annotated[str | None, Query(max_length=200)] = None,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
        limit: Limit = 50,
        archived: bool = False,  # noqa: FBT001, FBT002 - a query parameter
    ) -> Response:
        """List one's sessions, newest activity first; ``q`` searches titles and messages."""
        text = (q or "").replace("\x00", "").strip() or None
        rows, after = await conversations.sessions(
            SessionQuery(principal, Page(limit, cursor), text, archived)
        )
        return JsonResponse({"items": [session_json(row) for row in rows], "nextCursor": after})

    @router.delete("/sessions")
    async def delete_all(principal: Caller) -> Response:
        """Delete all of one's sessions."""
        return JsonResponse({"success": True, "deleted": await conversations.delete_sessions(principal)})


def _add_session(router: APIRouter, conversations: Conversations) -> None:
    @router.get("/sessions/{session_id}")
    async def read(principal: Reader, session_id: str) -> Response:
        """Read a session."""
        return JsonResponse(session_json(await conversations.session(principal, session_id)))

    @router.patch("/sessions/{session_id}")
    async def change(principal: Caller, session_id: str, body: SessionChanges) -> Response:
        """Rename or archive a session, or replace its metadata."""
        values: Row = {}
        if body.title is not None:
            values |= {"title": body.title, "title_by": "person"}
        if body.metadata is not None:
            values |= {"metadata": body.metadata}
        row = await conversations.change_session(principal, session_id, values, archived=body.archived)
        return JsonResponse(session_json(row))

    @router.delete("/sessions/{session_id}")
    async def delete(principal: Caller, session_id: str) -> Response:
        """Delete a session; it can be restored."""
        await conversations.delete_session(principal, session_id)
        return JsonResponse({"success": True})

    @router.post("/sessions/{session_id}/restore")
    async def restore(principal: Caller, session_id: str) -> Response:
        """Bring a deleted session back."""
        return JsonResponse(session_json(await conversations.restore_session(principal, session_id)))


def _add_messages(router: APIRouter, conversations: Conversations, replies: Replies, shape: _Shape) -> None:
    @router.get("/sessions/{session_id}/messages")
    async def history(
        principal: Reader,
        session_id: str,
        before: Annotated[str | None, Query(max_length=64)] = None,
        limit: Limit = 50,
    ) -> Response:
        """Read a session's messages in the order they were said, newest page first."""
        rows, earlier = await conversations.messages(principal, session_id, before=before, limit=limit)
        return JsonResponse({"items": [message_json(row) for row in rows], "nextCursor": earlier})

    @router.post("/messages/{message_id}/regenerate")
    async def regenerate(
        request: Request,
        principal: Caller,
        _open: OpenAnswer,
        message_id: str,
        body: RegenerateBody | None = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Get another reply to the same message, beside the one that is there."""
        body = body or RegenerateBody()
        body.client_message_id = body.client_message_id or idempotency_key
        accepted = await replies.regenerate(principal, message_id, body)
        return await shape.answer(request, principal, accepted, stream=body.stream)

    @router.put("/messages/{message_id}/feedback")
    async def feedback(principal: Caller, message_id: str, body: FeedbackBody) -> Response:
        """Say what one thinks of a reply."""
        row = await conversations.feedback(principal, message_id, {"rating": body.rating, "text": body.text})
        return JsonResponse(message_json(row))


def _add_runs(router: APIRouter, replies: Replies, metrics: Metrics) -> None:
    @router.get("/runs/{run_id}")
    async def state(principal: Caller, run_id: str) -> Response:
        """Read a run's state."""
        return JsonResponse(run_json(await replies.run(principal, run_id)))

    @router.get("/runs/{run_id}/events")
    async def events(
        request: Request,
        principal: Caller,
        _open: OpenAnswer,
        run_id: str,
        last_event_id: LastEventId = None,
        after: Annotated[str | None, Query(max_length=64)] = None,
        wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT_SECONDS)] = 0.0,
    ) -> Response:
        """Follow a run from where one left off: as events, or as JSON for those who poll."""
        run = await replies.run(principal, run_id)
        place = Position.parse(last_event_id or after)
        if _wants_json(request):
            return JsonResponse(await _polled(replies, run, place, wait))
        return EventStream(frames(replies.follow, run, place, metrics), refused=REFUSED)

    @router.post("/runs/{run_id}/stop")
    async def stop(principal: Caller, run_id: str) -> Response:
        """Stop a running reply; what was said is kept."""
        return JsonResponse(run_json(await replies.stop(principal, run_id)))


async def _polled(replies: Replies, run: Run, place: Position, wait: float) -> dict[str, Any]:
    entries, finished = await replies.poll(run, place, wait=wait)
    return {"items": [_event_json(entry) for entry in entries], "finished": finished}


def _event_json(entry: Entry) -> Row:
    return {"seq": str(entry.position), "event": entry.kind.value, "data": entry.value}


def wants_events(request: Request) -> bool:
    """Tell whether the client asked for an event stream by its Accept header."""
    return "text/event-stream" in request.headers.get("accept", "")


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "") and not wants_events(request)


def _with_key(body: SendBody, idempotency_key: str | None) -> SendBody:
    body.client_message_id = body.client_message_id or idempotency_key
    return body
