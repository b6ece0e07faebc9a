"""What travels: request bodies, and rows as the JSON that clients see."""

import hashlib
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from parlour.features.chat.values import Outcome, Row, Run
from parlour.vocabulary.citation import Citation
from parlour.vocabulary.events import EventKind
from parlour.vocabulary.messages import Status

METADATA_BYTES = 16_384


def _storable(text: str) -> str:
    """Refuse what PostgreSQL cannot keep and UTF-8 cannot write."""
    if "\x00" in text:
        raise ValueError("must not contain the NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not contain a lone surrogate")
    return text


def _storable_json(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        encoded = orjson.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError("must be plain JSON without lone surrogates") from error
    if len(encoded) > METADATA_BYTES:
        raise ValueError(f"must be at most {METADATA_BYTES} bytes of JSON")
    if b"\\u0000" in encoded:
        raise ValueError("must not contain the NUL character")
    return value


Plain = Annotated[str, AfterValidator(_storable)]
Identifier = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_storable)]
Title = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_storable)]
JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_storable_json)]


class Body(BaseModel):
    """A request body: camelCase names, and unknown fields are an error."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, strict=True)


class SendBody(Body):
    """A message to an assistant. Without ``sessionId`` it starts a session."""

    message: Plain
    session_id: Identifier | None = None
    assistant_id: Identifier | None = None
    model: Identifier | None = None
    stream: bool = False
    client_message_id: Identifier | None = None
    parent_id: Identifier | None = None
    context: JsonObject | None = None


class RegenerateBody(Body):
    """Another reply to the same message."""

    model: Identifier | None = None
    stream: bool = False
    client_message_id: Identifier | None = None


class NewSessionBody(Body):
    """An empty session."""

    title: Title | None = None
    assistant_id: Identifier | None = None
    model: Identifier | None = None
    metadata: JsonObject = Field(default_factory=dict)


class SessionChanges(Body):
    """What to change of a session; fields left out stay."""

    title: Title | None = None
    archived: bool | None = None
    metadata: JsonObject | None = None


class FeedbackBody(Body):
    """What a person thinks of a reply; ``rating`` null takes it back."""

    rating: Literal["up", "down"] | None
    text: Annotated[str, Field(max_length=2000), AfterValidator(_storable)] | None = None


def fingerprint(*parts: object) -> str:
    """Return a digest that is equal for equal requests only."""
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def moment(value: datetime | None) -> str | None:
    """Write a moment as RFC 3339 in UTC."""
    return None if value is None else value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def session_json(row: Row) -> Row:
    """Return a session as clients see it."""
    return {
        "id": row["id"],
        "sessionId": row["id"],
        "title": row["title"],
        "assistantId": row["assistant_id"],
        "model": row["model"],
        "metadata": row["metadata"],
        "messageCount": row["message_count"],
        "createdAt": moment(row["created_at"]),
        "updatedAt": moment(row["updated_at"]),
        "lastActiveAt": moment(row["last_active_at"]),
        "archived": row.get("archived_at") is not None,
    }


def message_json(row: Row) -> Row:
    """Return a message as clients see it."""
    rating = row["rating"]
    return {
        "id": row["id"],
        "sessionId": row["session_id"],
        "parentId": row["parent_id"],
        "siblings": row["siblings"],
        "role": row["role"],
        "content": row["content"],
        "status": row["status"],
        "runId": row["run_id"],
        "agent": row["agent"],
        "model": row["model"],
        "provider": row["provider"],
        "why": row["why"],
        "citations": row["citations"] or [],
        "attachments": [],
        "usage": row["usage"],
        "costUsd": cost_json(row),
        "latencyMs": row["latency_ms"],
        "ttftMs": row["ttft_ms"],
        "finishReason": row["finish_reason"],
        "error": row["error"],
        "feedback": {"rating": rating, "text": row["feedback_text"]} if rating else None,
        "metadata": row["metadata"] or {},
        "createdAt": moment(row["created_at"]),
    }


def run_json(run: Run) -> Row:
    """Return a run's state as clients see it."""
    return {
        "id": run.id,
        "runId": run.id,
        "sessionId": run.session_id,
        "userMessageId": run.user_message_id,
        "messageId": run.message_id,
        "assistantId": run.assistant_id,
        "status": run.status.value,
        "error": run.error,
        "createdAt": moment(run.created_at),
        "finishedAt": moment(run.finished_at),
    }


