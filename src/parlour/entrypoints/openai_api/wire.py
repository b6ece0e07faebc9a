"""From our values to OpenAI's: completions, chunks, models and embeddings, as its clients expect them.

Pure: nothing here waits, stores, or knows a request.
"""

import base64
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from parlour.llm.model import ToolCall
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage

Json = dict[str, Any]

FINISH: Final[Mapping[FinishReason, str]] = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.STOPPED: "stop",
    FinishReason.FILTERED: "content_filter",
    FinishReason.TOOL_CALLS: "tool_calls",
}


@dataclass(frozen=True, slots=True)
class Head:
    """What every part of one answer repeats."""

    id: str
    created: int
    model: str


def usage_json(usage: Usage | None) -> Json | None:
    """Return what was used; None where nobody knows."""
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def completion_json(
    head: Head,
    *,
    text: str,
    calls: Sequence[ToolCall],
    finish: FinishReason,
    usage: Json | None,
    extra: Mapping[str, Any],
) -> Json:
    """Return a whole answer; ``extra`` stands beside it in the field ``parlour``."""
    message: Json = {"role": "assistant", "content": text if text or not calls else None, "refusal": None}
    if calls:
        message["tool_calls"] = [_call_json(call) for call in calls]
    return {
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": [
            {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(finish, len(calls))},
        ],
        "usage": usage,
        "parlour": extra,
    }


class Chunks:
    """Writes the chunks of one streamed answer as events.

    The common chunk, a piece of text, is put together from bytes that were made once.
    """

    def __init__(self, head: Head, *, include_usage: bool) -> None:
        """Begin; with ``include_usage`` a last chunk tells the usage, and every other that it does not."""
        self._head = head
        self._include_usage = include_usage
        self._calls = 0
        shell = self._chunk([{"index": 0, "delta": 0, "logprobs": None, "finish_reason": None}])
        self._before, _, self._after = shell.partition(b'"delta":0')

    def first(self, **extra: Any) -> bytes:  # noqa: ANN401 - plain JSON
        """Return the chunk that says who speaks; ``extra`` stands in its field ``parlour``."""
        delta = {"role": "assistant", "content": "", "refusal": None}
        return self._choice(delta, None, **({"parlour": extra} if extra else {}))

    def text(self, content: str) -> bytes:
        """Return a piece of text."""
        return self.delta(b'{"content":%b}' % orjson.dumps(content))

    def delta(self, encoded: bytes) -> bytes:
        """Return a piece whose delta is JSON already."""
        return b'%b"delta":%b%b' % (self._before, encoded, self._after)

    def call(self, call: ToolCall) -> bytes:
        """Return a tool call, whole."""
        described = {"index": self._calls, **_call_json(call)}
        self._calls += 1
        return self._choice({"tool_calls": [described]}, None)

    def finish(self, reason: FinishReason, **extra: Any) -> bytes:  # noqa: ANN401
        """Return the chunk that says why the answer ends."""
        return self._choice({}, _finish(reason, self._calls), **({"parlour": extra} if extra else {}))

    def usage(self, usage: Json | None) -> bytes:
        """Return the chunk that tells the usage, if it was asked for."""
        if not self._include_usage:
            return b""
        return self._event({**self._shell(), "choices": [], "usage": usage})

    def _choice(self, delta: Json, finish: str | None, **more: Any) -> bytes:  # noqa: ANN401
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._chunk([choice], **more)

    def _chunk(self, choices: Sequence[Json], **more: Any) -> bytes:  # noqa: ANN401
        told = {"usage": None} if self._include_usage else {}
        return self._event({**self._shell(), "choices": choices, **told, **more})

    def _shell(self) -> Json:
        return {
            "id": self._head.id,
            "object": "chat.completion.chunk",
            "created": self._head.created,
            "model": self._head.model,
        }

    def _event(self, document: Json) -> bytes:
        return b"data: %b\n\n" % orjson.dumps(document)


def error_event(error: Json) -> bytes:
    """Return an error in the middle of a stream; nothing comes after it."""
    return b"data: %b\n\n" % orjson.dumps(error)


def model_json(model_id: str, *, owner: str, name: str) -> Json:
    """Return a model as lists show it. OpenAI's clients need a date of making, and ours have none."""
    return {"id": model_id, "object": "model", "created": 0, "owned_by": owner, "name": name}


def embeddings_json(model: str, vectors: Sequence[Sequence[float]], tokens: int, *, as_base64: bool) -> Json:
    """Return vectors in the order of their texts."""
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": place,
                "embedding": _base64(vector) if as_base64 else list(vector),
            }
            for place, vector in enumerate(vectors)
        ],
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _finish(reason: FinishReason, calls: int) -> str:
    """Return the word for an end. Some providers say that they stopped when they wait for tools."""
    return FINISH[FinishReason.TOOL_CALLS if calls and reason is FinishReason.STOP else reason]


def _call_json(call: ToolCall) -> Json:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
