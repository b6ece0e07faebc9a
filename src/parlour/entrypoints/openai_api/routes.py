"""``/v1``: chat completions, models and embeddings as OpenAI's clients know them (T-5).

An assistant goes the way of every message, by the same two calls as every other door. A model is asked by
itself, with the whole prompt of its caller. A handler parses, calls and shapes.
"""

import time
from contextlib import aclosing
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response

from parlour.entrypoints.openai_api.reading import (
    read_conversation,
    read_inputs,
    read_prompt,
    refuse_unsupported,
)
from parlour.entrypoints.openai_api.replies import Teller, head_of, reply_document
from parlour.entrypoints.openai_api.schemas import ChatBody, EmbeddingsBody
from parlour.entrypoints.openai_api.streaming import (
    REFUSED,
    Ahead,
    ReaderLeft,
    model_frames,
    reply_frames,
    unless_left,
)
from parlour.entrypoints.openai_api.wire import (
    Chunks,
    Head,
    Json,
    completion_json,
    embeddings_json,
    model_json,
    usage_json,
)
from parlour.features.assistants.completions import Completions, ModelAnswer
from parlour.features.assistants.embeddings import Embedding, ref_of
from parlour.features.assistants.moderated import TakenBack
from parlour.features.assistants.service import Assistants
from parlour.features.assistants.values import Assistant
from parlour.features.chat.log.live import StreamCut
from parlour.features.chat.replies import Replies
from parlour.features.chat.schemas import SendBody
from parlour.features.chat.service import Conversations
from parlour.features.chat.values import Row, Run
from parlour.features.limits.guards import OpenAnswer
from parlour.features.people.guards import AnyCaller, Caller, Embedder
from parlour.infra.observability.metrics import Metrics
from parlour.infra.web.json import JsonResponse
from parlour.infra.web.sse import EventStream
from parlour.llm.model import Finish, Text, ToolCall, Turn
from parlour.vocabulary.errors import FieldError, Garbled, InvalidInput, ModelMissing, Unavailable
from parlour.vocabulary.principal import Principal, Role

AUTOMATIC: Final = "auto"
OURS: Final = "parlour"
CLIENT_LEFT: Final = 499  # nobody is there to be answered; the number is nginx's

IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=64)]
SessionId = Annotated[str | None, Header(alias="X-Session-Id", min_length=1, max_length=64)]


def routes(
    *,
    conversations: Conversations,
    replies: Replies,
    assistants: Assistants,
    completions: Completions,
    embedding: Embedding,
    metrics: Metrics,
) -> APIRouter:
    """Return the routes under ``/v1``."""
    router = APIRouter(prefix="/v1", tags=["openai"])
    _add_completions(
        router,
        assistants,
        conversations,
        _AskedAssistants(replies, completions, metrics),
        _AskedModels(completions, metrics),
    )
    _add_models(router, _Catalogue(assistants, completions, embedding))

    @router.post("/embeddings")
    async def embed(
        request: Request, principal: Embedder, _open: OpenAnswer, body: EmbeddingsBody
    ) -> Response:
        """Turn texts into vectors, as OpenAI's embeddings."""
        texts = read_inputs(body)
        work = embedding.embed(principal, texts, model=body.model, dimensions=body.dimensions)
        try:
            made = await unless_left(request, work)
        except ReaderLeft:
            return Response(status_code=CLIENT_LEFT)
        document = embeddings_json(
            made.model,
            made.embeddings.vectors,
            made.embeddings.tokens,
            as_base64=body.encoding_format == "base64",
        )
        return JsonResponse(document, 200, made.admission.openai_headers())

    return router