def reply_json(run: Run, row: Row) -> Row:
    """Return a whole reply: what ``POST /api/chat`` answers when it does not stream."""
    return {
        "message": message_json(row),
        "response": row["content"],
        "sessionId": run.session_id,
        "messageId": run.message_id,
        "userMessageId": run.user_message_id,
        "runId": run.id,
        "model": row["model"],
        "provider": row["provider"],
        "why": row["why"],
        "agent": row["agent"],
        "citations": row["citations"] or [],
        "usage": row["usage"],
        "costUsd": cost_json(row),
        "latencyMs": row["latency_ms"],
        "ttftMs": row["ttft_ms"],
    }


def citation_json(citation: Citation) -> Row:
    """Return a citation as it travels and is stored."""
    return {
        "number": citation.number,
        "passageId": citation.passage_id,
        "documentId": citation.document_id,
        "title": citation.title,
        "documentTitle": citation.document_title,
        "quote": citation.quote,
        "url": citation.url,
        "page": citation.page,
    }


def outcome_row(outcome: Outcome) -> Row:
    """Return what a finished reply stores with its message."""
    usage = outcome.usage
    return {
        "status": outcome.status.value,
        "content": outcome.content,
        "agent": outcome.agent,
        "model": outcome.model,
        "provider": outcome.provider,
        "why": outcome.why,
        "citations": [citation_json(citation) for citation in outcome.citations],
        "usage": usage
        and {
            "inputTokens": usage.input_tokens,
            "outputTokens": usage.output_tokens,
            "cachedTokens": usage.cached_tokens,
            "cacheWriteTokens": usage.cache_write_tokens,
            "estimated": usage.estimated,
        },
        "cost_usd": outcome.cost_usd,
        "latency_ms": outcome.latency_ms,
        "ttft_ms": outcome.ttft_ms,
        "finish_reason": outcome.finish_reason and outcome.finish_reason.value,
        "error": outcome.error,
    }


def start_event(run: Run) -> tuple[EventKind, Row]:
    """Return the event that names everything a reader needs to know of a run."""
    return EventKind.START, {
        "runId": run.id,
        "sessionId": run.session_id,
        "userMessageId": run.user_message_id,
        "messageId": run.message_id,
        "assistantId": run.assistant_id,
    }


def meta_event(row: Row) -> tuple[EventKind, Row]:
    """Return the event that tells who answers."""
    return EventKind.META, {key: row[key] for key in ("agent", "model", "provider", "why")}


def end_event(row: Row) -> tuple[EventKind, Row]:
    """Return the last event of a reply, from the columns that are stored of it."""
    if row["status"] == Status.FAILED.value:
        return EventKind.ERROR, row["error"]
    return EventKind.DONE, {
        "finishReason": row["finish_reason"],
        "usage": row["usage"],
        "costUsd": cost_json(row),
        "latencyMs": row["latency_ms"],
        "ttftMs": row["ttft_ms"],
        "model": row["model"],
        "provider": row["provider"],
    }


def retold(run: Run, row: Row) -> list[tuple[EventKind, Row]]:
    """Return the events of a reply whose log is gone, from its stored message."""
    text = [(EventKind.TEXT, {"content": row["content"]})] if row["content"] else []
    cited = [(EventKind.CITATION, citation) for citation in row["citations"] or []]
    return [start_event(run), meta_event(row), *cited, *text, end_event(row)]


def cost_json(row: Row) -> Any:  # noqa: ANN401 - a JSON number or null
    """Return a cost as a JSON number; unknown is null, never zero."""
    return None if row["cost_usd"] is None else float(row["cost_usd"])