def _add_completions(
    router: APIRouter,
    assistants: Assistants,
    conversations: Conversations,
    asked_assistants: "_AskedAssistants",
    asked_models: "_AskedModels",
) -> None:
    @router.post("/chat/completions")
    async def complete(
        request: Request,
        principal: Caller,
        _open: OpenAnswer,
        body: ChatBody,
        idempotency_key: IdempotencyKey = None,
        session_id: SessionId = None,
    ) -> Response:
        """Answer as OpenAI's chat completions: `model` is an assistant's id, `auto`, or `provider/model`."""
        try:
            assistant = _named(assistants, body.model)
            if assistant is None:
                return await asked_models.answer(request, principal, body)
            message = _newest(body)
            session_id = session_id or _session_of(body)
            if session_id is None and (thread := _thread_of(body)) is not None:
                session_id = await conversations.session_of_thread(principal, assistant.id, thread)
            send = SendBody.model_construct(
                message=message,
                assistant_id=assistant.id,
                session_id=session_id,
                client_message_id=idempotency_key,
            )
            said = _earlier(body) if session_id is None else ()
            earlier, refusal = await asked_assistants.earlier(principal, said)
            if refusal is not None:
                return await asked_models.told(request, refusal, body)
            return await asked_assistants.answer(request, principal, body, send, earlier)
        except ReaderLeft:
            return Response(status_code=CLIENT_LEFT)


def _add_models(router: APIRouter, catalogue: "_Catalogue") -> None:
    @router.get("/models")
    async def list_models(principal: AnyCaller) -> Response:
        """List what can be asked: the assistants, and for users `auto` and every model."""
        return JsonResponse({"object": "list", "data": catalogue.of(principal)})

    @router.get("/models/{model:path}")
    async def read_model(principal: AnyCaller, model: str) -> Response:
        """Describe one of the models that can be asked."""
        for each in catalogue.of(principal):
            if each["id"] == model:
                return JsonResponse(each)
        raise ModelMissing("There is no such model here. GET /v1/models lists those that there are.")


class _Catalogue:
    """Everything that somebody may ask by its id."""

    def __init__(self, assistants: Assistants, completions: Completions, embedding: Embedding) -> None:
        self._assistants = assistants
        self._completions = completions
        self._embedding = embedding

    def of(self, principal: Principal) -> list[Json]:
        found = [model_json(each.id, owner=OURS, name=each.name) for each in self._assistants.all()]
        if not principal.role.includes(Role.USER):
            return found  # visitors ask assistants only
        found.append(model_json(AUTOMATIC, owner=OURS, name="Automatic"))
        for offer in self._completions.offered(principal):
            model = offer.candidate.model
            found.append(model_json(offer.id, owner=model.provider, name=model.name))
        for embedder in self._embedding.offered(principal):
            found.append(model_json(ref_of(embedder), owner=embedder.provider, name=embedder.name))
        return found


class _AskedAssistants:
    """Answers with an assistant's reply, whole or as a stream."""

    def __init__(self, replies: Replies, completions: Completions, metrics: Metrics) -> None:
        self._replies = replies
        self._completions = completions
        self._metrics = metrics

    async def earlier(
        self, principal: Principal, said: tuple[Turn, ...]
    ) -> tuple[tuple[Turn, ...], ModelAnswer | None]:
        """Return what a new session begins with; or the answer to who brings what must not be kept."""
        return await self._completions.judge_earlier(principal, self._replies.history(said))

    async def answer(
        self,
        request: Request,
        principal: Principal,
        body: ChatBody,
        send: SendBody,
        earlier: tuple[Turn, ...],
    ) -> Response:
        accepted = await self._replies.send(principal, send, earlier=earlier)
        run = accepted.run
        headers = {} if accepted.admission is None else accepted.admission.openai_headers()
        headers["X-Session-Id"] = run.session_id
        if accepted.replayed:
            headers["Idempotent-Replayed"] = "true"
        if body.stream:
            chunks = Chunks(head_of(run, body.model), include_usage=_wants_usage(body))
            frames = reply_frames(self._replies.follow, run, Teller(run, chunks), self._metrics)
            return EventStream(frames, headers, refused=REFUSED)
        row = await unless_left(request, self._whole(principal, run))
        return JsonResponse(reply_document(run, row, model=body.model), 200, headers)

    async def _whole(self, principal: Principal, run: Run) -> Row:
        try:
            async with aclosing(self._replies.follow(run)) as batches:
                async for _ in batches:
                    pass
        except StreamCut:
            raise Unavailable("This server is about to restart. Ask again.", retry_after=1) from None
        row = await self._replies.reply(principal, run)
        if row is None:
            raise Unavailable(retry_after=1)
        return row


class _AskedModels:
    """Answers with what a model says, whole or as a stream."""

    def __init__(self, completions: Completions, metrics: Metrics) -> None:
        self._completions = completions
        self._metrics = metrics

    async def answer(self, request: Request, principal: Principal, body: ChatBody) -> Response:
        prompt = read_prompt(body)
        answer = await self._completions.begin(
            principal, prompt, model=body.model, streaming=bool(body.stream)
        )
        return await self.told(request, answer, body)

    async def told(self, request: Request, answer: ModelAnswer, body: ChatBody) -> Response:
        """Tell an answer in the form that its reader wants."""
        created = int(time.time())
        headers = answer.admission.openai_headers()
        if not body.stream:
            document = await unless_left(request, _whole(answer, created))
            return JsonResponse(document, 200, headers)
        ahead = Ahead(answer.events())
        try:
            await unless_left(request, ahead.begun())
        except BaseException:
            await ahead.close()
            raise
        chunks = Chunks(_head(answer, created), include_usage=_wants_usage(body))
        frames = model_frames(ahead, chunks, lambda: _beside(answer), self._metrics)
        return EventStream(frames, headers, refused=REFUSED, close=ahead.close)


async def _whole(answer: ModelAnswer, created: int) -> Json:
    texts: list[str] = []
    calls: list[ToolCall] = []
    finish: Finish | None = None
    async with aclosing(answer.events()) as events:
        async for event in events:
            if isinstance(event, Text):
                texts.append(event.content)
            elif isinstance(event, TakenBack):
                texts = ["".join(texts)[: event.length]]
            elif isinstance(event, ToolCall):
                calls.append(event)
            elif isinstance(event, Finish):
                finish = event
    if finish is None:
        raise Garbled(cause="the answer ended without a finish")
    return completion_json(
        _head(answer, created),
        text="".join(texts),
        calls=calls,
        finish=finish.reason,
        usage=usage_json(finish.usage),
        extra=_beside(answer),
    )


def _head(answer: ModelAnswer, created: int) -> Head:
    return Head(f"chatcmpl-{answer.id}", created, answer.model)


def _beside(answer: ModelAnswer) -> Json:
    cost = answer.cost_usd
    return {"model": answer.model, "why": answer.why, "cost_usd": None if cost is None else float(cost)}


def _named(assistants: Assistants, name: str) -> Assistant | None:
    every = assistants.all()
    by_id = next((each for each in every if each.id == name), None)
    return by_id or next((each for each in every if each.name == name and name != AUTOMATIC), None)


def _wants_usage(body: ChatBody) -> bool:
    return body.stream_options is not None and body.stream_options.include_usage


def _session_of(body: ChatBody) -> str | None:
    session_id = (body.metadata or {}).get("session_id")
    if session_id is None or isinstance(session_id, str):
        return session_id
    raise InvalidInput(FieldError("metadata.session_id", "This must be text."))


def _thread_of(body: ChatBody) -> str | None:
    """Return the name of the session that each ``user`` of the caller has, where the caller wants that."""
    wish = (body.metadata or {}).get("session")
    if wish is None:
        return None
    if wish != "user":
        raise InvalidInput(FieldError("metadata.session", "This must be user, or left out."))
    if not body.user:
        raise InvalidInput(FieldError("user", "A session for each user needs to know the user.", "missing"))
    return f"openai:{body.user}"


def _conversation(body: ChatBody) -> tuple[Turn, ...]:
    """Return what was said to an assistant, which has its own instructions, tools and form of answers."""
    refuse_unsupported(body)
    for field in ("tools", "response_format"):
        if getattr(body, field):
            raise InvalidInput(
                FieldError(
                    field,
                    "An assistant has its own tools and form of answers. Ask a model to use yours.",
                    "unsupported_value",
                )
            )
    turns = read_conversation(body.messages).turns
    if any(turn.images for turn in turns):
        raise InvalidInput(
            FieldError(
                "messages", "This assistant takes text only. Ask a model that sees.", "unsupported_value"
            )
        )
    return turns


def _newest(body: ChatBody) -> str:
    turn = _conversation(body)[-1]
    if turn.role != "user":
        raise InvalidInput(FieldError("messages", "The last message to an assistant must be a user's."))
    return turn.content


def _earlier(body: ChatBody) -> tuple[Turn, ...]:
    said = read_conversation(body.messages).turns[:-1]
    return tuple(turn for turn in said if turn.role != "tool" and turn.content)
